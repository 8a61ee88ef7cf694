"""Obeys what other processes ask of a running sweep (`sweeps stop`, `pause`, `cancel`)."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Final

from sweeps.coordinator.signals import StopRequest
from sweeps.progress import Progress
from sweeps.steering import PAUSE, STOP, STOP_NOW, Steering, cancelled_slots, cancelling

LOOK_SECONDS: Final = 0.5


class Helm:
    """Looks for requests in a thread of its own, so that none waits for whatever goes on.

    Attributes:
        paused: Whether no trial may begin.
        cancelled: Trials that are to end at their next epoch.
    """

    def __init__(self, steering: Steering, request: StopRequest, progress: Progress) -> None:
        self.paused = False
        self.cancelled: frozenset[int] = frozenset()
        self._steering, self._request, self._progress = steering, request, progress
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="sweeps-helm", daemon=True)

    def __enter__(self) -> Helm:
        self._steering.withdraw(self._steering.asked())  # whoever starts a sweep wants it to run
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._steering.withdraw(self._steering.asked())

    def ended(self, slot: int) -> None:
        """Take note that a trial has ended."""
        if slot in self.cancelled:
            with contextlib.suppress(OSError):
                self._steering.withdraw([cancelling(slot)])

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            with contextlib.suppress(OSError):  # the folder may be away for a while
                self._obey(self._steering.asked())

    def _obey(self, asked: frozenset[str]) -> None:
        self.cancelled = cancelled_slots(asked)
        if self.paused != (PAUSE in asked):
            self.paused = not self.paused
            self._progress.note("paused; `sweeps resume` goes on" if self.paused else "goes on")
        if {STOP, STOP_NOW} & asked:
            self._steering.withdraw([STOP, STOP_NOW])
            self._request.ask(at_once=STOP_NOW in asked)
