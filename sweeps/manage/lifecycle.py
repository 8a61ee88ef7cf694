"""Archives, renames or deletes a whole sweep, frees files of it, or runs its failed trials again.

Each operation begins with one atomic change of the records. From then on it counts as done, even if
the process is killed; MLflow follows, now or at the next start. If another process runs the sweep,
it is refused (UsageError).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.errors import UsageError
from sweeps.experiments.loading import recorded_space
from sweeps.home import Home
from sweeps.journal.events import Archived, Renamed
from sweeps.records import Record, SweepInfo, confirmed_by, is_same_data, source_of
from sweeps.records.enqueued import trials_to_retry
from sweeps.records.ranking import worth_keeping
from sweeps.records.schema import TORN
from sweeps.records.store import DELETED
from sweeps.runner.ownership import SweepLock, hold
from sweeps.tracking.sync import (
    SyncReport,
    finish_deletions,
    hold_to_send,
    remove_runs,
    require_store,
    send,
    sync_sweep,
)
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import sync_folder
from sweeps.workspace.names import check_sweep_name

if TYPE_CHECKING:
    from sweeps.analysis.summary import Summary
    from sweeps.config.options import RunOptions
    from sweeps.config.sweep import SweepConfig
    from sweeps.progress import Mode


def archive_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> None:
    """Hide a sweep: MLflow keeps its runs in its bin, their files stay.

    Raises:
        StoreError: MLflow does not answer; nothing was changed.
    """
    require_store(tracking_uri)
    with hold_to_send(home, info, tracking_uri) as held:
        home.store(info.id).append(Archived(hidden=True))
        remove_runs(tracking_uri, info, check=held.confirm)


def restore_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> SyncReport:
    """Show an archived sweep again; runs that are no longer in MLflow's bin are written anew."""
    store = home.store(info.id)
    with hold_to_send(home, info, tracking_uri) as held:
        if store.state().is_archived:
            store.append(Archived(hidden=False))
        # All runs, since the sweep may have been renamed meanwhile.
        return send(home, info, tracking_uri, held, again=store.state().ended)


def collect_garbage(
    home: Home, info: SweepInfo, keep_top: int, *, dry_run: bool = False
) -> list[tuple[Path, int]]:
    """Remove the weights of all trials but the best, and damaged files that were put aside.

    Weights of baselines and of the Pareto front of several objectives are kept, and all those of a
    confirmation, which a test-set evaluation of its sweep still needs.

    Returns:
        The files that were removed, or would be by another than a dry run, with their bytes.
    """
    store = home.store(info.id)
    with hold(home, info):
        records = store.read_all()
        kept = {r.key for r in worth_keeping(records, info.objectives, keep_top)}
        kept |= {r.key for r in records if r.ends_trial and r.origin.startswith("baseline ")}
        weights = {store.weights_path(r.key) for r in records if r.key not in kept}
        if confirmed_by(info.directory):
            weights = set()
        paths = [*sorted(filter(Path.exists, weights)), *sorted(store.folder.glob(f"*/*{TORN}"))]
        removed = [(path, path.lstat().st_size) for path in paths]
        for path in [] if dry_run else paths:
            reached("gc.begun")
            store.drop(path)
            reached("gc.done")
    return removed


def delete_sweep(home: Home, sweep_id: str, info: SweepInfo | None, tracking_uri: str) -> None:
    """Delete a sweep: records, weights, runs and their files.

    The runs of one that cannot be read (`info` is None) stay, since nothing tells which they are.

    Raises:
        StoreError: MLflow does not answer, and nothing was deleted; or a database cannot be
            written, and the next start goes on with the deletion.
    """
    require_store(tracking_uri)
    folder = home.store(sweep_id).folder
    lock = hold(home, info) if info else SweepLock(folder / "lock", sweep_id)
    with home.exclusive(), lock:
        if home.shared is not None and info is not None:
            home.shared.remote(sweep_id).forget()
        elif home.shared is not None:
            home.shared.delete(sweep_id)
        reached("delete.begun")
        folder.rename(home.sweeps_folder / f"{DELETED}{sweep_id}")
        sync_folder(home.sweeps_folder)
        reached("delete.done")
    finish_deletions(home, tracking_uri)
    confirmed = confirmed_by(info.directory) if info else None
    searched = home.find(confirmed) if confirmed is not None else None
    if searched is not None:  # its confirmation is gone, so its champion is provisional again
        sync_sweep(home, searched, tracking_uri)


def rename_sweep(home: Home, info: SweepInfo, name: str, tracking_uri: str) -> SyncReport:
    """Give a sweep another name; its id stays, and with it its addresses.

    Raises:
        UsageError: The name is taken or not valid.
        StoreError: It cannot be written.
    """
    check_sweep_name(name)
    store = home.store(info.id)
    with hold_to_send(home, info, tracking_uri) as held:
        with home.exclusive():  # a start must not take the name meanwhile
            if home.find(name) is not None:
                raise UsageError(f"there is a sweep {name!r} already; give another name")
            store.append(Renamed(name))
        return send(home, store.info() or info, tracking_uri, held, again=store.state().ended)


def retry(
    home: Home,
    info: SweepInfo,
    trials: Sequence[int],
    *,
    asked: RunOptions,
    progress: Mode,
) -> tuple[Summary, list[int], list[Record]]:
    """Run failed trials again, each as its next attempt, with the same parameters and seed.

    One write marks the trials; from then on they have no outcome. If the process is killed, the
    same call or the next start of the sweep goes on with them. Without numbers it is all that
    failed. `asked` says how they are run; what decides them is recorded.

    Returns:
        The state of the sweep, the trials that were run again, and those that failed again.

    Raises:
        UsageError: A trial did not fail, the sweep is running, or its data have changed; nothing
            was changed.
    """
    from sweeps.launch import run_config  # here, since nothing else above runs a trial

    store = home.store(info.id)
    again = [*trials_to_retry(info.name, store.state(), store.read_all(), asked=trials)]
    config = dataclasses.replace(_as_recorded(home, info, asked), retry=tuple(trials))

    def failed() -> list[Record]:
        final = (record for record in store.read_all() if record.ends_trial)
        return [r for r in final if r.outcome == "failed" and r.trial in again]

    result = run_config(config, asked, progress=progress, has_failed=lambda summary: bool(failed()))
    return result.summary, again, failed()


def _as_recorded(home: Home, info: SweepInfo, asked: RunOptions) -> SweepConfig:
    """Return the sweep as its records describe it.

    Raises:
        UsageError: Its space or its data have changed.
    """
    from sweeps.config.resolving import resolve

    fixed = info.fingerprint
    options = dataclasses.replace(
        asked,
        name=info.name,
        seed=fixed["seed"],
        sampler=fixed["sampler"]["name"],
        sampler_options=fixed["sampler"]["options"],
        pruner=fixed["pruner"]["name"],
        pruner_options=fixed["pruner"]["options"],
        ask_ahead=fixed["ask_ahead"],
        order=fixed["order"],
        home=home.path,
        storage=home.storage,
        data=asked.data or source_of(info.data),
    )
    config = resolve(options, recorded_space(info, home.sweeps_folder))
    if not is_same_data(config.data, {"digest": fixed["data"], "split_digest": fixed["split"]}):
        raise UsageError(
            f"sweep {info.name!r} was made on other data ({info.data.get('name')}) than "
            f"{config.data.name}; name them by --data, nothing was begun"
        )
    return config
