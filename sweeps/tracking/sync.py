"""Brings MLflow in line with the records: sends missing runs, and completes deletions."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sweeps.errors import LeaseLost, StoreError, UsageError
from sweeps.experiments.code import PreparedAgain
from sweeps.experiments.loading import recorded_experiment
from sweeps.home import Home
from sweeps.journal.events import UnknownEventError
from sweeps.journal.file import FILE
from sweeps.records import RecordError, RecordStore
from sweeps.records.store import DELETED
from sweeps.records.sweep import SweepInfo
from sweeps.runner.ownership import Hold, hold
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.champion import find_model
from sweeps.tracking.parent import AttemptFiles, ending_of, finish, send_notes, sweep_note
from sweeps.tracking.preflight import check_store
from sweeps.tracking.projection import Projection
from sweeps.tracking.projector import Projector
from sweeps.tracking.runs import find_experiment, local_folder, search
from sweeps.tracking.store import (
    CheckedClient,
    close_client,
    is_outage,
    one_line,
    open_client,
    quiet,
)
from sweeps.workspace.addresses import redacted
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import remove


def require_store(tracking_uri: str) -> None:
    """Make sure that runs can be removed, before anything is changed.

    Raises:
        StoreError: The server does not answer.
    """
    away = check_store(tracking_uri)
    if away is not None:
        raise StoreError(
            f"MLflow at {redacted(tracking_uri)} cannot be reached ({away}); nothing was changed, "
            "repeat the command when it answers"
        )


def remove_runs(
    tracking_uri: str,
    info: SweepInfo,
    artifacts: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> int:
    """Delete every run of a sweep, children first, and return their number.

    A broken-off deletion finds the rest. MLflow keeps deleted runs in its bin until `mlflow gc`;
    the files go at once if the store is a SQLite database of ours.

    Args:
        tracking_uri: From `resolve_tracking_uri`.
        info: The sweep.
        artifacts: The folder of the home in which the files of the runs lie. They go, too, and so
            does the registered model made of them; None: they stay.
        check: See `Projection`.

    Raises:
        StoreError: The server does not answer, or stops answering.
    """
    require_store(tracking_uri)
    database = sqlite_path(tracking_uri)
    if database is not None and not database.exists():
        return 0
    with quiet():
        client = CheckedClient(open_client(tracking_uri), check)
        try:
            if artifacts is not None:
                if model := find_model(client, info):
                    client.delete_registered_model(model.name)
                reached("delete.unregistered")
            experiment = find_experiment(client, info)
            if experiment is None:
                return 0
            found = list(search(client, experiment.experiment_id, {"sweep_id": info.id}))
            active = [run for run in found if run.info.lifecycle_stage == "active"]
            for run in sorted(active, key=lambda run: run.data.tags.get("kind") == "sweep"):
                folder = local_folder(run.info.artifact_uri)
                # The runs of a copied home name the files of the original.
                is_own = artifacts is not None and (
                    folder is None or folder.resolve().is_relative_to(artifacts.resolve())
                )
                if database is not None and is_own:
                    for file in client.list_artifacts(run.info.run_id):
                        client.delete_artifact(run.info.run_id, file.path)
                client.delete_run(run.info.run_id)
            return len(active)
        except Exception as error:
            if is_outage(error):
                text = f"MLflow at {redacted(tracking_uri)} did not take it ({one_line(error)})"
                raise StoreError(f"{text}; the next start goes on") from error
            raise
        finally:
            close_client(client)


def finish_deletions(home: Home, tracking_uri: str) -> None:
    """Remove every deleted sweep from MLflow, and its folder; repeating changes nothing.

    Every start does it, after a deletion that was killed.

    Raises:
        StoreError: MLflow does not answer; the next start goes on.
    """
    for folder in sorted(home.sweeps_folder.glob(f"{DELETED}*")):
        info = None
        with contextlib.suppress(RecordError, UnknownEventError):  # the runs of it then stay
            info = RecordStore(folder).info()
        if info is not None:
            remove_runs(tracking_uri, info, home.artifacts)
            reached("delete.untracked")
        if folder.is_symlink():  # where it leads to is not ours
            folder.unlink(missing_ok=True)
            continue
        # The journal goes last: it says which sweep this was.
        with contextlib.suppress(FileNotFoundError):  # another process finishes it at the same time
            for path in sorted(folder.iterdir(), key=lambda path: path.name == FILE):
                remove(path)
            folder.rmdir()


@dataclass(frozen=True)
class SyncReport:
    """The outcome of sending one sweep.

    Attributes:
        sweep: Its name.
        records: Attempts recorded, each of which is to have a run.
        written: Keys (`<trial>-<attempt>`) of attempts whose missing or torn run is now written.
        pending: Runs that are still missing: keys of attempts, `sweep` for the parent run.
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
    is_urgent: Callable[[], bool] = lambda: False,
) -> Iterator[Hold]:
    """Hold a sweep to write its runs; if it is lost meanwhile, try to send its runs once more.

    A request to MLflow may have been under way when the sweep was lost, and may arrive after the
    last look of the host that took over. If that host still has the sweep, it looks again at its
    end.

    Arguments and errors are those of `hold`.
    """
    try:
        with hold(home, info, note, on_lost, is_urgent) as held:
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
    on_written: Callable[[str], None] = lambda key: None,
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
        held: The caller's ownership of the sweep.
        on_written: Called, in another thread, with the key of each attempt that is about to be
            written.
        again: Keys of attempts to be written even if their run looks complete.
        replaced: Keys of attempts whose run is to be deleted first.
        source: Source of its data; None for the experiment's own.

    Raises:
        RecordError: A record cannot be read.
    """
    store = home.store(info.id)
    if store.state().is_archived:
        return SyncReport(info.name, 0, [], [], None)  # its runs are hidden
    load = partial(recorded_experiment, info, home.sweeps_folder)
    records, written = store.read_all(), dict[str, None]()
    prepared = PreparedAgain(load, source=source)
    files = AttemptFiles(info, store, prepared)

    def drawing(key: str) -> Mapping[str, bytes]:
        if key not in written:
            written[key] = None
            on_written(key)
        # The experiment is imported only here, since as a rule no run is missing. If that fails,
        # the run gets its numbers and counts as pending.
        return files(key)

    note = sweep_note(info, store.state().requested or 0, is_running=False)
    projection = Projection(tracking_uri, home.artifacts, store.folder, held.confirm)
    projector = Projector(projection, info, note)
    ending = ending_of(store, records)
    projector.end_first(ending.status)
    projector.start()
    recorded = {record.key for record in records}
    projector.discard(lambda key: key not in recorded or key in replaced)
    for record in records:
        key = record.key
        missing = key not in again
        read = partial(store.read, key)
        projector.put(record, partial(drawing, key), only_if_missing=missing, read=read)
    send_notes(projector, store, info)
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
        on_written: See `send`.
        source: Source of its data; None for the experiment's own.

    Raises:
        UsageError: Another process runs the sweep.
        RecordError: A record cannot be read.
    """
    with hold_to_send(home, info, tracking_uri) as held:
        return send(home, info, tracking_uri, held, on_written, source=source)


def show_conclusions(
    home: Home, info: SweepInfo, tracking_uri: str, source: str | None = None
) -> int:
    """Send the conclusions of a sweep to MLflow, and return the number of runs that it lacks.

    A process that runs the sweep does so at its end (0). The rest is as for `sync_sweep`.
    """
    if home.is_running(info.id):
        return 0
    return len(sync_sweep(home, info, tracking_uri, source=source).pending)
