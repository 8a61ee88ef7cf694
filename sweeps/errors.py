"""The errors that end a command with one message. Exit codes: mistake of the user 2, failure 1."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Literal


class UsageError(ValueError):
    """A request cannot be carried out; the message says what was received and how to fix it."""


class ExperimentError(UsageError):
    """A member of an experiment raised, or answered with what cannot be used; it is said where."""

    @classmethod
    def at(cls, experiment: str, member: str, error: Exception) -> ExperimentError:
        """Return the error that names the experiment, its member, and the line that raised."""
        *_, where = [None, *traceback.extract_tb(error.__traceback__)]
        line = f" ({Path(where.filename).name}, line {where.lineno})" if where else ""
        said = f"{type(error).__name__}: {error}{line}"
        return cls(f"`{member}` of experiment {experiment!r}: {said}")


class SamplesWarning(UserWarning):
    """A report shows no samples; the message says why, and commands print it."""


class UntrustedError(UsageError):
    """A sweep was imported, and its code is not trusted, so it must not run; records can be read.

    Attributes:
        files: Files of an attempt, by name, that could be made without running its code.
    """

    def __init__(self, message: str, files: Mapping[str, bytes] | None = None) -> None:
        super().__init__(message)
        self.files = files or {}


class WorkersError(RuntimeError):
    """No worker process can be started, or none can go on; the message says why."""


class TrialsError(RuntimeError):
    """Too many trials in a row failed; the message says why. The same call continues the sweep."""


class ScriptError(RuntimeError):
    """A script failed; the message is complete, so that a traceback of ours would add nothing."""

    def __init__(
        self, text: str, reason: Literal["crash", "oom", "error", "invalid", "killed"]
    ) -> None:
        """Take the message, and the reason of the failure; see `FailureReason`."""
        super().__init__(text)
        self.reason = reason


class StoreError(RuntimeError):
    """A database or a record cannot be used; the message says which, why, and how to go on."""


class LeaseLost(StoreError):  # noqa: N818, named after the event
    """Another host has taken the sweep over; nothing that this process writes to it is accepted."""
