"""`sweeps rename`: the name is in the records; MLflow follows."""

from __future__ import annotations

from sweeps.coordinator.sending import SyncReport, hold_to_send, send
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.naming import check_sweep_name
from sweeps.records import SweepInfo


def rename_sweep(home: Home, info: SweepInfo, name: str, tracking_uri: str) -> SyncReport:
    """Give a sweep another name; its id, and so its addresses, stay.

    Returns:
        What MLflow took of it.

    Raises:
        UsageError: The name is taken, or no name; or another process runs the sweep.
        StoreError: It cannot be written.
    """
    check_sweep_name(name)
    store = home.store(info.id)
    with hold_to_send(home, info, tracking_uri) as held:
        with home.exclusive():  # a start must not take the name meanwhile
            if home.find(name) is not None:
                raise UsageError(f"there is a sweep {name!r} already; give another name")
            store.rename(name)
        renamed = store.info()
        assert renamed is not None
        keys = [record.spec.key for record in store.read_all()]
        return send(home, renamed, tracking_uri, held, again=keys)
