"""`sweeps sync`: has MLflow show what the records say, for who does not hold the sweep."""

from __future__ import annotations

from collections.abc import Callable

from sweeps.coordinator.sending import Change, SyncReport, hold_to_send, send
from sweeps.home import Home
from sweeps.records import SweepInfo


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
