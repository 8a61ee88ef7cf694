"""What the coordinator needs of an executor."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from sweeps.executors.attempt import Attempt
from sweeps.experiment import TrialSpec


class Executor(Protocol):
    """Runs attempts somewhere and returns them as values; writes nothing shared."""

    capacity: int
    """How many attempts may be under way at once."""

    def submit(self, spec: TrialSpec) -> Future[Attempt]:
        """Start an attempt."""
        ...

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Ask a running attempt to end after its current epoch."""
        ...

    def close(self) -> None:
        """End everything; nothing is left running."""
        ...
