"""Stores the trials of a sweep in an Optuna study: their parameters first, then their outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

import optuna
import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState, create_trial

from search_spaces.objectives import Direction
from sweeps.study.backends import Database, backend_of, close, opened, schema_versions
from sweeps.study.proposals import ATTEMPTS, Proposal
from sweeps.study.sampler_view import DIVERGED_CONSTRAINT, TrialOutcome
from sweeps.workspace.databases import DatabaseRetry
from sweeps.workspace.failpoints import reached

# Idempotent writes: nothing is stored twice if a connection is cut and Optuna repeats a write.
#
# A transaction whose connection was cut may have been committed, or may be committed later. Optuna
# repeats some transactions by itself, which would store a trial twice. So a repetition is stopped
# where it begins. Then all transactions under way are waited for, and whatever they have stored is
# not written again.


T = TypeVar("T")


class WriteGuard(Protocol):
    """The right to write to a sweep that hosts share."""

    def fence(self, connection: sqlalchemy.Connection) -> None:
        """Refuse the transaction if this process has lost that right."""

    def settle(self) -> None:
        """Wait until no transaction of this process is under way, even one that was cut off."""


class _Unanswered(Exception):  # noqa: N818, not an error
    """A transaction was cut off, and Optuna was about to repeat it."""


class IdempotentWrites:
    """Watches the transactions of an engine, so that each write is stored once."""

    def __init__(self, engine: sqlalchemy.Engine, guard: WriteGuard | None) -> None:
        """Begin to watch if there is a guard; a connection to a file is never cut."""
        self._guard = guard
        self._transactions, self._only_one = 0, False
        if guard is not None:
            sqlalchemy.event.listen(engine, "begin", self._begin)

    def write(self, write: Callable[[], T], find: Callable[[], T | None]) -> Callable[[], T]:
        """Return a function that writes once, however often it is called until it returns.

        Args:
            write: Makes one transaction of Optuna's.
            find: Returns what was written; None if nothing was.
        """
        is_first = True

        def write_once() -> T:
            nonlocal is_first
            while True:
                found = None if is_first else self._found(find)
                is_first = False
                if found is not None:
                    return found
                with suppress(_Unanswered), self._one_transaction():
                    return write()

        return write_once

    def _found(self, find: Callable[[], T | None]) -> T | None:
        if self._guard is not None:
            self._guard.settle()
        return find()

    @contextmanager
    def _one_transaction(self) -> Iterator[None]:
        self._transactions, self._only_one = 0, True
        try:
            yield
        finally:
            self._only_one = False

    def _begin(self, connection: sqlalchemy.Connection) -> None:
        assert self._guard is not None
        self._transactions += 1
        if self._only_one and self._transactions > 1:
            raise _Unanswered
        self._guard.fence(connection)


class StudyStore:
    """The trials of a sweep, and how they ended, in a database.

    It remembers the ids of its trials. `optuna.Study` would read the trials back on every call,
    though their only writer knows them.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        directions: Sequence[Direction],
        database_retry: DatabaseRetry | None = None,
        guard: WriteGuard | None = None,
    ) -> None:
        """Open the study; database and study are made if they are missing.

        Args:
            database: The file, or the server.
            name: Name of the study.
            directions: One per objective.
            database_retry: Waits for the database; None for the default.
            guard: Asked in every transaction; None unless hosts share the database.

        Raises:
            StoreError: The database is damaged, away for too long, or cannot be written.
        """
        self._database = database
        self._database_retry = database_retry or DatabaseRetry()
        backend = backend_of(database)
        backend.prepare(self._database_retry)
        self._storage = backend.open()
        self._once = IdempotentWrites(self._storage.engine, guard)
        reached("study.named")
        self._study_id, self.trials = self._write(self._load, name, directions)
        """The trials that were stored when the study was opened, in order."""
        self._writer = trial_writer(self._storage, self._study_id)
        reached("study.created")
        self._trial_ids = [trial._trial_id for trial in self.trials]
        self._ended = {t.number for t in self.trials if t.state.is_finished()}

    def _load(self, name: str, directions: Sequence[Direction]) -> tuple[int, list[FrozenTrial]]:
        optuna.create_study(
            study_name=name, storage=self._storage, directions=directions, load_if_exists=True
        )
        study_id = self._storage.get_study_id_from_name(name)
        return study_id, self._storage.get_all_trials(study_id)

    def add(self, number: int, proposal: Proposal) -> None:
        """Store one trial, RUNNING, with all its parameters in one transaction."""
        if number != len(self._trial_ids):
            raise RuntimeError(
                f"trial {number} cannot be added after {len(self._trial_ids)} trials"
            )
        reached("trial.begun")
        attrs = {
            "origin": proposal.origin,
            "rejected": proposal.rejected,
            ATTEMPTS: 1,  # the first attempt counts as begun once the trial is stored
        }
        self._create(lambda: self._writer.add(number, proposal, attrs))
        reached("trial.added")

    def copy(self, trial: FrozenTrial) -> None:
        """Store a copy of another study's trial, with its outcome."""
        self._create(lambda: self._storage.create_new_trial(self._study_id, trial))
        if trial.state.is_finished():
            self._ended.add(trial.number)

    def count_attempt(self, trial: int, attempt: int) -> None:
        """Store that an attempt is about to begin, so that its number is never used again.

        A trial that has ended in the study, and is run again because its record was lost, is left
        as it is.
        """
        if trial in self._ended:
            return
        reached("attempt.begun")
        self._write(self._writer.set_attr, self._trial_ids[trial], ATTEMPTS, attempt)
        reached("attempt.counted")

    def tell(self, trial: int, outcome: TrialOutcome) -> None:
        """Store how a trial ended; a trial that has ended already is left as it is."""
        if trial in self._ended:
            return
        reached("tell.begun")
        trial_id = self._trial_ids[trial]

        def has_ended() -> bool | None:
            return self._storage.get_trial(trial_id).state.is_finished() or None

        for transaction in self._writer.end(trial_id, outcome):
            self._write(self._once.write(transaction, has_ended))
        reached("tell.done")
        self._ended.add(trial)

    def reopen(self, trials: Collection[int]) -> None:
        """Make failed trials RUNNING again, all in one transaction.

        Optuna changes no ended trial, because other processes may have it in a cache; the only
        writer of this study has no cache.
        """
        ended = [trial for trial in trials if trial in self._ended]
        if not ended:
            return
        reached("reopen.begun")
        self._write(self._reopen, [self._trial_ids[trial] for trial in ended])
        reached("reopen.done")
        self._ended.difference_update(ended)

    def _reopen(self, trial_ids: Sequence[int]) -> None:
        trials = sqlalchemy.text(
            "UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE trial_id = :id"
        )
        with self._storage.engine.begin() as connection:
            for trial_id in trial_ids:
                connection.execute(trials, {"id": trial_id})

    def end_open_trials_of(self, names: Iterable[str]) -> None:
        """End, as failed, the open trials of earlier generations' studies: they go on in this."""
        for name in names:
            try:
                study_id = self._storage.get_study_id_from_name(name)
            except KeyError:
                continue  # killed before it opened its study
            for trial in self._storage.get_all_trials(study_id, states=(TrialState.RUNNING,)):
                self._write(self._storage.set_trial_state_values, trial._trial_id, TrialState.FAIL)

    def close(self) -> None:
        """Close the database."""
        close(self._storage)

    def _create(self, create: Callable[[], int]) -> None:
        """Store a trial once, even if the answer is lost with the connection."""
        number = len(self._trial_ids)

        def find() -> int | None:
            with suppress(KeyError):
                return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
            return None

        self._trial_ids.append(self._write(self._once.write(create, find)))

    def _write(self, method: Callable[..., Any], *values: Any, **named: Any) -> Any:
        """Call a method of the storage that makes one transaction."""
        return self._database_retry.write(self._database, lambda: method(*values, **named))


