"""All rows of a study's database after trials of every kind, to compare who wrote them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sweeps.study.storage import StudyStore

from sweeps.study.backends import Database, backend_of
from sweeps.study.proposals import Proposal
from sweeps.study.sampler_view import TrialOutcome

PROPOSALS = [
    Proposal({}, {}, "sampled"),
    Proposal(
        {"rate": 1e-3, "kind": "b", "layers": 2},
        {
            "rate": FloatDistribution(1e-4, 1e-2, log=True),
            "kind": CategoricalDistribution(["a", "b", None]),
            "layers": IntDistribution(0, 3),
        },
        "baseline: ten",
        2,
    ),
]
OUTCOMES = [
    TrialOutcome(TrialState.COMPLETE, (0.5, float("inf"))),
    TrialOutcome(TrialState.COMPLETE, (-float("inf"), 1e-300)),
    TrialOutcome(TrialState.PRUNED, diverged=True),
    TrialOutcome(TrialState.FAIL),
]


def rows_of_trials(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Store trials, and return the rows by table.

    Of a time only whether it is now, in UTC; no numbers of rows, of which PostgreSQL leaves out
    one wherever Optuna's upsert has changed a row.
    """
    study = StudyStore(database, "s", ["maximize", "minimize"])
    for number, outcome in enumerate(OUTCOMES):
        study.add(number, PROPOSALS[number % 2])
        study.count_attempt(number, 2)
        study.tell(number, outcome)
        study.tell(number, TrialOutcome(TrialState.FAIL))  # a trial ends once
    study.reopen([3])
    study.tell(3, TrialOutcome(TrialState.COMPLETE, (1.0, 2.0)))
    study.add(4, PROPOSALS[1])
    study.close()
    storage = backend_of(database).open()
    now, found = datetime.now(UTC).replace(tzinfo=None), {}
    with storage.engine.connect() as connection:
        for table in models.BaseModel.metadata.sorted_tables:
            rows = connection.execute(table.select().order_by(*table.primary_key))
            first = 0 if table.name in ("studies", "trials") else 1
            found[table.name] = [
                tuple(_is_now(value, now) for value in row[first:]) for row in rows
            ]
    storage.engine.dispose()
    assert len(found["trials"]) == 5
    return found


def _is_now(value: Any, now: datetime) -> Any:
    return abs(now - value) < timedelta(hours=1) if isinstance(value, datetime) else value
