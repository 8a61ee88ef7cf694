"""A copy of the studies for other programs to play with: what they change never reaches us."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from sweeps.databases import connect

REMARK: Final = "copy: changes are lost"
"""Stands in the name of each study of a snapshot, where whoever presses a button sees it."""


def take_snapshot(database: Path, copy: Path, names: Mapping[str, str]) -> int:
    """Copy the studies of a home; into a copy that is being read, as well.

    Args:
        database: The studies; read only, also while a sweep writes into it.
        copy: Made, or overwritten by one transaction; numbers of studies and trials are the same.
        names: What to call each study, by its own name; the others are left out.

    Returns:
        How many studies are in it.
    """
    with closing(sqlite3.connect(":memory:")) as between:
        with closing(connect(database, seconds=5.0, mode="ro")) as source:
            source.backup(between)
        count = 0
        for (name,) in between.execute("SELECT study_name FROM studies").fetchall():
            if name in names:
                called = f"{names[name]} ({REMARK})"
                between.execute(
                    "UPDATE studies SET study_name = ? WHERE study_name = ?", (called, name)
                )
                count += 1
            else:
                _forget(between, name)
        between.commit()
        with closing(sqlite3.connect(copy)) as target:
            between.backup(target)
    return count


def _forget(database: sqlite3.Connection, name: str) -> None:
    """Hide a study: one of an archived sweep, or a generation that is over."""
    database.execute("DELETE FROM studies WHERE study_name = ?", (name,))
