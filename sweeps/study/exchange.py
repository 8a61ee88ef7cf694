"""Studies in files of Optuna: one of somebody else is read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy.pool import NullPool

from search_spaces.errors import did_you_mean, listing
from search_spaces.objectives import Direction
from sweeps.errors import UsageError
from sweeps.wording import first_line
from sweeps.workspace.databases import DatabaseRetry, copied, schema_version, sqlite_error


def read_other_study(
    database: Path, name: str, most: int
) -> tuple[list[Direction], list[FrozenTrial]]:
    """Return the directions and the trials of a study in a file that is none of ours.

    Args:
        database: A SQLite file of this Optuna or of an older one; it stays as it is.
        name: Name of the study.
        most: A study with more trials is refused.

    Raises:
        UsageError: There is no such file or study, it is no file of Optuna, or too large.
    """
    with copied(database) as copy:
        if schema_version(copy, DatabaseRetry(), "version_info") is None:
            raise UsageError(f"{database} holds no study of Optuna")
        try:
            return _study(copy, name, most)
        except Exception as error:  # of a file that was made to mislead: of any kind
            is_ours = isinstance(error, UsageError)
            message = str(error) if is_ours else first_line(str(sqlite_error(error) or error))
            raise UsageError(f"{database}: {message}") from None


def _study(copy: Path, name: str, most: int) -> tuple[list[Direction], list[FrozenTrial]]:
    with closing(sqlite3.connect(copy)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'trigger'").fetchone():
            raise UsageError("it holds a trigger, which an upgrade would run; refused")
    storage = RDBStorage(
        f"sqlite:///{copy}",
        {"poolclass": NullPool},
        skip_compatibility_check=True,
        skip_table_creation=True,
    )
    version = storage.get_current_version()
    if version not in storage.get_all_versions():
        raise UsageError(f"it holds studies of a newer Optuna ({version})")
    if version != storage.get_head_version():
        storage.upgrade()
    names = optuna.get_all_study_names(storage)
    if name not in names:
        raise UsageError(
            f"there is no study {name!r}{did_you_mean(name, names)}; there is {listing(names)}"
        )
    study = optuna.load_study(study_name=name, storage=storage)
    trials = study.get_trials(deepcopy=False)
    if len(trials) > most:
        raise UsageError(f"study {name!r} has more than {most} trials; refused")
    return [cast(Direction, one.name.lower()) for one in study.directions], trials
