"""The Optuna study of a sweep in the home's SQLite file: complete slots in, outcomes told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import optuna
import sqlalchemy
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from sweeps.locks import exclusive
from sweeps.records import Record
from sweeps.study.mirror import DIVERGED_CONSTRAINT, Direction, Told
from sweeps.study.proposals import Proposal

BUSY_TIMEOUT_SECONDS: Final = 30
ATTEMPTS: Final = "attempts"
"""User attribute of a slot: number of its last attempt that was begun."""


class StudyStore:
    """Which slots of a sweep exist, and how they ended.

    Speaks to the storage directly and remembers the ids of its trials: `optuna.Study` would read
    back on every call what the only writer knows already.
    """

    def __init__(self, database: Path, name: str, direction: Direction) -> None:
        """Open the study, creating file and study where they are missing."""
        with exclusive(database.parent):  # two processes must not both create the tables
            self._storage = _open(database)
            study = optuna.create_study(
                study_name=name, storage=self._storage, direction=direction, load_if_exists=True
            )
        self._study_id = self._storage.get_study_id_from_name(study.study_name)
        self.slots: list[FrozenTrial] = self._storage.get_all_trials(self._study_id)
        """The slots that were stored when the study was opened, in order."""
        self._trial_ids = [
            self._storage.get_trial_id_from_study_id_trial_number(self._study_id, t.number)
            for t in self.slots
        ]
        self._ended = {t.number for t in self.slots if t.state.is_finished()}

    def add(self, slot: int, proposal: Proposal) -> None:
        """Store one slot, RUNNING, with all its parameters in one transaction."""
        if slot != len(self._trial_ids):
            raise RuntimeError(f"slot {slot} cannot be added after {len(self._trial_ids)} slots")
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=dict(proposal.params),
            distributions=dict(proposal.distributions),
            user_attrs={
                "origin": proposal.origin,
                "rejected": proposal.rejected,
                ATTEMPTS: 1,  # begun as soon as it is stored
            },
        )
        self._trial_ids.append(self._storage.create_new_trial(self._study_id, trial))

    def count_attempt(self, slot: int, attempt: int) -> None:
        """Store that an attempt is about to begin, so that its number is never used again."""
        self._storage.set_trial_user_attr(self._trial_ids[slot], ATTEMPTS, attempt)

    def tell(self, slot: int, outcome: Told) -> None:
        """Store how a slot ended; a slot that has ended already is left as it is."""
        if slot in self._ended:
            return
        trial_id = self._trial_ids[slot]
        if outcome.state != TrialState.FAIL:
            violation = 1.0 if outcome.diverged else -1.0
            self._storage.set_trial_system_attr(trial_id, DIVERGED_CONSTRAINT, violation)
        values = None if outcome.value is None else [outcome.value]
        self._storage.set_trial_state_values(trial_id, outcome.state, values)
        self._ended.add(slot)

    def end_open_slots_of(self, names: Iterable[str]) -> None:
        """End, as failed, what earlier generations' studies still hold open: it goes on in this."""
        for name in names:
            try:
                study_id = self._storage.get_study_id_from_name(name)
            except KeyError:
                continue  # killed before it opened its study
            for trial in self._storage.get_all_trials(study_id, states=(TrialState.RUNNING,)):
                self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def close(self) -> None:
        """Close the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()


def stored_slots(database: Path, name: str) -> list[FrozenTrial]:
    """Return the slots of a study in order; none if there is no such study. Creates nothing."""
    if not database.exists():
        return []
    storage = _open(database)
    try:
        return storage.get_all_trials(storage.get_study_id_from_name(name))
    except KeyError:
        return []
    finally:
        storage.remove_session()
        storage.engine.dispose()


def proposal_of_trial(trial: FrozenTrial) -> Proposal:
    """Return the proposal a stored slot was made from."""
    attrs = trial.user_attrs
    return Proposal(trial.params, trial.distributions, attrs["origin"], attrs["rejected"])


def proposal_of_record(record: Record) -> Proposal:
    """Return the proposal an attempt was made from, where the study lost its slot."""
    distributions = {n: json_to_distribution(d) for n, d in record.distributions.items()}
    return Proposal(record.params, distributions, record.origin)


def distributions_to_json(proposal: Proposal) -> dict[str, str]:
    """Return the distributions as a record keeps them."""
    return {n: distribution_to_json(d) for n, d in proposal.distributions.items()}


def _open(database: Path) -> RDBStorage:
    _enable_wal(database)
    storage = RDBStorage(
        f"sqlite:///{database}",
        engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}},
    )
    sqlalchemy.event.listen(storage.engine, "connect", _relax_synchronous)
    storage.engine.dispose()  # connections made before the listener was there
    return storage


def _enable_wal(database: Path) -> None:
    # WAL is a property of the file: readers never block the writer. Set once, before Optuna's
    # first connection, because it cannot be changed inside a transaction.
    with sqlite3.connect(database, timeout=BUSY_TIMEOUT_SECONDS) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def _relax_synchronous(connection: sqlite3.Connection, _record: object) -> None:
    # With WAL, NORMAL cannot damage the file; a last commit lost with the power is in the records.
    connection.execute("PRAGMA synchronous=NORMAL")
