"""The protocols of an executor, of the judge of an attempt, and of the listener to attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from sweeps.experiment import Stop, TrialSpec

if TYPE_CHECKING:
    from sweeps.executors.attempt import Attempt
    from sweeps.executors.checkpoint import CheckpointPlace


class Judge(Protocol):
    """Decides after each epoch whether an attempt goes on.

    A judge can be pickled: it travels with its attempt and is asked where the attempt runs. So the
    verdict depends on the attempt alone, never on the speed of messages.
    """

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        """Return None (go on) or a `Stop`; epochs count from 0."""
        ...

    @property
    def notes(self) -> Mapping[str, Any]:
        """Notes about the attempt to keep in its record; JSON-compatible."""
        ...


class Listener(Protocol):
    """Is told of running attempts, in the caller's thread or one of the executor's."""

    def started(self, spec: TrialSpec) -> None:
        """Take note that an attempt begins to run."""
        ...

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take note that an epoch (from 0) has ended."""
        ...


Keep = Callable[["Attempt"], Any]


def itself(attempt: Attempt) -> Attempt:
    """Return an attempt unchanged."""
    return attempt


class Executor(Protocol):
    """Runs attempts and returns them as values; writes neither records nor databases."""

    @property
    def capacity(self) -> int:
        """How many attempts it accepts at once: running ones, and waiting ones.

        Some wait so that a worker that has finished its attempt need not wait for the coordinator.
        """
        ...

    def submit(
        self,
        spec: TrialSpec,
        judge: Judge | None = None,
        keep: Keep = itself,
        place: CheckpointPlace | None = None,
    ) -> Future[Any]:
        """Start an attempt, or let it wait for its turn; until then its future can be cancelled.

        Args:
            spec: The attempt.
            judge: Asked after each of its epochs.
            keep: Called in any thread once the attempt has ended, to record it; before its worker
                gets the next one, so that no kill costs a worker more than one training. The future
                returns, or raises, whatever `keep` does.
            place: The place of the trial's checkpoint, on this machine; an executor whose workers
                are elsewhere ignores it. None: nothing is saved.
        """
        ...

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Ask a running attempt to end after its current epoch."""
        ...

    def close(self) -> None:
        """End all attempts and workers; nothing is left running."""
        ...

    def seconds(self) -> Mapping[str, float]:
        """Return the seconds spent on other things than training: `warm_up`, `idle`."""
        ...
