"""Reads studies, writes them again from the records, and copies them for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from search_spaces.errors import did_you_mean, listing
from search_spaces.objectives import Direction
from sweeps.errors import UsageError
from sweeps.study.backends import SqliteBackend, opened, schema_versions
from sweeps.wording import first_line
from sweeps.workspace.databases import DatabaseRetry, copied, schema_version


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
        version = schema_version(copy, DatabaseRetry(), "version_info")
        if version not in schema_versions():
            known = f"studies of a newer Optuna ({version})" if version else "no study of Optuna"
            raise UsageError(f"{database} holds {known}")
        try:
            backend = SqliteBackend(copy)
            backend.prepare(DatabaseRetry())
            with opened(backend.open_to_read()) as storage:
                return _other_study(storage, name, most)
        except Exception as error:  # of a file that was made to mislead: of any kind
            message = str(error) if isinstance(error, UsageError) else first_line(str(error))
            raise UsageError(f"{database}: {message}") from None


def _other_study(
    storage: RDBStorage, name: str, most: int
) -> tuple[list[Direction], list[FrozenTrial]]:
    names = [study.study_name for study in storage.get_all_studies()]
    if name not in names:
        raise UsageError(
            f"there is no study {name!r}{did_you_mean(name, names)}; there is {listing(names)}"
        )
    study = storage.get_study_id_from_name(name)
    if storage.get_n_trials(study) > most:
        raise UsageError(f"study {name!r} has more than {most} trials; refused")
    ways = [cast(Direction, one.name.lower()) for one in storage.get_study_directions(study)]
    return ways, storage.get_all_trials(study)
