"""Policies of a sweep: which failures are tried again, and how many trials are trained at once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sweeps.records import Record
from sweeps.wording import counted, first_line

FailureReason = Literal["crash", "oom", "timeout", "error", "invalid", "killed"]
"""Why an attempt has no result: its process died, memory ran out, it took too long, it raised, it
failed in a way that every repetition would, such as by a mistake in the code, or its process was
killed from outside (see `workspace.processes`)."""

DEFAULT_RETRIES: Final[Mapping[str, int]] = {
    "crash": 2, "oom": 1, "timeout": 1, "error": 1, "invalid": 0,
}  # fmt: skip
MOST_KILLS: Final = 20
"""A kill from outside is no fault of the trial, and uses up no retry. So many attempts at a trial,
over all starts, may end by one; a training that kills itself looks the same."""
DEFAULT_MAX_FAILURES_IN_ROW: Final = 5
DEFAULT_CHECKPOINT_SECONDS: Final = 30.0


@dataclass(frozen=True)
class FailurePolicy:
    """The policy for trials that fail: how often to try again for each reason, when to give up.

    It is no part of a sweep's fingerprint: it decides no trial, only how many failures of the
    machine a sweep tolerates. Whoever resumes it after such failures may want to tolerate more.

    Attributes:
        retries: How often a trial is tried again, by the reason of its failure.
        trial_timeout_seconds: Longest time of one attempt; None for no limit.
        max_failures_in_row: Number of failed trials in a row that ends the sweep; 0 for no limit.
        checkpoint_seconds: Shortest time between two checkpoints of a trial; 0: each epoch.
    """

    retries: Mapping[str, int]
    trial_timeout_seconds: float | None
    max_failures_in_row: int
    checkpoint_seconds: float


@dataclass(frozen=True)
class Parallelism:
    """The number of workers, and how many of them have work. It decides only when a trial runs.

    Attributes:
        workers: Worker processes; 0 trains in the calling process.
        ask_ahead: How many trials may be in flight.
        why: Of no workers, for the user who did not ask for that.
    """

    workers: int
    ask_ahead: int
    why: str = ""

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
            return f"none: one trial at once, in the calling process{self.why and f'; {self.why}'}"
        text = f"{self.workers}, {self.at_once} at once"
        if not self.idle:
            return text
        # It is part of the sweep, so that it cannot grow by itself with the machine.
        more = f"more than {self.ask_ahead} need --ask-ahead {self.workers}"
        return f"{text} ({self.idle} idle: {more})"


def how_many_workers(asked: int | None) -> int:
    """Return the number of workers of a sweep: as asked, else one per core."""
    if asked is not None:
        return asked
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


FAILURES: Final = "failures"
"""The reason a sweep ended for, if too many trials failed in a row."""


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed.

    Attributes:
        reason: The reason in one word, see `FailureReason`.
        cause: First paragraph of the error: type and message of the exception, or how the process
            ended.
    """

    reason: str
    cause: str


def failure_of(reason: str, error: str | None) -> Failure:
    """Return the failure that a record's `reason` and `error` describe."""
    return Failure(reason, (error or "").partition("\n\n")[0])


def is_tried_again(
    failure: Failure, earlier: Sequence[Failure], retries: Mapping[str, int]
) -> bool:
    """Whether the trial gets another attempt, with the same parameters and seed.

    The same error twice is not a coincidence: a third attempt would fail like the first two.

    Args:
        failure: The failure of the last attempt.
        earlier: The failures of the attempts before it.
        retries: How many retries each reason has.
    """
    if failure.reason in {"error", "invalid"} and failure in earlier:
        return False
    most = MOST_KILLS if failure.reason == "killed" else retries.get(failure.reason, 0)
    return sum(e.reason == failure.reason for e in earlier) < most


def failures_before(records: Sequence[Record]) -> list[Failure]:
    """Return the failures among the attempts at one trial, in the order of its records."""
    return [failure_of(r.reason, r.error) for r in records if r.outcome == "failed"]


class Breaker:
    """Ends a sweep if too many trials in a row fail: then the cause is hardly in their parameters.

    Trials are told in trial order, so that the point where it ends a sweep depends on no timing. A
    diverged trial is no failure here: it was trained, and samplers learn from it.
    """

    def __init__(self, limit: int) -> None:
        """Begin to count.

        Args:
            limit: This many failed trials in a row end the sweep; 0: no limit.
        """
        self._limit = limit
        self._row: list[Failure] = []

    def tell(self, failure: Failure | None) -> None:
        """Take the failure of the next trial; None if it did not fail in this start."""
        if self.cause() is None:
            self._row = [*self._row, failure] if failure else []

    def cause(self) -> str | None:
        """Return, in one line, why the sweep must end; None if it need not."""
        if not self._limit or len(self._row) < self._limit:
            return None
        last = self._row[-1]
        text = f"{counted(len(self._row), 'trial')} in a row failed"
        reasons = Counter(failure.reason for failure in self._row)
        if len(reasons) > 1:
            shares = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
            return f"{text} ({shares}), the last by {last.reason}: {first_line(last.cause)}"
        same = "all" if len({first_line(f.cause) for f in self._row}) == 1 else "the last"
        return f"{text} ({last.reason}), {same} with: {first_line(last.cause)}"
