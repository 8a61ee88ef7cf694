"""Records -> one row a trial; the first step of every table, verdict and plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal

from sweeps.records.ranking import front_of, values_among
from sweeps.wording import printable

if TYPE_CHECKING:
    from search_spaces.objectives import Objective
    from search_spaces.parameters import Value
    from sweeps.journal.events import Outcome, Record

RowState = Literal["COMPLETE", "PRUNED", "FAILED", "WAITING"]

STATES: tuple[RowState, ...] = ("COMPLETE", "PRUNED", "FAILED", "WAITING")
"""All states of a trial. The first three are outcomes; a WAITING trial is run again."""

BASELINE_PREFIX = "baseline "

_STATE_OF: Mapping[Outcome, RowState] = {
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "interrupted": "WAITING",
}


@dataclass  # not frozen: there may be 100,000, and five times as many are made in a second
class TrialRow:
    """The result of one trial.

    Attributes:
        trial: Number of the trial in its sweep, from 0.
        state: The state it ended in; WAITING while it has no outcome.
        reason: Why it ended, in one word: `early_stopping`, `diverged`, `error`, `interrupted`,
            ...; of a WAITING trial why its last attempt brought no outcome.
        attempts: Number of the last recorded attempt, from 1.
        origin: `baseline <name>`, `imported <place>`, `learned from <source>`, `sampled`, `random`
            or `grid`.
        seed: Seed of everything random in the trial.
        params: Sampled parameters in the order of the space; inactive ones are absent.
        metrics: Headline metrics; empty if the trial produced none.
        objective: Value of the (first) objective metric; None unless COMPLETE.
        epochs: Number of epochs trained; 0 if there is no history.
        seconds: Wall time of the deciding attempt.
        started_at: Its start, milliseconds since the epoch (UTC).
        finished_at: Its end, milliseconds since the epoch (UTC).
        error: Message and end of the traceback of a failed attempt, else None.
    """

    trial: int
    state: RowState
    reason: str
    attempts: int
    origin: str
    seed: int
    params: Mapping[str, Value]
    metrics: Mapping[str, float]
    objective: float | None
    epochs: int
    seconds: float
    started_at: int
    finished_at: int
    error: str | None

    @property
    def baseline(self) -> str | None:
        """Name of the baseline that this trial is; None if it is none."""
        is_baseline = self.origin.startswith(BASELINE_PREFIX)
        return self.origin.removeprefix(BASELINE_PREFIX) if is_baseline else None

    def values(self, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
        """Return its values, one an objective; None if one is missing."""
        return values_among(self.objective, self.metrics, objectives)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON-compatible mapping; keys are the attributes' names."""
        return {**vars(self), "params": dict(self.params), "metrics": dict(self.metrics)}


def trial_rows(records: Sequence[Record]) -> list[TrialRow]:
    """Return one row a trial, ordered by trial.

    The last final attempt decides a trial. A trial whose attempts were interrupted, or failed and
    are to be tried again, has no outcome yet: it is WAITING, and its row shows the last attempt.
    """
    attempts: dict[int, list[Record]] = {}
    for record in records:
        attempts.setdefault(record.trial, []).append(record)
    return [trial_row(attempts[trial]) for trial in sorted(attempts)]


def trial_row(attempts: Sequence[Record]) -> TrialRow:
    """Return the row of one trial.

    Args:
        attempts: Every recorded attempt at the trial, in any order; at least one.
    """
    last = deciding = attempts[0]
    if len(attempts) > 1:
        last = max(attempts, key=_attempt)
        deciding = max((r for r in attempts if r.ends_trial), key=_attempt, default=last)
    trained = deciding.trained
    is_said_by_it = deciding.outcome in {"diverged", "interrupted"}
    return TrialRow(
        trial=deciding.trial,
        state=_STATE_OF[deciding.outcome] if deciding.ends_trial else "WAITING",
        # For filters of tables the reason is `diverged` or `interrupted`, whatever a record says.
        reason=deciding.outcome if is_said_by_it else printable(deciding.reason),
        attempts=last.attempt,
        origin=deciding.origin,
        seed=deciding.seed,
        params=deciding.params,
        metrics=trained.metrics if trained else {},
        objective=deciding.objective if deciding.outcome == "complete" else None,
        epochs=deciding.epochs,
        seconds=deciding.seconds,
        started_at=deciding.started_at,
        finished_at=deciding.finished_at,
        error=deciding.error,
    )


def best_row(
    rows: Iterable[TrialRow], direction: Literal["maximize", "minimize"]
) -> TrialRow | None:
    """Return the COMPLETE row with the best objective, or None if no trial is COMPLETE.

    Baselines take part. Equal objectives go to the lower trial, so that the answer does not depend
    on the order in which trials finished.
    """
    return next(iter(best_rows(rows, direction, 1)), None)


def best_rows(
    rows: Iterable[TrialRow], direction: Literal["maximize", "minimize"], most: int
) -> list[TrialRow]:
    """Return the COMPLETE rows with the best objectives, at most so many; see `best_row`."""
    sign = 1.0 if direction == "maximize" else -1.0
    ranked = [
        (-sign * row.objective, row.trial, row)
        for row in rows
        if row.state == "COMPLETE" and row.objective is not None
    ]
    return [entry[2] for entry in nsmallest(most, ranked, key=lambda entry: entry[:2])]


def front_rows(rows: Iterable[TrialRow], objectives: Sequence[Objective]) -> list[TrialRow]:
    """Return the COMPLETE rows on the Pareto front, the best by the first objective first."""
    in_order = sorted(rows, key=_trial)
    return front_of(in_order, lambda row: row.values(objectives), objectives)


def is_retried(record: Record) -> bool:
    """Whether an attempt failed without deciding its trial: it was, or will be, tried again."""
    return record.outcome == "failed" and not record.ends_trial


_attempt: Final = attrgetter("attempt")
_trial: Final = attrgetter("trial")
