"""Decides whether a failed attempt is repeated, and when too many failures end the sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sweeps.records import Record
from sweeps.wording import first_line

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
    return sum(e.reason == failure.reason for e in earlier) < retries.get(failure.reason, 0)


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
        text = f"{len(self._row)} trials in a row failed"
        reasons = Counter(failure.reason for failure in self._row)
        if len(reasons) > 1:
            shares = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
            return f"{text} ({shares}), the last by {last.reason}: {first_line(last.cause)}"
        same = "all" if len({first_line(f.cause) for f in self._row}) == 1 else "the last"
        return f"{text} ({last.reason}), {same} with: {first_line(last.cause)}"
