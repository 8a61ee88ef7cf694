"""How a parent run ends: what it says then, its files, the view, the pictures, the champion.

All of it is a function of records and ending, so that `sweeps sync` can write it again.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sweeps.coordinator.champion import project_champion, project_pages
from sweeps.coordinator.parent_report import read_whole, report_files
from sweeps.home import Home
from sweeps.prepared_again import PreparedAgain
from sweeps.provenance import is_mixed
from sweeps.records import (
    SWEEP,
    Conclusions,
    Ending,
    Notes,
    Record,
    RecordStore,
    SweepInfo,
    heard,
    leading,
)
from sweeps.report.briefing import render_briefing
from sweeps.report.markdown import render_markdown, render_telling
from sweeps.report.slots import slot_rows
from sweeps.report.summary import summarize
from sweeps.report.table import trial_table, write_csv
from sweeps.tracking.arranging import directions, show_view
from sweeps.tracking.files import TABLE_TAGS, TRIALS_TABLE, table_json
from sweeps.tracking.front import mark_front
from sweeps.tracking.known import KnownSweep
from sweeps.tracking.outage import IncompleteError
from sweeps.tracking.pictures import BEST, show_pictures
from sweeps.tracking.projection import Projection
from sweeps.tracking.projector import Projector


def ending_of(store: RecordStore, records: Sequence[Record]) -> Ending:
    """Return how the last start of a sweep that nobody runs has ended.

    One that was killed could not say so. It is finished if it had all that it was asked for.
    """
    done = len({record.spec.slot for record in records if record.ends_slot})
    is_whole = done >= (store.asked() or 1)
    return store.ending() or (Ending("FINISHED", None) if is_whole else Ending("KILLED", "killed"))


class ParentEnd(NamedTuple):
    """What a parent run says at its end: a function of records and ending."""

    best: Record | None
    tags: dict[str, str]
    note: str


def describe_end(
    info: SweepInfo, records: Sequence[Record], asked: int, ending: Ending
) -> ParentEnd:
    """Return what the parent run is to say of a sweep that has ended."""
    summary = summarize(
        info,
        records,
        asked=asked,
        seconds=ending.seconds,
        stopped_by=ending.stopped_by,
        failure_cause=ending.failure_cause,
        time_split=ending.time_split,
    )
    best = [r for r in records if summary.best and r.spec.slot == summary.best.slot]
    front = {"front_size": str(len(summary.front))} if info.has_front else {}
    is_same = info.is_reproducible and not is_mixed(r.environment for r in records)
    mixed = {} if is_same else {"reproducible": "false"}
    tags = {
        **front,
        **mixed,
        "failed": str(summary.counts["FAILED"]),
        "done": str(summary.done),
        "asked": str(asked),
        "stopped_by": ending.stopped_by or "",
    }
    early = f"The sweep ended early: {ending.error}"
    return ParentEnd(
        next((record for record in reversed(best) if record.ends_slot), None),
        tags,
        early if ending.error else render_markdown(summary),
    )


def finish(
    projector: Projector,
    home: Home,
    info: SweepInfo,
    ending: Ending,
    again: PreparedAgain,
    *,
    is_hurried: bool = False,
) -> None:
    """Have the parent run ended, then what takes longer: pictures of the best runs, pages.

    Pages take seconds to draw: somebody in a hurry does not wait for them.
    """
    store = home.store(info.id)
    read = cache(store.read_all)  # once for all: no record is written any more
    projector.finish(lambda runs: end_parent(runs, store, info, ending, again, read()))

    def show(client: Any, sweep: KnownSweep) -> None:
        best = best_whole(store, info, read())
        show_pictures(client, sweep, info, best, store.folder)

    projector.finish(lambda runs: runs.arrange(info, show))
    if not is_hurried:
        projector.finish(lambda runs: project_pages(runs, store, info, read(), again))


def end_parent(
    projection: Projection,
    store: RecordStore,
    info: SweepInfo,
    ending: Ending,
    again: PreparedAgain,
    records: Sequence[Record],
) -> None:
    """Write how a sweep ended into its parent run, and register its best model.

    Raises:
        IncompleteError: All is written, but the report lacks the samples it could show.
    """
    end = describe_end(info, records, store.asked() or 0, ending)
    data, lacking = read_whole(store, info, again, records)
    told = "".join(map(render_telling, data.tellings))
    note = end.note if ending.error else f"{told}{end.note}\n{render_briefing(data)}\n"
    finalized = heard(Conclusions(store.folder).finalized)
    noted = (heard(Notes(store.folder).all) or {}).get(SWEEP)
    rows = slot_rows(records)
    table = io.StringIO(newline="")
    write_csv(rows, table, objectives=info.objectives, space=info.space)
    report = report_files(data, ending)
    files = {
        "trials.csv": table.getvalue().encode(),
        TRIALS_TABLE: table_json(*trial_table(rows, objectives=info.objectives, space=info.space)),
        **report,
    }

    def describe(client: Any, sweep: KnownSweep) -> str:
        best = best_whole(store, info, records)
        show_view(client, sweep, info, records, best)
        mark_front(client, sweep, info, records)
        return directions(info, sweep, best, note, noted)

    projection.finish_sweep(
        info,
        ending.status,
        {**end.tags, **TABLE_TAGS, **({"winner": finalized.winner} if finalized else {})},
        projection.arrange(info, describe),
        best=end.best,
        files=files,
        finished_at=max((r.finished_at for r in records), default=info.created_at),
    )
    # After the parent has its status, and in one job with it: an error begins the parent anew.
    project_champion(projection, store, info, records, again)
    if report and lacking is not None:
        raise IncompleteError(f"samples in the report of {info.name}", lacking) from lacking


def best_whole(store: RecordStore, info: SweepInfo, records: Sequence[Record]) -> list[Record]:
    """Return the best complete trials with their arrays: those whose pictures are shown.

    With several objectives those of the Pareto front come first.
    """
    return [store.read(record.spec.key) for record in leading(records, info.objectives)[:BEST]]
