"""The sweep's side of MLflow: what is handed to the projector, and how the parent run ends."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from sweeps.config import SweepConfig
from sweeps.coordinator.champion import LoadExperiment, project_champion
from sweeps.coordinator.failures import FAILURES
from sweeps.coordinator.signals import INTERRUPTIONS, StopRequest
from sweeps.experiment import Experiment
from sweeps.home import Home
from sweeps.progress import Progress
from sweeps.records import SWEEP, Ending, Notes, Record, RecordStore, SweepInfo, SweepStatus
from sweeps.records.ranking import ranked
from sweeps.report.markdown import render_markdown
from sweeps.report.slots import slot_rows
from sweeps.report.summary import Summary, summarize
from sweeps.report.table import trial_table, write_csv
from sweeps.tracking.address import redacted
from sweeps.tracking.arranging import directions, show_view
from sweeps.tracking.content import SweepNote
from sweeps.tracking.files import TABLE_TAGS, TRIALS_TABLE, table_json
from sweeps.tracking.known import KnownSweep
from sweeps.tracking.pictures import BEST, show_pictures
from sweeps.tracking.projection import Projection
from sweeps.tracking.projector import ProjectionReport, Projector

CLOSE_TIMEOUT_SECONDS: Final = 60.0
"""How long the end of a sweep waits for MLflow; what is missing then is reported, not lost."""

INTERRUPTED_TIMEOUT_SECONDS: Final = 4.0
"""The same after Ctrl-C or SIGTERM: whoever asked for the end is waiting for it."""


class ParentRun:
    """Projects one sweep: its parent run and a child run an attempt."""

    def __init__(
        self,
        config: SweepConfig,
        info: SweepInfo,
        tracking_uri: str,
        progress: Progress,
        *,
        is_away: bool = False,
    ) -> None:
        self._home, self._info, self._experiment = config.home, info, config.experiment
        self._store: RecordStore = config.home.store(info.id)

        def warn(problem: str) -> None:
            if not is_away:  # the user has been told
                progress.note(outage_note(tracking_uri, problem))

        projection = Projection(tracking_uri, config.home.artifacts, self._store.folder)
        note = sweep_note(info, config.limits.trials, is_running=True)
        self._projector = Projector(projection, info, note, on_outage=warn)
        self._projector.start()

    def catch_up(self, records: Sequence[Record]) -> None:
        """Project what an earlier start recorded but could not project any more.

        A run whose record was torn, and put aside, is deleted: its trial runs again.
        """
        recorded = {record.spec.key for record in records}
        if recorded:
            self._projector.discard(lambda key: key not in recorded)
        for record in records:
            key = record.spec.key
            read = partial(self._store.read, key)
            self._projector.put(record, self._draw(key), only_if_missing=True, read=read)

    def project(self, record: Record) -> None:
        """Project an attempt soon; returns at once."""
        self._projector.put(record, self._draw(record.spec.key))

    def abandon(self, error: BaseException) -> None:
        """Give the parent run its terminal status when the sweep ends by an exception."""
        status: SweepStatus = "FAILED" if isinstance(error, Exception) else "KILLED"
        text = f"{type(error).__name__} {error}".strip()
        self._end(Ending(status, "error", error=text))
        self._projector.close(INTERRUPTED_TIMEOUT_SECONDS)

    def finish(self, summary: Summary, *, failed: bool, request: StopRequest) -> ProjectionReport:
        """End the parent run and wait for everything handed over before.

        Args:
            summary: How the sweep ended.
            failed: Whether it missed what it was asked to reach.
            request: A signal shortens the wait.

        Returns:
            Which runs are missing in MLflow, and why.
        """
        status = _status(summary, failed=failed)
        self._end(
            Ending(
                status,
                summary.stopped_by,
                summary.seconds,
                summary.time_split,
                failure_cause=summary.failure_cause,
            )
        )
        return self._projector.close(
            CLOSE_TIMEOUT_SECONDS,
            is_urgent=lambda: request.reason is not None,
            urgent_seconds=INTERRUPTED_TIMEOUT_SECONDS,
        )

    def _end(self, ending: Ending) -> None:
        with contextlib.suppress(OSError):  # a full disk: `sweeps sync` will say `killed`
            self._store.end(ending)
        send_notes(self._projector, self._store)
        finish(self._projector, self._home, self._info, ending, lambda: self._experiment)

    def _draw(self, key: str) -> partial[Mapping[str, bytes]]:
        return partial(draw, self._experiment, self._store, key)


def sweep_note(info: SweepInfo, asked: int, *, is_running: bool) -> SweepNote:
    """Return what the parent run says from the start on."""
    reproducible = info.fingerprint.get("order", "slots") == "slots"
    tags = {"asked": str(asked), "reproducible": str(reproducible).lower()}
    return SweepNote(tags=tags, is_running=is_running)


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
    tags = {
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


def send_notes(projector: Projector, store: RecordStore) -> None:
    """Have what people noted about trials shown by MLflow."""
    notes = Notes(store.folder).all()
    for record in store.read_all() if notes.keys() - {SWEEP} else []:
        text = notes.get(str(record.spec.slot))
        if text is not None and record.ends_slot:
            projector.annotate(record.spec.key, text)


def finish(
    projector: Projector, home: Home, info: SweepInfo, ending: Ending, load: LoadExperiment
) -> None:
    """Have the parent run ended, then what takes longer: the pictures of the best runs."""
    store = home.store(info.id)
    projector.finish(lambda runs: end_parent(runs, home, info, ending, load))

    def show(client: Any, sweep: KnownSweep) -> None:
        best = best_whole(store, info, store.read_all())
        show_pictures(client, sweep, info, best, store.folder)

    projector.finish(lambda runs: runs.arrange(info, show))


def end_parent(
    projection: Projection, home: Home, info: SweepInfo, ending: Ending, load: LoadExperiment
) -> None:
    """Write how a sweep ended into its parent run, and register its best model."""
    store = home.store(info.id)
    records = store.read_all()
    end = describe_end(info, records, store.asked() or 0, ending)
    noted = Notes(store.folder).all().get(SWEEP)
    rows = slot_rows(records)
    table = io.StringIO(newline="")
    write_csv(rows, table, objective=info.metric)
    files = {
        "trials.csv": table.getvalue().encode(),
        TRIALS_TABLE: table_json(*trial_table(rows, objective=info.metric)),
    }

    def describe(client: Any, sweep: KnownSweep) -> str:
        best = best_whole(store, info, records)
        show_view(client, sweep, info, records, best)
        return directions(info, sweep, best, end.note, noted)

    projection.finish_sweep(
        info,
        ending.status,
        {**end.tags, **TABLE_TAGS},
        projection.arrange(info, describe),
        best=end.best,
        files=files,
        finished_at=max((r.finished_at for r in records), default=info.created_at),
    )
    # After the parent has its status, and in one job with it: an error begins the parent anew.
    project_champion(projection, store, info, records, load)


def best_whole(store: RecordStore, info: SweepInfo, records: Sequence[Record]) -> list[Record]:
    """Return the best complete trials with their arrays: those whose pictures are shown."""
    return [store.read(record.spec.key) for record in ranked(records, info.direction)[:BEST]]


def draw(experiment: Experiment, store: RecordStore, key: str) -> Mapping[str, bytes]:
    """Return the pictures of an attempt by name."""
    record = store.read(key)
    if record.result is None or not record.result.history:
        return {}
    return experiment.draw(record.spec, record.result)


def outage_note(tracking_uri: str, problem: str) -> str:
    """Return the one warning about a store that is away."""
    return (
        f"MLflow at {redacted(tracking_uri)} cannot be reached ({problem}); the sweep goes on, "
        "its runs follow later"
    )


def _status(summary: Summary, *, failed: bool) -> SweepStatus:
    if summary.stopped_by in INTERRUPTIONS:
        return "KILLED"
    return "FAILED" if failed or summary.stopped_by == FAILURES else "FINISHED"
