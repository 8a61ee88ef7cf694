"""The rows of `sweeps list`: one for each sweep."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from sweeps.analysis.rows import best_row, front_rows, trial_rows
from sweeps.wording import format_metric

if TYPE_CHECKING:
    from rich.table import Table

    from sweeps.records.record import Record, SweepInfo

ListingState = Literal["RUNNING", "FINISHED", "UNFINISHED", "EMPTY", "ARCHIVED"]


@dataclass(frozen=True)
class ListingRow:
    """One sweep in a list.

    Attributes:
        name: Name of the sweep.
        id: Its identifier.
        experiment: Short name of its experiment.
        done: Trials with an outcome.
        failed: Those among them that FAILED.
        asked: Number of trials asked for, None where it is not known.
        metric: Name of the objective metric.
        best: Best observed objective, None if no trial is COMPLETE, or there are several
            objectives.
        best_slot: Where it was observed, or None.
        created_at: Milliseconds since the epoch (UTC).
        generation: How often it was extended, plus one.
        objectives: Names of all objective metrics.
        front: Trials on the Pareto front of several objectives; None with one.
        state: RUNNING while a coordinator holds the sweep; else EMPTY without an outcome,
            UNFINISHED with fewer outcomes than asked or an interrupted trial, FINISHED otherwise;
            ARCHIVED if it is hidden.
    """

    name: str
    id: str
    experiment: str
    done: int
    failed: int
    asked: int | None
    metric: str
    best: float | None
    best_trial: int | None
    created_at: int
    generation: int
    state: ListingState
    objectives: tuple[str, ...] = ()
    front: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON-compatible mapping; keys are the attributes' names."""
        return asdict(self)


def listing_rows(
    sweeps: Sequence[tuple[SweepInfo, Sequence[Record]]],
    *,
    asked: Mapping[str, int] | None = None,
    running: Collection[str] = (),
    archived: Collection[str] = (),
) -> list[ListingRow]:
    """Return one row a sweep, the newest first.

    Args:
        sweeps: Each with all its records.
        asked: Number of trials asked for by sweep id, where it is known.
        running: Ids of sweeps that a coordinator holds now.
        archived: Ids of sweeps that are hidden.
    """
    newest_first = sorted(sweeps, key=lambda sweep: (-sweep[0].created_at, sweep[0].name))
    totals = asked or {}
    rows = [_row(info, r, totals.get(info.id), info.id in running) for info, r in newest_first]
    return [replace(row, state="ARCHIVED") if row.id in archived else row for row in rows]


def _row(
    info: SweepInfo, records: Sequence[Record], asked: int | None, running: bool
) -> ListingRow:
    rows = trial_rows(records)
    best = None if info.has_front else best_row(rows, info.direction)
    done = sum(row.state != "WAITING" for row in rows)
    state: ListingState = "FINISHED"
    if running:
        state = "RUNNING"
    elif not done:
        state = "EMPTY"
    elif done < len(rows) or done < (asked or 0):
        state = "UNFINISHED"
    return ListingRow(
        name=info.name,
        id=info.id,
        experiment=info.experiment_name,
        done=done,
        failed=sum(row.state == "FAILED" for row in rows),
        asked=asked,
        metric=info.metric,
        best=best.objective if best else None,
        best_trial=best.trial if best else None,
        created_at=info.created_at,
        generation=info.generation,
        state=state,
        objectives=tuple(objective.metric for objective in info.objectives),
        front=len(front_rows(rows, info.objectives)) if info.has_front else None,
    )


def render_listing(rows: Sequence[ListingRow], *, is_wide: bool = True) -> Table:
    """Return the rows as a table for the terminal; times are local.

    Args:
        rows: From `listing_rows`.
        is_wide: Whether there is room for ids and metrics; names are never broken for them.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    names = ("name", "state", "trials", "failed", "best\nobserved", "created", "id", "metric")
    for name in names if is_wide else names[:-2]:
        is_number = name in {"trials", "failed", "best\nobserved"}
        table.add_column(
            name,
            justify="right" if is_number else "left",
            no_wrap=name not in {"name", "metric"},
            overflow="fold",
        )
    for row in rows:
        created = datetime.fromtimestamp(row.created_at / 1000, tz=UTC).astimezone()
        cells = [
            Text(row.name, style="bold"),
            row.state,
            str(row.done) if row.asked is None else f"{row.done}/{row.asked}",
            Text(str(row.failed or ""), style="bold red"),
            _best(row),
            f"{created:%Y-%m-%d %H:%M}",
            Text(row.id),
            Text(", ".join(row.objectives) or row.metric, no_wrap=True, overflow="ellipsis"),
        ]
        table.add_row(*(cells if is_wide else cells[:-2]))
    return table


def _best(row: ListingRow) -> str:
    if row.front is not None:
        return f"front of {row.front}" if row.front else ""
    return "" if row.best is None else format_metric(row.best)
