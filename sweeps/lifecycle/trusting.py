"""`sweeps trust`: what an imported sweep names may be run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sweeps.errors import UsageError
from sweeps.experiment_loading import lies_in
from sweeps.home import Home
from sweeps.records import Foreign, SweepInfo, keep_foreign, read_foreign


def foreign_sweep(home: Home, info: SweepInfo) -> Foreign:
    """Return where a sweep came from.

    Raises:
        UsageError: It was made here, so that nothing is to be trusted.
    """
    foreign = read_foreign(home.store(info.id).folder)
    if foreign is None:
        raise UsageError(f"sweep {info.name!r} was made here: it needs no trust")
    return foreign


def trust_sweep(home: Home, info: SweepInfo, folder: Path | None) -> None:
    """Have an imported sweep's experiment run from now on where it is asked for.

    Args:
        home: Where it lies.
        info: The sweep.
        folder: Where the user has its code; None if it is installed.

    Raises:
        UsageError: It was made here, or its experiment is not in that folder.
    """
    foreign = foreign_sweep(home, info)
    where = None if folder is None else folder.resolve()
    if where is not None and not lies_in(where, info.experiment):
        raise UsageError(f"{where}: the code of {info.experiment} is not there")
    trusted = dataclasses.replace(
        foreign, trusted=True, folder=None if where is None else str(where)
    )
    keep_foreign(home.store(info.id).folder, trusted)
