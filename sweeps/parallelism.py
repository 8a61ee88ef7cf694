"""How many trials are trained at once."""

from __future__ import annotations

import os
from dataclasses import dataclass

from search_spaces.bodies.importing import MAIN, script_name
from sweeps.errors import UsageError


@dataclass(frozen=True)
class Parallelism:
    """Worker processes, and how many of them have work. Decides no trial, only when it runs.

    Attributes:
        workers: Worker processes; 0 trains in the calling process.
        ask_ahead: How many trials may be in flight.
    """

    workers: int
    ask_ahead: int

    @property
    def at_once(self) -> int:
        """How many trials are trained at once, at most."""
        return max(1, min(self.workers, self.ask_ahead))

    @property
    def idle(self) -> int:
        """How many workers would never have work."""
        return max(0, self.workers - self.ask_ahead)

    def __str__(self) -> str:
        if self.workers == 0:
            return "none: one trial at once, in the calling process"
        text = f"{self.workers}, {self.at_once} at once"
        return f"{text} ({self.idle} idle: --ask-ahead is {self.ask_ahead})" if self.idle else text


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def how_many_workers(asked: int | None, experiment: str, executor: str | None = None) -> int:
    """Return how many workers a sweep is to have: as asked, else one a core.

    Args:
        asked: What the user said; None: nothing.
        experiment: Its import path. The space may be anywhere: workers are sent configurations.
        executor: The cluster that is to train.

    Raises:
        UsageError: Workers cannot have what exists in this process only.
    """
    if not experiment.startswith(f"{MAIN}:"):
        return usable_cores() if asked is None else asked
    if not asked and executor is None:
        return 0
    received = f"workers {asked}" if executor is None else f"executor {executor}"
    script = script_name()
    remedy = "put it into a file beside the space"
    if script is not None:
        name = experiment.partition(":")[2]
        remedy += f' (or write {script}:{name}, with what runs under `if __name__ == "{MAIN}":`)'
    raise UsageError(
        f"{received}: {experiment} exists in this notebook or script only, which no worker process "
        f"has; give workers=0, or {remedy}"
    )
