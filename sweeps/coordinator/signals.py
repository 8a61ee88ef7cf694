"""Ctrl-C, SIGTERM, SIGHUP: once, running trials end at their next epoch; twice, at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn

from sweeps.errors import LeaseLost, StoreError

REASONS: Final = {
    signal.SIGINT: "interrupt",
    signal.SIGTERM: "terminate",
    signal.SIGHUP: "hangup",
}
_NUMBERS: Final = {reason: number for number, reason in REASONS.items()}
INTERRUPTIONS: Final = frozenset(REASONS.values())
"""Why a sweep ended, if somebody asked it to; its open slots are run again on resume."""


class StopRequest:
    """A context in which signals ask the sweep to stop instead of tearing it down.

    Attributes:
        reason: `interrupt` (SIGINT), `terminate` (SIGTERM), `hangup` (SIGHUP: the terminal was
            closed), or None while nobody asked.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._previous: dict[signal.Signals, Any] = {}
        self._unraisable = sys.unraisablehook

    def __enter__(self) -> StopRequest:
        # Handlers belong to the main thread; elsewhere (a notebook's thread) the caller has them.
        if threading.current_thread() is threading.main_thread():
            for number in REASONS:
                self._previous[number] = signal.signal(number, self._handle)
            if self._previous[signal.SIGHUP] is signal.SIG_IGN:  # `nohup`: the sweep goes on
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._previous:
            sys.unraisablehook = self._unraisable
        if isinstance(error, LeaseLost):
            return
        if isinstance(error, StoreError) and self.reason is not None:
            # Whoever asked for the end hears of that, not of a store that was waited for.
            self._end_at_once(_NUMBERS[self.reason])

    def ask(self, *, at_once: bool = False) -> None:
        """Do what Ctrl-C does, once, or twice if `at_once`; from any thread."""
        if self.reason is None:
            self.reason = REASONS[signal.SIGINT]
        if at_once and self._previous:  # our handlers are there: this is the second one
            os.kill(os.getpid(), signal.SIGINT)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.reason is not None:
            self._end_at_once(number)
        self.reason = REASONS[signal.Signals(number)]

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Say nothing of an end that was raised where Python ignores it, as in a finalizer.

        It is lost there; the sweep then ends as after the first signal, seconds later.
        """
        if not issubclass(unraisable.exc_type, KeyboardInterrupt | SystemExit):
            self._unraisable(unraisable)

    @staticmethod
    def _end_at_once(number: int) -> NoReturn:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