def stored_trials(database: Database, name: str) -> list[FrozenTrial]:
    """Return the trials of a study in order; none if there is no such study. Creates nothing."""
    backend = backend_of(database)
    if backend.exists():
        with suppress(KeyError), opened(backend.open()) as storage:
            study_id = storage.get_study_id_from_name
            return DatabaseRetry().run(database, lambda: storage.get_all_trials(study_id(name)))
    return []


def delete_study(database: Database, name: str) -> None:
    """Delete a study with its trials, if it is there.

    Raises:
        StoreError: The database cannot be written.
    """
    backend = backend_of(database)
    if backend.exists():
        with suppress(KeyError), opened(DatabaseRetry().run(database, backend.open)) as storage:
            study_id = storage.get_study_id_from_name(name)
            DatabaseRetry().write(database, lambda: storage.delete_study(study_id))


# Writes a trial into Optuna's tables, one short transaction each.
#
# `RDBStorage` makes an object of every row, looks each up before it writes, and ends a trial in two
# transactions: that took most of the coordinator's time. The rows here are those that it would
# write (a test compares whole tables). Its tables are not public, so they are written for one
# revision of the schema only; with any other, `RDBStorage` writes itself.


REVISION: Final = "v3.2.0.a"
"""The revision of Optuna's schema whose rows are written here."""


_ROWS_OF_TRIALS: Final = (
    models.TrialParamModel.__table__,
    models.TrialUserAttributeModel.__table__,
)


def trial_writer(storage: RDBStorage, study_id: int) -> Tables | Public:
    """Return the writer for an open storage, whose schema `StudyBackend.prepare` has checked."""
    if schema_versions()[0] == REVISION:
        return Tables(storage.engine, study_id)
    return Public(storage, study_id)


