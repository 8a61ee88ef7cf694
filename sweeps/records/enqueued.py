"""What a user asks of a sweep: points to be tried, and failed trials to be run again.

Both are events. The first attempt of the trial that tries a point names it, so that points can be
enqueued while the sweep runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from search_spaces.parameters import Value
from sweeps.errors import UsageError
from sweeps.journal.events import Enqueued, Record, Retried

if TYPE_CHECKING:
    from sweeps.records.store import RecordStore


@dataclass(frozen=True)
class EnqueuedPoint:
    """A point to be tried.

    Attributes:
        number: From 1, in the order of asking.
        params: Every parameter active at the point.
        origin: Where it came from: `enqueued`, `enqueued, <sweep> trial <n>`, or as `Longer` has
            it.
        trial: The trial that tries it; None while it waits.
    """

    number: int
    params: Mapping[str, Value]
    origin: str
    trial: int | None = None


EPOCHS: Final = "epochs"
"""Parameter of an experiment: the most epochs that it trains."""
_LONGER: Final = re.compile(r"enqueued, trial ([0-9]{1,9}) with ([0-9]{1,9}) epochs")


@dataclass(frozen=True)
class Longer:
    """What makes a trial an earlier one of its sweep with more epochs.

    It has that trial's parameters and seed, so that its first epochs are those of that trial.

    Attributes:
        trial: Number of the earlier trial, which is not a longer one itself.
        epochs: The most epochs to be trained.
    """

    trial: int
    epochs: int

    @property
    def origin(self) -> str:
        """The origin of such a proposal, in which it is stored."""
        return f"enqueued, trial {self.trial} with {self.epochs} epochs"

    @classmethod
    def of(cls, origin: str) -> Longer | None:
        """Return what an origin says; None for that of any other proposal."""
        found = _LONGER.fullmatch(origin)
        return None if found is None else cls(int(found[1]), int(found[2]))

    def configuration(self, config: Mapping[str, Value]) -> dict[str, Value]:
        """Return what the experiment receives, for the configuration of the earlier trial."""
        return {**config, EPOCHS: self.epochs}


class EnqueuedPoints:
    """The enqueued points of one sweep."""

    def __init__(
        self, store: RecordStore, fits: Callable[[Mapping[str, Value]], bool] = lambda params: True
    ) -> None:
        """Remember sweep and space.

        Args:
            store: The records of the sweep.
            fits: Whether a point lies in the sweep's space. A point that does not, because the
                sweep was extended meanwhile, waits until it does.
        """
        self._store, self._fits = store, fits
        self._taken: dict[int, int] = {}  # by a trial of this process whose attempt is to begin

    def add(self, params: Mapping[str, Value], origin: str) -> EnqueuedPoint:
        """Enqueue a point; it is on disk when this returns. The caller keeps others out."""
        self._store.journal.fetch()
        state = self._store.state()
        number = max((*state.points, *state.tried), default=0) + 1  # an event may be damaged
        self._store.append(Enqueued(point=number, params=dict(params), origin=origin))
        return EnqueuedPoint(number, params, origin)

    def all(self) -> list[EnqueuedPoint]:
        """Return every enqueued point in order."""
        state = self._store.state()
        tried = {**self._taken, **state.tried}
        return [
            EnqueuedPoint(number, point.params, point.origin, tried.get(number))
            for number, point in sorted(state.points.items())
        ]

    def total(self, asked: int, opened: int = 0) -> int:
        """Return how many trials the sweep is to have in all.

        Args:
            asked: How many were asked for. The total is higher if that leaves too few trials for
                the enqueued points.
            opened: How many trials there are already.
        """
        if not self._store.state().points:
            return max(asked, opened)
        points = self.all()
        taken = max((point.trial + 1 for point in points if point.trial is not None), default=0)
        return max(asked, taken, opened + sum(self._waits(point) for point in points))

    def for_trial(self, trial: int) -> EnqueuedPoint | None:
        """Return the enqueued point that a trial tries; None if there is none.

        A trial without a point takes the first that waits.
        """
        if not self._store.state().points:
            return None
        points = self.all()
        own = next((point for point in points if point.trial == trial), None)
        waiting = next((point for point in points if self._waits(point)), None)
        if own is None and waiting is not None:
            self._taken[waiting.number] = trial
        return own or waiting

    def _waits(self, point: EnqueuedPoint) -> bool:
        return point.trial is None and self._fits(point.params)


class Retries:
    """The marks of `sweeps retry`."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def add(self, attempts: Sequence[str], opened: int) -> None:
        """Mark attempts; see `Retried`.

        Raises:
            StoreError: The mark cannot be written; nothing of it is left.
        """
        self._store.append(Retried(attempts=tuple(attempts), opened=opened))

    def attempts(self) -> frozenset[str]:
        """Return the keys of the failed attempts that no longer end their trials."""
        return frozenset(self._store.state().undone)

    def opened_by(self) -> dict[int, int]:
        """Return for each marked trial how many trials had been proposed at its last mark."""
        marks = self._store.state().retried
        return {trial_of(key): mark.opened for mark in marks for key in mark.attempts}

    def waiting(self, records: Sequence[Record]) -> list[int]:
        """Return the trials that were marked and have no new outcome yet."""
        ended = {record.trial for record in records if record.ends_trial}
        return sorted(self.opened_by().keys() - ended)


def trial_of(key: str) -> int:
    """Return the trial number in the key of an attempt."""
    return int(key.partition("-")[0])


def trials_to_retry(
    sweep: str, records: Sequence[Record], waiting: Sequence[int], asked: Sequence[int]
) -> list[Record]:
    """Return the failed attempts that shall no longer end their trials.

    Args:
        sweep: Name of the sweep.
        records: All of its records, ordered by trial and attempt.
        waiting: Trials that were marked before and have no new outcome yet; they are run again
            without another mark.
        asked: Numbers of the trials to run again; empty for all that failed.

    Raises:
        UsageError: One of them did not fail; the message says which did.
    """
    final = {record.trial: record for record in records if record.ends_trial}
    failed = {trial: record for trial, record in final.items() if record.outcome == "failed"}
    known = sorted({*failed, *waiting})
    which = f"failed are {', '.join(map(str, known))}" if known else "no trial failed"
    if not known and not asked:
        raise UsageError(f"sweep {sweep!r} has no failed trial to be run again")
    others = sorted({*asked} - {*known})
    if others:
        reason = _refusal(sweep, others, final, {record.trial for record in records})
        raise UsageError(f"{reason}; {which}")
    return [failed[trial] for trial in sorted({*asked} or known) if trial in failed]


def _refusal(sweep: str, others: Sequence[int], final: dict[int, Record], begun: set[int]) -> str:
    """Return why the first of these trials, and others of the same kind, cannot be run again."""
    absent = [trial for trial in others if trial not in begun]
    if absent:
        return f"sweep {sweep!r} has no trial {absent[0]}"
    open_trials = [trial for trial in others if trial not in final]
    if open_trials:
        return f"trial {open_trials[0]} has no outcome yet: `sweeps run` goes on with it"
    diverged = [trial for trial in others if final[trial].outcome == "diverged"]
    if diverged:
        return (
            f"trial {diverged[0]} diverged (its numbers became NaN or infinite): that is an "
            "outcome, which samplers learn from"
        )
    state = final[others[0]].outcome.upper()
    alike = [str(trial) for trial in others if final[trial].outcome.upper() == state]
    return f"trials {', '.join(alike)} are {state}" if alike[1:] else f"trial {alike[0]} is {state}"
