"""`sweeps archive`: out of sight in lists and in MLflow; everything stays, and comes back."""

from __future__ import annotations

from sweeps.coordinator.sending import SyncReport, hold_to_send, send
from sweeps.home import Home
from sweeps.records import SweepInfo
from sweeps.tracking.removing import remove_runs, require_store


def archive_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> int:
    """Hide a sweep: MLflow keeps its runs in its bin, their files stay.

    Returns:
        How many runs were hidden now.

    Raises:
        UsageError: Another process runs the sweep.
        StoreError: MLflow does not answer: nothing was changed.
    """
    require_store(tracking_uri)
    store = home.store(info.id)
    with hold_to_send(home, info, tracking_uri) as held:
        store.archive()
        return remove_runs(tracking_uri, info, with_files=False, check=held.confirm)


def restore_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> SyncReport:
    """Show an archived sweep again; what MLflow has removed from its bin is written anew.

    Raises:
        UsageError: Another process runs the sweep.
    """
    store = home.store(info.id)
    with hold_to_send(home, info, tracking_uri) as held:
        store.unarchive()
        # All, since the sweep may have been renamed meanwhile.
        keys = [record.spec.key for record in store.read_all()]
        return send(home, info, tracking_uri, held, again=keys)
