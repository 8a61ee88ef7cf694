"""The protocol of an executor, and the executor of whoever listens and judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from sweeps.experiment import Stop, TrialSpec

if TYPE_CHECKING:
    from sweeps.executors.attempt import Attempt


class Judge(Protocol):
    """Decides after each epoch whether an attempt goes on.

    It travels with its attempt (so it can be pickled) and is asked where the attempt runs: the
    verdict depends on the attempt alone, never on how fast messages are.
    """

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        """Answer None (go on) or a `Stop`; epochs count from 0."""
        ...

    @property
    def notes(self) -> Mapping[str, Any]:
        """What it wants to be remembered of the attempt; JSON-compatible."""
        ...


class Listener(Protocol):
    """Told of attempts under way, in the caller's thread or one of the executor's."""

    def started(self, spec: TrialSpec) -> None:
        """An attempt begins to run."""
        ...

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch (from 0) has ended."""
        ...


Keep = Callable[["Attempt"], Any]


def itself(attempt: Attempt) -> Attempt:
    """Keep an attempt as it is."""
    return attempt


class Executor(Protocol):
    """Runs attempts somewhere and returns them as values; writes nothing shared."""

    @property
    def capacity(self) -> int:
        """How many attempts it takes at once.

        Those under way, and those that wait so that whoever has finished one need not wait for the
        coordinator.
        """
        ...

    def submit(
        self, spec: TrialSpec, judge: Judge | None = None, keep: Keep = itself
    ) -> Future[Any]:
        """Start an attempt, or let it wait for its turn; until then its future can be cancelled.

        Args:
            spec: The attempt.
            judge: Asked after each of its epochs.
            keep: Makes it safe once it has ended, and before whoever ran it gets another one, so
                that no kill costs a worker more than one training. Called in any thread. What it
                returns, or raises, the future does.
        """
        ...

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Ask a running attempt to end after its current epoch."""
        ...

    def close(self) -> None:
        """End everything; nothing is left running."""
        ...

    def seconds(self) -> Mapping[str, float]:
        """Return what its time went on, trainings aside: `warm_up`, `idle`; seconds."""
        ...
