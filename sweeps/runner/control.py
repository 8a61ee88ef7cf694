"""Ends or pauses a running sweep: Ctrl-C and signals, and requests of other processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable
from types import FrameType
from typing import Any, Final, NoReturn

from sweeps.errors import LeaseLost, StoreError
from sweeps.progress import Progress
from sweeps.records import RecordStore
from sweeps.workspace.clock import repeated
from sweeps.workspace.failpoints import reached

STOP: Final = "stop"
STOP_NOW: Final = "stop-now"
PAUSE: Final = "pause"
_CANCEL: Final = "cancel-"
_PREFIX: Final = "asked-to-"


def ask(store: RecordStore, request: str) -> None:
    """Make a request: `STOP`, `STOP_NOW`, `PAUSE` or the result of `cancelling`.

    It is a file in the folder of the sweep. So everyone who may write into the folder may control
    the sweep, whatever host it runs on.

    Raises:
        StoreError: It cannot be written.
    """
    store.keep_file(store.folder / f"{_PREFIX}{request}", b"", "control")


def asked_of(store: RecordStore) -> frozenset[str]:
    """Return the requests that are not obeyed yet, or that stay in force (`PAUSE`)."""
    return frozenset(path.name.removeprefix(_PREFIX) for path in store.folder.glob(f"{_PREFIX}*"))


def withdraw(store: RecordStore, requests: Iterable[str]) -> None:
    """Remove requests, if they are there."""
    for request in requests:
        reached("withdraw.begun")
        store.drop(store.folder / f"{_PREFIX}{request}")
        reached("withdraw.done")


def cancelling(trial: int) -> str:
    """Return the request to end one trial."""
    return f"{_CANCEL}{trial}"


REASONS: Final = {
    signal.SIGINT: "interrupt",
    signal.SIGTERM: "terminate",
    signal.SIGHUP: "hangup",
}
_NUMBERS: Final = {reason: number for number, reason in REASONS.items()}
INTERRUPTIONS: Final = frozenset(REASONS.values())
"""Reasons for which a user ended a sweep; its open trials are run again on resume."""


class StopRequest:
    """A context in which a signal asks the sweep to stop, instead of ending the process at once.

    Attributes:
        reason: `interrupt` (SIGINT), `terminate` (SIGTERM), `hangup` (SIGHUP: the terminal was
            closed), or None without a request.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._previous: dict[signal.Signals, Any] = {}
        self._unraisable = sys.unraisablehook
        self._has_failed = False

    def __enter__(self) -> StopRequest:
        # Only the main thread may set handlers; in another thread (a notebook's) the caller's stay.
        if threading.current_thread() is threading.main_thread():
            for number in REASONS:
                self._previous[number] = signal.signal(number, self._handle)
            if self._previous[signal.SIGHUP] is signal.SIG_IGN:  # `nohup`: the sweep goes on
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._previous:
            sys.unraisablehook = self._unraisable
        if isinstance(error, LeaseLost) or self._has_failed:
            return
        if isinstance(error, StoreError) and self.reason is not None:
            # The user asked for the end and is told of that, not of the store that did not answer.
            self._end_at_once(_NUMBERS[self.reason])

    def ask(self, *, at_once: bool = False) -> None:
        """Do what one Ctrl-C does, or two if `at_once`; may be called from any thread."""
        if self.reason is None:
            self.reason = REASONS[signal.SIGINT]
        if at_once and self._previous:  # our handlers are installed: this is the second Ctrl-C
            os.kill(os.getpid(), signal.SIGINT)

    def is_asked(self) -> bool:
        """Whether the sweep is to stop."""
        return self.reason is not None

    def fail(self) -> None:
        """Stop as one Ctrl-C does, for an error that the sweep then ends with."""
        self._has_failed = True
        self.ask()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.reason is not None:
            self._end_at_once(number)
        self.reason = REASONS[signal.Signals(number)]

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Print nothing if the end was raised where Python ignores exceptions, as in a finalizer.

        The exception is lost there; the sweep then ends seconds later, as after the first signal.
        """
        if not issubclass(unraisable.exc_type, KeyboardInterrupt | SystemExit):
            self._unraisable(unraisable)

    @staticmethod
    def _end_at_once(number: int) -> NoReturn:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


LOOK_SECONDS: Final = 0.5


class ControlListener:
    """Looks for requests in a thread of its own, so that a busy main thread delays none.

    Attributes:
        paused: Whether no trial may begin.
        cancelled: Numbers of the trials that must end at their next epoch.
    """

    def __init__(self, store: RecordStore, request: StopRequest, progress: Progress) -> None:
        self.paused = False
        self.cancelled: frozenset[int] = frozenset()
        self._store, self._request, self._progress = store, request, progress
        self._looking = repeated(self._look, LOOK_SECONDS, "sweeps-listener")

    def __enter__(self) -> ControlListener:
        withdraw(self._store, asked_of(self._store))  # a start overrides earlier requests
        self._looking.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._looking.__exit__(None, None, None)
        with contextlib.suppress(OSError, StoreError):
            withdraw(self._store, asked_of(self._store))

    def ended(self, trial: int) -> None:
        """Withdraw the request to cancel a trial, since it has ended."""
        if trial in self.cancelled:
            with contextlib.suppress(OSError, StoreError):
                withdraw(self._store, [cancelling(trial)])

    def _look(self) -> None:
        with contextlib.suppress(OSError, StoreError):  # out of reach for a while
            self._obey(asked_of(self._store))

    def _obey(self, asked: frozenset[str]) -> None:
        cancels = (one.removeprefix(_CANCEL) for one in asked if one.startswith(_CANCEL))
        self.cancelled = frozenset(int(number) for number in cancels if number.isdecimal())
        if self.paused != (PAUSE in asked):
            self.paused = not self.paused
            self._progress.note("paused; `sweeps resume` goes on" if self.paused else "goes on")
        if {STOP, STOP_NOW} & asked:
            self._request.ask(at_once=STOP_NOW in asked)
            withdraw(self._store, [STOP, STOP_NOW])
