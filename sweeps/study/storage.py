"""The Optuna study of a sweep in the home's SQLite file: complete slots in, outcomes told."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import optuna
import sqlalchemy
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from search_spaces.objectives import Direction
from sweeps.databases import (
    Patience,
    check,
    created_whole,
    enable_wal,
    migrate,
    relax_synchronous,
    schema_version,
)
from sweeps.errors import StoreError
from sweeps.failpoints import reached
from sweeps.locks import exclusive
from sweeps.records import Record
from sweeps.study.mirror import DIVERGED_CONSTRAINT, Told
from sweeps.study.proposals import Proposal

BUSY_TIMEOUT_SECONDS: Final = 5
"""For other sweeps of the same home, which write for milliseconds; `Patience` waits longer."""

ATTEMPTS: Final = "attempts"
"""User attribute of a slot: number of its last attempt that was begun."""


class StudyStore:
    """Which slots of a sweep exist, and how they ended.

    Speaks to the storage directly and remembers the ids of its trials: `optuna.Study` would read
    back on every call what the only writer knows already.
    """

    def __init__(
        self,
        database: Path,
        name: str,
        directions: Sequence[Direction],
        patience: Patience | None = None,
    ) -> None:
        """Open the study, creating file and study where they are missing.

        Raises:
            StoreError: The database is damaged, locked for too long, or cannot be written.
        """
        self._database = database
        self._patience = patience or Patience()
        prepare(database, self._patience)
        self._storage = _open(database)
        reached("study.named")
        self._study_id, self.slots = self._write(self._load, name, directions)
        """The slots that were stored when the study was opened, in order."""
        reached("study.created")
        self._trial_ids = [trial._trial_id for trial in self.slots]
        self._ended = {t.number for t in self.slots if t.state.is_finished()}

    def _load(self, name: str, directions: Sequence[Direction]) -> tuple[int, list[FrozenTrial]]:
        optuna.create_study(
            study_name=name, storage=self._storage, directions=directions, load_if_exists=True
        )
        study_id = self._storage.get_study_id_from_name(name)
        return study_id, self._storage.get_all_trials(study_id)

    def add(self, slot: int, proposal: Proposal) -> None:
        """Store one slot, RUNNING, with all its parameters in one transaction."""
        if slot != len(self._trial_ids):
            raise RuntimeError(f"slot {slot} cannot be added after {len(self._trial_ids)} slots")
        reached("slot.begun")
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
        trial_id = self._write(self._storage.create_new_trial, self._study_id, trial)
        self._trial_ids.append(trial_id)
        reached("slot.added")

    def copy(self, trial: FrozenTrial) -> None:
        """Store a slot of another study as it is there, with its outcome."""
        trial_id = self._write(self._storage.create_new_trial, self._study_id, trial)
        self._trial_ids.append(trial_id)
        if trial.state.is_finished():
            self._ended.add(trial.number)

    def count_attempt(self, slot: int, attempt: int) -> None:
        """Store that an attempt is about to begin, so that its number is never used again.

        A slot that has ended, and is run again because its record was lost, is left as it is.
        """
        if slot in self._ended:
            return
        reached("attempt.begun")
        self._write(self._storage.set_trial_user_attr, self._trial_ids[slot], ATTEMPTS, attempt)
        reached("attempt.counted")

    def tell(self, slot: int, outcome: Told) -> None:
        """Store how a slot ended; a slot that has ended already is left as it is."""
        if slot in self._ended:
            return
        reached("tell.begun")
        trial_id = self._trial_ids[slot]
        if outcome.state != TrialState.FAIL:
            violation = 1.0 if outcome.diverged else -1.0
            self._write(
                self._storage.set_trial_system_attr, trial_id, DIVERGED_CONSTRAINT, violation
            )
        reached("tell.constrained")
        ended = self._storage.set_trial_state_values
        self._write(ended, trial_id, outcome.state, outcome.values)
        reached("tell.done")
        self._ended.add(slot)

    def end_open_slots_of(self, names: Iterable[str]) -> None:
        """End, as failed, what earlier generations' studies still hold open: it goes on in this."""
        for name in names:
            try:
                study_id = self._storage.get_study_id_from_name(name)
            except KeyError:
                continue  # killed before it opened its study
            for trial in self._storage.get_all_trials(study_id, states=(TrialState.RUNNING,)):
                self._write(self._storage.set_trial_state_values, trial._trial_id, TrialState.FAIL)

    def close(self) -> None:
        """Close the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _write(self, method: Callable[..., Any], *values: Any, **named: Any) -> Any:
        """Call a method of the storage that is one transaction."""
        return self._patience.write(self._database, lambda: method(*values, **named))


def prepare(database: Path, patience: Patience) -> None:
    """Make the database where it is missing; check it, and bring an older schema up to date.

    A copy is kept before anything is changed. Nothing else is: of a damaged file, of another
    program's, or of a newer Optuna's.

    Raises:
        StoreError: It cannot be used; the message says why and what to do.
    """
    with exclusive(database.parent):  # two processes must not both make it, or migrate it
        if not database.exists():
            patience.run(database, lambda: _create(database))
        check(database, patience)
        version = schema_version(database, patience, "version_info")
        storage = None if version is None else _open(database)
        known = [] if storage is None else storage.get_all_versions()  # the newest first
        if version not in known:
            raise StoreError(
                f"{database}: its schema ({version or 'none'}) is not one of Optuna "
                f"{optuna.__version__}. It was left as it is. Use the version that wrote it, or "
                "move it away and repeat the command: the study is written anew from the records"
            )
        if storage is not None and version != known[0]:
            storage.engine.dispose()
            patience.run(database, lambda: migrate(database, _upgrade))


def stored_slots(database: Path, name: str) -> list[FrozenTrial]:
    """Return the slots of a study in order; none if there is no such study. Creates nothing."""
    if not database.exists():
        return []
    storage = _open(database)

    def read() -> list[FrozenTrial]:
        return storage.get_all_trials(storage.get_study_id_from_name(name))

    try:
        return Patience().run(database, read)
    except KeyError:
        return []
    finally:
        storage.remove_session()
        storage.engine.dispose()


def delete_study(database: Path, name: str) -> None:
    """Delete a study with its slots, if it is there.

    Raises:
        StoreError: The database cannot be written.
    """
    if not database.exists():
        return
    storage = _open(database)
    try:
        study_id = storage.get_study_id_from_name(name)
        Patience().write(database, lambda: storage.delete_study(study_id))
    except KeyError:
        return
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


def _create(database: Path) -> None:
    reached("study.begun")
    with created_whole(database) as new:
        sqlite3.connect(new).close()
        enable_wal(new)
        RDBStorage(f"sqlite:///{new}").engine.dispose()
        reached("study.made")


def _upgrade(database: Path) -> None:
    storage = _open(database)
    storage.upgrade()
    storage.engine.dispose()


def _open(database: Path) -> RDBStorage:
    storage = RDBStorage(
        f"sqlite:///{database}",
        engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}},
        skip_compatibility_check=True,
        skip_table_creation=True,
    )
    sqlalchemy.event.listen(storage.engine, "connect", relax_synchronous)
    storage.engine.dispose()  # connections made before the listener was there
    return storage
