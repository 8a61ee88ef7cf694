"""When a sweep ends before all its slots: time, target, no improvement. Judged in slot order."""

from __future__ import annotations

import time
from typing import Literal

from sweeps.config import Limits


class StopRules:
    """Says after each told slot whether to go on."""

    def __init__(self, limits: Limits, direction: Literal["maximize", "minimize"]) -> None:
        self._limits = limits
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._deadline = time.monotonic() + (limits.timeout_seconds or float("inf"))
        self._best: float | None = None
        self._since_best = 0

    def tell(self, value: float | None) -> None:
        """Take the objective of the next slot in order; None if it has no value."""
        gain = None if value is None else self._sign * value
        if gain is not None and (self._best is None or gain > self._best):
            self._best, self._since_best = gain, 0
        else:
            self._since_best += 1

    def reason(self) -> str | None:
        """Return `target`, `stop_after` or `timeout` if no further trial may begin, else None."""
        limits = self._limits
        if self._reached(limits.target):
            return "target"
        if limits.stop_after is not None and self._since_best >= limits.stop_after:
            return "stop_after"
        return "timeout" if time.monotonic() >= self._deadline else None

    def _reached(self, target: float | None) -> bool:
        if target is None or self._best is None:
            return False
        return self._best >= self._sign * target
