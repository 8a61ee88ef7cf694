"""Reads studies, writes them again from the records, and copies them for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, cast

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from search_spaces.errors import did_you_mean, listing
from search_spaces.objectives import Direction
from sweeps.errors import UsageError
from sweeps.records import Record, SweepInfo
from sweeps.study.backends import Database, SqliteBackend, backend_of, opened, schema_versions
from sweeps.study.proposals import ATTEMPTS, Proposal, proposal_of_record, proposal_of_trial
from sweeps.study.sampler_view import trial_outcome
from sweeps.study.storage import StudyStore, delete_study
from sweeps.wording import first_line
from sweeps.workspace.databases import DatabaseRetry, copied, schema_version


def read_study(database: Database, name: str) -> list[FrozenTrial] | None:
    """Return the trials of a study in order, None if there is no such study.

    A file that cannot be read counts as one without studies; `sweeps.workspace.databases.check`
    says what is wrong with it.
    """
    backend = backend_of(database)
    if not backend.exists():
        return None
    try:
        with opened(backend.open_to_read()) as storage:
            return storage.get_all_trials(storage.get_study_id_from_name(name))
    except backend.unreadable:
        return None


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


_NEW: Final = "{} (new)"
_OLD: Final = "{} (old)"


def rebuild_study(database: Database, info: SweepInfo, records: Sequence[Record]) -> None:
    """Replace the newest study of a sweep by one that agrees with the records.

    Trials without a record are kept as they were proposed, and are open again. If neither study nor
    records know a trial, it and all later ones are left to the next start, which proposes them
    again. The names are changed in one transaction, so that a complete study has the name whenever
    the process is killed.

    Args:
        database: The database of the studies; made if it is missing.
        info: The sweep; the caller holds its lock.
        records: Its records, ordered by trial and attempt.

    Raises:
        StoreError: The database cannot be written.
    """
    new, old = _NEW.format(info.study_name), _OLD.format(info.study_name)
    stored = {trial.number: trial for trial in read_study(database, info.study_name) or []}
    for left_half_done in (new, old):
        delete_study(database, left_half_done)
    study = StudyStore(database, new, [one.direction for one in info.objectives])
    for number, content in _trials(info, stored, records):
        if isinstance(content, FrozenTrial):
            study.copy(content)
        else:
            study.add(number, content)
            own = [r for r in records if r.spec.trial == number]
            _settle(study, info, number, stored.get(number), own)
    study.close()
    backend_of(database).rename({info.study_name: old, new: info.study_name})
    delete_study(database, old)


def _trials(
    info: SweepInfo, stored: dict[int, FrozenTrial], records: Sequence[Record]
) -> Iterator[tuple[int, Proposal | FrozenTrial]]:
    """Yield what each trial is made from, up to the first that neither study nor records know."""
    known = {record.spec.trial: record for record in records}
    for number in range(max([-1, *stored, *known]) + 1):
        trial, record = stored.get(number), known.get(number)
        if number < info.first_trial:
            if trial is None:
                return  # only the space knows its point in the new space
            yield number, trial
        elif trial is not None and (record is None or trial.params == dict(record.params)):
            yield number, proposal_of_trial(trial)
        elif record is not None:
            yield number, proposal_of_record(record)
        else:
            return


def _settle(
    study: StudyStore,
    info: SweepInfo,
    number: int,
    trial: FrozenTrial | None,
    records: Sequence[Record],
) -> None:
    """Store the number of attempts at a trial, and its outcome."""
    counted = int(trial.user_attrs.get(ATTEMPTS, 1)) if trial is not None else 1
    attempts = max([counted, *(record.spec.attempt for record in records)])
    if attempts > 1:
        study.count_attempt(number, attempts)
    for record in records:
        if record.ends_trial:
            study.tell(number, trial_outcome(record, info.objectives))
