"""`sweeps delete`: out of the records first, in one step; then out of study and MLflow."""

from __future__ import annotations

from sweeps.coordinator.deletions import DELETED, finish_deletions
from sweeps.coordinator.holding import hold
from sweeps.failpoints import reached
from sweeps.home import Home
from sweeps.records import SweepInfo, confirmed_by
from sweeps.records.files import sync_folder
from sweeps.sync import sync_sweep
from sweeps.tracking.removing import require_store


def delete_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> None:
    """Delete a sweep: records, weights, study, runs and their files.

    Raises:
        UsageError: Another process runs it.
        StoreError: MLflow does not answer: nothing was deleted. Or a database cannot be written;
            the next start goes on with it.
    """
    require_store(tracking_uri)
    folder = home.store(info.id).folder
    with home.exclusive(), hold(home, info) as held:
        reached("delete.begun")
        folder.rename(home.records / f"{DELETED}{info.id}")
        sync_folder(home.records)
        held.forget()
        reached("delete.done")
    finish_deletions(home, tracking_uri)
    searched = home.find(confirmed_by(info.directory) or "")
    if searched is not None:  # it is not confirmed any more: its champion is provisional again
        sync_sweep(home, searched, tracking_uri)
