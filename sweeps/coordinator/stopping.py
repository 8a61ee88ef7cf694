"""When a sweep ends before all its slots: time, target, no improvement. Judged in slot order.

No slot opens from then on, and those that wait for a worker are withdrawn. Those that run by then
end normally and count: how many they are depends on the number of workers, which slot ends the
sweep does not.
"""

from __future__ import annotations

import time
from typing import Literal

from sweeps.options import Limits


class StopRules:
    """Says after each told slot whether to go on."""

    def __init__(self, limits: Limits, direction: Literal["maximize", "minimize"]) -> None:
        self._limits = limits
        self._sign = 1.0 if direction == "maximize" else -1.0
        self._deadline = time.monotonic() + (limits.timeout_seconds or float("inf"))
        self._best: float | None = None
        self._since_best = 0

    def tell(self, value: float | None, *, is_earlier: bool = False) -> None:
        """Take the next slot in order.

        Args:
            value: Its objective; None if it has none.
            is_earlier: Whether an earlier generation proposed it: that says nothing about whether
                the new space brings improvement.
        """
        gain = None if value is None else self._sign * value
        if gain is not None and (self._best is None or gain > self._best):
            self._best, self._since_best = gain, 0
        else:
            self._since_best += not is_earlier

    def reason(self) -> str | None:
        """Return `target` or `stop_after` if no further slot may open, else None."""
        limits = self._limits
        if self._reached(limits.target):
            return "target"
        if limits.stop_after is not None and self._since_best >= limits.stop_after:
            return "stop_after"
        return None

    def is_late(self) -> bool:
        """Whether the time is up: finished slots are still restored, but no trial begins."""
        return time.monotonic() >= self._deadline

    def _reached(self, target: float | None) -> bool:
        if target is None or self._best is None:
            return False
        return self._best >= self._sign * target
