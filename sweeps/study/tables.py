"""Writes a trial into Optuna's tables, one short transaction each.

`RDBStorage` makes an object of every row, looks each up before it writes, and ends a trial in two
transactions: that took most of the coordinator's time. The rows here are those that it would write
(a test compares whole tables). Its tables are not public, so they are written for one revision of
the schema only; with any other, `RDBStorage` writes itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState, create_trial

from sweeps.study.backends import schema_versions
from sweeps.study.proposals import Proposal
from sweeps.study.sampler_view import DIVERGED_CONSTRAINT, TrialOutcome
from sweeps.workspace.failpoints import reached

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
