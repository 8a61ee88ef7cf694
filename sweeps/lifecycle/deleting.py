"""`sweeps delete`: out of the records first, in one step; then out of study and MLflow."""

from __future__ import annotations

from sweeps.coordinator.deletions import DELETED, finish_deletions
from sweeps.coordinator.holding import hold
from sweeps.coordinator.lock import SweepLock
from sweeps.failpoints import reached
from sweeps.home import Home
from sweeps.records import SweepInfo, confirmed_by
from sweeps.records.files import sync_folder
from sweeps.sync import sync_sweep
from sweeps.tracking.removing import require_store


def delete_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> None:
    """Delete a sweep: records, weights, study, runs and their files.

    Args:
        home: Where it lies.
        info: The sweep.
        tracking_uri: Where its runs are.

    Raises:
        UsageError: Another process runs it.
        StoreError: MLflow does not answer: nothing was deleted. Or a database cannot be written;
            the next start goes on with it.
    """
    require_store(tracking_uri)
    with home.exclusive(), hold(home, info) as held:
        _take_out(home, info.id)
        held.forget()
        reached("delete.done")
    finish_deletions(home, tracking_uri)
    confirmed = confirmed_by(info.directory)
    searched = home.find(confirmed) if confirmed is not None else None
    if searched is not None:  # it is not confirmed any more: its champion is provisional again
        sync_sweep(home, searched, tracking_uri)


def delete_unreadable(home: Home, sweep_id: str, tracking_uri: str) -> None:
    """Delete what is left of a sweep whose `sweep.json` nobody can read; its runs stay in MLflow.

    Raises:
        UsageError: Another process runs it.
    """
    require_store(tracking_uri)
    with home.exclusive(), SweepLock(home.store(sweep_id).folder / "lock", sweep_id):
        _take_out(home, sweep_id)
    finish_deletions(home, tracking_uri)


def _take_out(home: Home, sweep_id: str) -> None:
    reached("delete.begun")
    home.store(sweep_id).folder.rename(home.records / f"{DELETED}{sweep_id}")
    sync_folder(home.records)
