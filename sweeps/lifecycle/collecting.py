"""`sweeps gc`: frees what is kept for convenience; records stay, replay makes weights again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sweeps.coordinator.holding import hold
from sweeps.failpoints import reached
from sweeps.home import Home
from sweeps.records import SweepInfo, confirmed_by
from sweeps.records.files import remove
from sweeps.records.pareto import worth_keeping


def collect_garbage(
    home: Home, info: SweepInfo, keep_top: int, *, dry_run: bool = False
) -> list[tuple[Path, int]]:
    """Remove the weights of all trials but the best, and what was put aside as damaged.

    The weights of baselines are kept, those of the Pareto front of several objectives, and all of a
    confirmation, which is read once more if its sweep is tested.

    Args:
        home: Where the sweep lies.
        info: The sweep.
        keep_top: How many of the best trials keep their weights.
        dry_run: Only say what would be removed.

    Returns:
        What was removed, with its size in bytes.

    Raises:
        UsageError: Another process runs the sweep.
    """
    with hold(home, info):
        removed = [(path, path.lstat().st_size) for path in _garbage(home, info, keep_top)]
        for path, _ in [] if dry_run else removed:
            reached("gc.begun")
            remove(path)
            reached("gc.done")
    return removed


def _garbage(home: Home, info: SweepInfo, keep_top: int) -> Iterator[Path]:
    store = home.store(info.id)
    records = store.read_all()
    kept = {r.spec.key for r in worth_keeping(records, info.objectives, keep_top)}
    kept |= {r.spec.key for r in records if r.ends_slot and r.origin.startswith("baseline ")}
    if confirmed_by(info.directory):
        kept |= {record.spec.key for record in records}
    yield from sorted(p for p in store.folder.glob("[0-9]*.weights") if p.stem not in kept)
    yield from sorted(store.folder.glob("*.torn"))
