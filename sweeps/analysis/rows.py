"""Records -> one row a slot; the first step of every table, verdict and plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from sweeps.records.ranking import front_of, values_among
from sweeps.wording import printable

if TYPE_CHECKING:
    from search_spaces.objectives import Objective
    from search_spaces.parameters import Value
    from sweeps.records.record import Outcome, Record

SlotState = Literal["COMPLETE", "PRUNED", "FAILED", "WAITING"]

STATES: tuple[SlotState, ...] = ("COMPLETE", "PRUNED", "FAILED", "WAITING")
"""Every state of a slot; the first three are outcomes, after WAITING the slot is run again."""

BASELINE_PREFIX = "baseline "

_STATE_OF: Mapping[Outcome, SlotState] = {
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "interrupted": "WAITING",
}


@dataclass(frozen=True)
class SlotRow:
    """What became of one slot.

    Attributes:
        slot: Number of the trial in its sweep, from 0.
        state: How the slot ended; WAITING while it has no outcome.
        reason: Why, in one word: `early_stopping`, `diverged`, `error`, `interrupted`, ...; of a
            WAITING slot why its last attempt gave it none.
        attempts: Number of the last recorded attempt, from 1.
        origin: `baseline <name>`, `sampled`, `random` or `grid`.
        seed: Decides everything random in the trial.
        params: Sampled parameters in the order of the space; inactive ones are absent.
        metrics: Headline metrics; empty if the trial produced none.
        objective: Value of the (first) objective metric; None unless COMPLETE.
        epochs: Number of epochs trained; 0 if there is no history.
        seconds: Wall time of the deciding attempt.
        started_at: Its start, milliseconds since the epoch (UTC).
        finished_at: Its end, milliseconds since the epoch (UTC).
        error: Message and end of the traceback of a failed attempt, else None.
    """

    slot: int
    state: SlotState
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
        """Name of the baseline this slot tried, None if it was not one."""
        is_baseline = self.origin.startswith(BASELINE_PREFIX)
        return self.origin.removeprefix(BASELINE_PREFIX) if is_baseline else None

    def values(self, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
        """Return what it is worth, one value an objective; None if one is lacking."""
        return values_among(self.objective, self.metrics, objectives)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON-compatible mapping; keys are the attributes' names."""
        return asdict(self)


def slot_rows(records: Sequence[Record]) -> list[SlotRow]:
    """Return one row a slot, ordered by slot.

    The last final attempt decides a slot. A slot whose attempts were interrupted, or failed and are
    to be tried again, has no outcome yet: it is WAITING, and its last attempt is shown.
    """
    attempts: dict[int, list[Record]] = {}
    for record in records:
        attempts.setdefault(record.spec.slot, []).append(record)
    return [slot_row(attempts[slot]) for slot in sorted(attempts)]


def slot_row(attempts: Sequence[Record]) -> SlotRow:
    """Return the row of one slot.

    Args:
        attempts: Every recorded attempt at the slot, in any order; at least one.
    """
    last = max(attempts, key=_attempt)
    deciding = max((r for r in attempts if r.ends_slot), key=_attempt, default=last)
    result = deciding.result
    history = result.history if result else {}
    return SlotRow(
        slot=deciding.spec.slot,
        state=_STATE_OF[deciding.outcome] if deciding.ends_slot else "WAITING",
        reason=_reason(deciding),
        attempts=last.spec.attempt,
        origin=deciding.origin,
        seed=deciding.spec.seed,
        params=dict(deciding.params),
        metrics=dict(result.metrics) if result else {},
        objective=deciding.objective if deciding.outcome == "complete" else None,
        epochs=max((len(values) for values in history.values()), default=0),
        seconds=deciding.seconds,
        started_at=deciding.started_at,
        finished_at=deciding.finished_at,
        error=deciding.error,
    )


def best_row(rows: Iterable[SlotRow], direction: Literal["maximize", "minimize"]) -> SlotRow | None:
    """Return the COMPLETE row with the best objective, or None if no slot is COMPLETE.

    Baselines take part. Equal objectives go to the lower slot, so that the answer does not depend
    on the order in which trials finished.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    ranked = [
        (-sign * row.objective, row.slot, row)
        for row in rows
        if row.state == "COMPLETE" and row.objective is not None
    ]
    return min(ranked, key=lambda entry: entry[:2])[2] if ranked else None


def front_rows(rows: Iterable[SlotRow], objectives: Sequence[Objective]) -> list[SlotRow]:
    """Return the COMPLETE rows on the Pareto front, the best by the first objective first."""
    in_order = sorted(rows, key=lambda row: row.slot)
    return front_of(in_order, lambda row: row.values(objectives), objectives)


def is_retried(record: Record) -> bool:
    """Whether an attempt failed without deciding its slot: it was, or will be, tried again."""
    return record.outcome == "failed" and not record.ends_slot


def _attempt(record: Record) -> int:
    return record.spec.attempt


def _reason(record: Record) -> str:
    """Say `diverged` and `interrupted` whatever the record's own word: tables filter by them."""
    is_said_by_it = record.outcome in {"diverged", "interrupted"}
    return record.outcome if is_said_by_it else printable(record.reason)
