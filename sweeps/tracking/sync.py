"""Has MLflow show what the records say: sends what is missing and ends deletions."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from sweeps.errors import LeaseLost, StoreError, UsageError
from sweeps.experiments.examining import Examiner
from sweeps.experiments.loading import recorded_experiment
from sweeps.experiments.verified_data import PreparedAgain
from sweeps.home import Home
from sweeps.records import RecordError, RecordStore, SweepInfo, heard, listed
from sweeps.runner.ownership import Hold, hold
from sweeps.study.storage import delete_study
from sweeps.tracking.parent import AttemptFiles, ending_of, finish, send_notes, sweep_note
from sweeps.tracking.projection import Projection
from sweeps.tracking.projector import Projector
from sweeps.tracking.removing import remove_runs
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import remove

# Ends deletions: what `sweeps delete` took out of the records goes out of study and MLflow too.
#
# Below the commands, since every start does it for a deletion that was killed.


DELETED: Final = ".deleted-"
"""How the folder of a sweep begins, in `records/`, from the moment it is deleted."""


def finish_deletions(home: Home, tracking_uri: str) -> None:
    """Take every deleted sweep out of study and MLflow; again, and nothing happens.

    Raises:
        StoreError: A database cannot be written, or MLflow does not answer; the next start goes on.
    """
    for folder in sorted(home.records.glob(f"{DELETED}*")):
        info = heard(RecordStore(folder).info)  # of one that nobody can read, its runs stay
        if info is not None:
            remove_runs(tracking_uri, info)
            reached("delete.untracked")
        sweep_id = folder.name.removeprefix(DELETED)
        later = range(2, 2 + len(listed(folder, "generation-*.json")))
        for name in (sweep_id, *(f"{sweep_id}.{number}" for number in later)):
            delete_study(home.studies, name)
        reached("delete.unstudied")
        # What says which sweep it was goes last.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == "sweep.json"):
            remove(path)
        folder.rmdir()


# Sends what a store of runs lacks, from the records; sending again adds nothing.


Change = Literal["sent", "deleted a run of"]


@dataclass(frozen=True)
class SyncReport:
    """The outcome of sending one sweep.

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


@contextmanager
def hold_to_send(
    home: Home,
    info: SweepInfo,
    tracking_uri: str,
    note: Callable[[str], None] = lambda text: None,
    on_lost: Callable[[], None] = lambda: None,
) -> Iterator[Hold]:
    """Do what `hold` does for who writes runs; who loses the sweep settles what it began there.

    A request to MLflow may have been under way when the sweep was lost, and be taken after the
    last look of the host that took over. A host that still has the sweep looks again at its end.

    Arguments and errors are those of `hold`.
    """
    try:
        with hold(home, info, note, on_lost) as held:
            yield held
    except LeaseLost:
        with contextlib.suppress(UsageError, StoreError, RecordError), hold(home, info) as held:
            send(home, info, tracking_uri, held)
        raise


def send(
    home: Home,
    info: SweepInfo,
    tracking_uri: str,
    held: Hold,
    tell: Callable[[Change, str], None] = lambda change, key: None,
    *,
    again: Collection[str] = (),
    replaced: Collection[str] = (),
    source: str | None = None,
) -> SyncReport:
    """Write the runs of a sweep that are missing or torn, and its parent run.

    Ends after a few tries if the store is away.

    Args:
        home: Where the sweep lies.
        info: The sweep.
        tracking_uri: From `resolve_tracking_uri`.
        held: The sweep, which the caller holds.
        tell: Called with the key of each attempt that is about to be sent, or whose run was
            deleted: it has no record, or is one of `replaced`; in another thread.
        again: Keys of attempts to be written even if their run looks complete.
        replaced: Keys of attempts whose run is to be deleted first.
        source: Where its data are to be had; None for the experiment's own.

    Raises:
        RecordError: A record cannot be read.
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
            tell("sent", key)
        # Imported only now: nothing is missing as a rule. If it cannot be imported, the run gets
        # its numbers and counts as pending.
        return files(key)

    note = sweep_note(info, store.asked() or 0, is_running=False)
    projection = Projection(tracking_uri, home.artifacts, store.folder, held.confirm)
    projector = Projector(projection, info, note)
    ending = ending_of(store, records)
    projector.end_first(ending.status)
    projector.start()
    recorded = {record.spec.key for record in records}
    projector.discard(
        lambda key: key not in recorded or key in replaced, partial(tell, "deleted a run of")
    )
    for record in records:
        key = record.spec.key
        missing = key not in again
        read = partial(store.read, key)
        projector.put(record, partial(drawing, key), only_if_missing=missing, read=read)
    send_notes(projector, store)
    finish(projector, home, info, ending, prepared, records)
    report = projector.close(math.inf)
    keys = [key for key in written if key not in report.pending]
    return SyncReport(info.name, len(records), keys, report.pending, report.error)


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

    def tell(change: Change, key: str) -> None:
        if change == "sent":
            on_written(key)

    with hold_to_send(home, info, tracking_uri) as held:
        return send(home, info, tracking_uri, held, tell, source=source)


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