class Tables:
    """Writes the rows of a study's trials itself."""

    def __init__(self, engine: sqlalchemy.Engine, study_id: int) -> None:
        self._engine, self._study_id = engine, study_id

    def add(self, number: int, proposal: Proposal, attrs: Mapping[str, Any]) -> int:
        """Store a trial, RUNNING, with its parameters and user attributes; return its id.

        The trial is the study's next, because nobody else writes it.
        """
        trial = {
            "study_id": self._study_id,
            "number": number,
            "state": TrialState.RUNNING,
            "datetime_start": _now(),
        }
        insert = sqlalchemy.insert(models.TrialModel.__table__)
        with self._engine.begin() as connection:
            key = connection.execute(insert, trial).inserted_primary_key
            assert key is not None
            trial_id = int(key[0])
            for table in _ROWS_OF_TRIALS:  # of a trial that was deleted without them
                connection.execute(sqlalchemy.delete(table).where(table.c.trial_id == trial_id))
            if params := [
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": proposal.distributions[name].to_internal_repr(value),
                    "distribution_json": distribution_to_json(proposal.distributions[name]),
                }
                for name, value in proposal.params.items()
            ]:
                connection.execute(sqlalchemy.insert(models.TrialParamModel.__table__), params)
            connection.execute(
                sqlalchemy.insert(models.TrialUserAttributeModel.__table__),
                [_attr(trial_id, key, value) for key, value in attrs.items()],
            )
        return trial_id

    def set_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Store a user attribute of a RUNNING trial."""
        table = models.TrialUserAttributeModel.__table__
        row = _attr(trial_id, key, value)
        here = (table.c.trial_id == trial_id) & (table.c.key == key)
        with self._engine.begin() as connection:
            if not connection.execute(sqlalchemy.update(table).where(here), row).rowcount:
                connection.execute(sqlalchemy.insert(table), row)

    def end(self, trial_id: int, outcome: TrialOutcome) -> Sequence[Callable[[], object]]:
        """Return the transactions that store how a RUNNING trial ended; each may be repeated.

        A trial that has ended already is left as it is.
        """
        return [lambda: self._end(trial_id, outcome)]

    def _end(self, trial_id: int, outcome: TrialOutcome) -> None:
        trials = models.TrialModel.__table__
        attrs, values = models.TrialSystemAttributeModel.__table__, models.TrialValueModel.__table__
        running = (trials.c.trial_id == trial_id) & (trials.c.state == TrialState.RUNNING)
        ended = {"state": outcome.state, "datetime_complete": _now()}
        with self._engine.begin() as connection:
            if not connection.execute(sqlalchemy.update(trials).where(running), ended).rowcount:
                return
            for table in (attrs, values):  # a trial that was reopened may have some
                connection.execute(sqlalchemy.delete(table).where(table.c.trial_id == trial_id))
            if outcome.state != TrialState.FAIL:
                row = _attr(trial_id, DIVERGED_CONSTRAINT, _violation(outcome))
                connection.execute(sqlalchemy.insert(attrs), row)
            reached("tell.constrained")
            if outcome.values is not None:
                rows = [_value(trial_id, *numbered) for numbered in enumerate(outcome.values)]
                connection.execute(sqlalchemy.insert(values), rows)


class Public:
    """Has `RDBStorage` write the same; see `Tables`."""

    def __init__(self, storage: RDBStorage, study_id: int) -> None:
        self._storage, self._study_id = storage, study_id

    def add(self, number: int, proposal: Proposal, attrs: Mapping[str, Any]) -> int:
        """See `Tables`."""
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(proposal.params),
            distributions=dict(proposal.distributions),
            user_attrs=dict(attrs),
        )
        return self._storage.create_new_trial(self._study_id, trial)

    def set_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See `Tables`."""
        self._storage.set_trial_user_attr(trial_id, key, value)

    def end(self, trial_id: int, outcome: TrialOutcome) -> Sequence[Callable[[], object]]:
        """See `Tables`."""

        def constrain() -> None:
            value = _violation(outcome)
            self._storage.set_trial_system_attr(trial_id, DIVERGED_CONSTRAINT, value)

        def end() -> None:
            self._storage.set_trial_state_values(trial_id, outcome.state, outcome.values)

        return [end] if outcome.state == TrialState.FAIL else [constrain, end]


def _violation(outcome: TrialOutcome) -> float:
    """Return by how much a trial violates the constraint that it must not diverge."""
    return 1.0 if outcome.diverged else -1.0


def _now() -> datetime:
    """Return the time as the tables have it: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def _attr(trial_id: int, key: str, value: Any) -> dict[str, Any]:
    return {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}


def _value(trial_id: int, objective: int, value: float) -> dict[str, Any]:
    stored, kind = models.TrialValueModel.value_to_stored_repr(value)
    return {"trial_id": trial_id, "objective": objective, "value": stored, "value_type": kind}
