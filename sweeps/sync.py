"""`sweeps sync`: sends what a store of runs lacks, from the records; sending again adds nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from sweeps.coordinator.attempt_files import AttemptFiles
from sweeps.coordinator.holding import hold
from sweeps.coordinator.parent import send_notes, sweep_note
from sweeps.coordinator.parent_end import ending_of, finish
from sweeps.examining import Examiner
from sweeps.experiment_loading import recorded_experiment
from sweeps.home import Home
from sweeps.prepared_again import PreparedAgain
from sweeps.records import SweepInfo
from sweeps.tracking.projection import Projection
from sweeps.tracking.projector import Projector


@dataclass(frozen=True)
class SyncReport:
    """What came of one sweep.

    Attributes:
        sweep: Its name.
        records: Attempts recorded, each of which is to have a run.
        written: Keys (`<slot>-<attempt>`) of those whose run was missing or torn, written now.
        pending: What is missing still: keys of attempts, `sweep` for the parent run.
        error: Why, in one line; None if nothing is missing.
    """

    sweep: str
    records: int
    written: list[str]
    pending: list[str]
    error: str | None


def sync_sweep(
    home: Home,
    info: SweepInfo,
    tracking_uri: str,
    on_written: Callable[[str], None] = lambda key: None,
    source: str | None = None,
) -> SyncReport:
    """Write the runs of a sweep that are missing or torn, and its parent run.

    Args:
        home: Where the sweep lies.
        info: The sweep.
        tracking_uri: From `resolve_tracking_uri`.
        on_written: Called with the key of each attempt that is about to be written; in another
            thread.
        source: Where its data are to be had; None for the experiment's own.

    Raises:
        UsageError: Another process runs the sweep.
        RecordError: A record cannot be read.
    """
    with hold(home, info):
        return send(home, info, tracking_uri, on_written, source=source)


def show_conclusions(
    home: Home, info: SweepInfo, tracking_uri: str, source: str | None = None
) -> int:
    """Have MLflow show what was concluded of a sweep; whoever runs it now does that at its end.

    Arguments and errors are those of `sync_sweep`.

    Returns:
        How many runs MLflow lacks.
    """
    if home.is_running(info.id):
        home.publish(info.id)
        return 0
    return len(sync_sweep(home, info, tracking_uri, source=source).pending)


def send(
    home: Home,
    info: SweepInfo,
    tracking_uri: str,
    on_written: Callable[[str], None] = lambda key: None,
    on_discarded: Callable[[str], None] = lambda key: None,
    *,
    again: Collection[str] = (),
    replaced: Collection[str] = (),
    source: str | None = None,
) -> SyncReport:
    """Do what `sync_sweep` does for who holds the sweep's lock.

    Ends after a few tries if the store is away.

    Args:
        home: Where the sweep lies.
        info: The sweep.
        tracking_uri: See `sync_sweep`.
        on_written: See `sync_sweep`.
        on_discarded: Called with the key of each attempt whose run was deleted: it has no record,
            or is one of `replaced`; in another thread.
        again: Keys of attempts to be written even if their run looks complete.
        replaced: Keys of attempts whose run is to be deleted first.
        source: See `sync_sweep`.
    """
    store = home.store(info.id)
    if store.is_archived:
        return SyncReport(info.name, 0, [], [], None)  # its runs are hidden
    load = partial(recorded_experiment, info, home.records)
    records, written = store.read_all(), dict[str, None]()
    prepared = PreparedAgain(load, source=source)
    files = AttemptFiles(info, store, Examiner(prepared, info.experiment))

    def drawing(key: str) -> Mapping[str, bytes]:
        if key not in written:
            written[key] = None
            on_written(key)
        # Imported only now: nothing is missing as a rule. If it cannot be imported, the run gets
        # its numbers and counts as pending.
        return files(key)

    note = sweep_note(info, store.asked() or 0, is_running=False)
    projector = Projector(Projection(tracking_uri, home.artifacts, store.folder), info, note)
    projector.start()
    recorded = {record.spec.key for record in records}
    projector.discard(lambda key: key not in recorded or key in replaced, on_discarded)
    for record in records:
        key = record.spec.key
        missing = key not in again
        read = partial(store.read, key)
        projector.put(record, partial(drawing, key), only_if_missing=missing, read=read)
    send_notes(projector, store)
    ending = ending_of(store, records)
    finish(projector, home, info, ending, prepared)
    report = projector.close(math.inf)
    keys = [key for key in written if key not in report.pending]
    return SyncReport(info.name, len(records), keys, report.pending, report.error)
