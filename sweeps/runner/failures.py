"""Which failed attempts are tried again, and when failing goes on for too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sweeps.records import Record
from sweeps.wording import first_line

FAILURES: Final = "failures"
"""What ended a sweep whose trials failed one after another."""


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed.

    Attributes:
        reason: In one word, see `FailureReason`.
        cause: Type and message of what it raised, or how its process ended: the first paragraph.
    """

    reason: str
    cause: str


def failure_of(reason: str, error: str | None) -> Failure:
    """Return the failure that a record's `reason` and `error` tell of."""
    return Failure(reason, (error or "").partition("\n\n")[0])


def is_tried_again(
    failure: Failure, earlier: Sequence[Failure], retries: Mapping[str, int]
) -> bool:
    """Whether the trial gets another attempt, with the same parameters and seed.

    The same error twice is no accident: a third time would end like the first two.

    Args:
        failure: How its last attempt failed.
        earlier: Those before.
        retries: How often each reason may be tried again.
    """
    if failure.reason in {"error", "invalid"} and failure in earlier:
        return False
    return sum(e.reason == failure.reason for e in earlier) < retries.get(failure.reason, 0)


def failures_before(records: Sequence[Record]) -> list[Failure]:
    """Return the failures among the attempts at one trial, in the order of its records."""
    return [failure_of(r.reason, r.error) for r in records if r.outcome == "failed"]


class Breaker:
    """Ends a sweep whose trials fail one after another: the cause is hardly in them.

    Told in trial order, so that where it ends a sweep depends on no timing. A diverged trial is no
    failure here: it was trained, and samplers learn from it.
    """

    def __init__(self, limit: int) -> None:
        """Begin to count.

        Args:
            limit: So many trials in a row are too many; 0 for any number.
        """
        self._limit = limit
        self._row: list[Failure] = []

    def tell(self, failure: Failure | None) -> None:
        """Take how the next trial failed, None if it did not (or did so in an earlier start)."""
        if self.cause() is None:
            self._row = [*self._row, failure] if failure else []

    def cause(self) -> str | None:
        """Return, in one line, why the sweep must end; None if it need not."""
        if not self._limit or len(self._row) < self._limit:
            return None
        last = self._row[-1]
        text = f"{len(self._row)} trials in a row failed"
        reasons = Counter(failure.reason for failure in self._row)
        if len(reasons) > 1:
            shares = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
            return f"{text} ({shares}), the last by {last.reason}: {first_line(last.cause)}"
        same = "all" if len({first_line(f.cause) for f in self._row}) == 1 else "the last"
        return f"{text} ({last.reason}), {same} with: {first_line(last.cause)}"
