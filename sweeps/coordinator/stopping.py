"""When a sweep ends before all its slots: time, target, no improvement. Judged in slot order.

No slot opens from then on, and those that wait for a worker are withdrawn. Those that run by then
end normally and count: how many they are depends on the number of workers, which slot ends the
sweep does not.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from search_spaces.objectives import Objective
from sweeps.options import Limits
from sweeps.records.pareto import Values, covers, gains_of


class StopRules:
    """Says after each told slot whether to go on."""

    def __init__(self, limits: Limits, objectives: Sequence[Objective]) -> None:
        self._limits = limits
        self._objectives = objectives
        self._deadline = time.monotonic() + (limits.timeout_seconds or float("inf"))
        self._front: list[Values] = []  # gains; with one objective that of the best
        self._since_best = 0

    def tell(self, values: Values | None, *, is_earlier: bool = False) -> None:
        """Take the next slot in order.

        Args:
            values: One an objective; None if it has none.
            is_earlier: Whether an earlier generation proposed it: that says nothing about whether
                the new space brings improvement.
        """
        gains = None if values is None else gains_of(values, self._objectives)
        if gains is not None and not any(covers(known, gains) for known in self._front):
            self._front = [known for known in self._front if not covers(gains, known)]
            self._front.append(gains)
            self._since_best = 0
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
        """Whether the one objective is as good as that; with several no target is taken."""
        if target is None or not self._front:
            return False
        return self._front[0][0] >= self._objectives[0].gain(target)
