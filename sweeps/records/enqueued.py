"""What a user asks of a sweep: points to be tried, and failed trials to be run again.

Both are events (`Enqueued`, `Retried`). The first attempt of the trial that tries a point names it,
so that points can be enqueued while the sweep runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from search_spaces.parameters import Value
from sweeps.errors import UsageError
from sweeps.journal import SweepState
from sweeps.journal.events import Enqueued, Record
from sweeps.records.store import RecordStore

EPOCHS: Final = "epochs"
"""Parameter of an experiment: the most epochs that it trains."""
_LONGER: Final = re.compile(r"enqueued, trial ([0-9]{1,9}) with ([0-9]{1,9}) epochs")


@dataclass(frozen=True)
class Longer:
    """A trial that is an earlier one of its sweep, trained for up to so many epochs.

    It has that trial's parameters and seed, so that its first epochs are those of that trial, which
    is not a longer one itself.
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


def enqueue(store: RecordStore, *points: Mapping[str, Value], origin: str) -> list[Enqueued]:
    """Enqueue points; they are on disk when this returns. The caller keeps others out."""
    store.journal.fetch()
    state = store.state()
    first = max((*state.points, *state.tried), default=0) + 1  # an event may be damaged
    queued = [
        Enqueued(point=number, params=dict(params), origin=origin)
        for number, params in enumerate(points, first)
    ]
    store.append(*queued)
    return queued


def waiting_points(
    state: SweepState, fits: Callable[[Mapping[str, Value]], bool]
) -> Iterator[Enqueued]:
    """Yield the enqueued points that no trial tries yet and that fit, in order."""
    waiting = sorted(state.points.keys() - state.tried.keys())
    return (state.points[number] for number in waiting if fits(state.points[number].params))


def trials_in_all(
    state: SweepState, asked: int, opened: int, fits: Callable[[Mapping[str, Value]], bool]
) -> int:
    """Return how many trials a sweep is to have: those asked for, or more for enqueued points."""
    taken = max(state.tried.values(), default=-1) + 1
    return max(asked, taken, opened + sum(1 for _ in waiting_points(state, fits)))


def opened_at_retry(state: SweepState) -> dict[int, int]:
    """Return for each trial that `sweeps retry` marked how many had been proposed by then."""
    return {
        int(key.partition("-")[0]): mark.opened for mark in state.retried for key in mark.attempts
    }


def trials_to_retry(
    sweep: str, state: SweepState, records: Sequence[Record], asked: Sequence[int]
) -> dict[int, Record | None]:
    """Return the trials to be run again, each with the failed attempt that ends it.

    None stands for a trial that was marked before and has no new outcome yet: it is run again
    without another mark. With no number `asked`, these are all that failed.

    Raises:
        UsageError: One of them did not fail; the message says which did.
    """
    final = {record.trial: record for record in records if record.ends_trial}
    failed = {trial: record for trial, record in final.items() if record.outcome == "failed"}
    marked = dict.fromkeys(opened_at_retry(state).keys() - final.keys())
    known: dict[int, Record | None] = {**marked, **failed}
    which = f"failed are {', '.join(map(str, sorted(known)))}" if known else "no trial failed"
    if not known and not asked:
        raise UsageError(f"sweep {sweep!r} has no failed trial to be run again")
    if others := sorted({*asked} - {*known}):
        reason = _refusal(sweep, others, final, {record.trial for record in records})
        raise UsageError(f"{reason}; {which}")
    return {trial: known[trial] for trial in sorted({*asked} or known)}


def _refusal(sweep: str, others: Sequence[int], final: dict[int, Record], begun: set[int]) -> str:
    """Return why the first of these trials, and others of the same kind, cannot be run again."""
    if absent := [trial for trial in others if trial not in begun]:
        return f"sweep {sweep!r} has no trial {absent[0]}"
    if open_trials := [trial for trial in others if trial not in final]:
        return f"trial {open_trials[0]} has no outcome yet: `sweeps run` goes on with it"
    if diverged := [trial for trial in others if final[trial].outcome == "diverged"]:
        return (
            f"trial {diverged[0]} diverged (its numbers became NaN or infinite): that is an "
            "outcome, which samplers learn from"
        )
    state = final[others[0]].outcome.upper()
    alike = [str(trial) for trial in others if final[trial].outcome.upper() == state]
    return f"trials {', '.join(alike)} are {state}" if alike[1:] else f"trial {alike[0]} is {state}"
