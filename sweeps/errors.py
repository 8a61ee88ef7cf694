"""The errors that end a command with one message: a mistake (2), a failure (1)."""

from __future__ import annotations

from collections.abc import Mapping


class UsageError(ValueError):
    """What was asked cannot be done; the message says what was received and how to fix it."""


class UntrustedError(UsageError):
    """A sweep was imported, and what it names is not to be run: its records say what they say.

    Attributes:
        files: Of an attempt, those that needed nothing to be run.
    """

    def __init__(self, message: str, files: Mapping[str, bytes] | None = None) -> None:
        super().__init__(message)
        self.files = files or {}


class WorkersError(RuntimeError):
    """No worker process can be started, or go on; the message says why."""


class TrialsError(RuntimeError):
    """Too many trials in a row failed; the message says why. The same call goes on."""


class ScriptError(RuntimeError):
    """A script failed; the message says it all, so that a traceback of ours adds nothing."""

    def __init__(self, text: str, *, is_final: bool) -> None:
        """Take what to say, and whether it would fail again however often it is repeated."""
        super().__init__(text)
        self.is_final = is_final


class StoreError(RuntimeError):
    """A database or a file of records cannot be used; says which, why, and how to go on."""


class LeaseLost(StoreError):  # noqa: N818, what happened is the name of it
    """Another host has taken the sweep over; nothing this process writes of it is taken now."""
