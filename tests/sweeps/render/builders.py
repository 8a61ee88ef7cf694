"""Small records to make reports of; every field says what a test wants it to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_spaces.objectives import Objective
from search_spaces.parameters import Value
from sweeps.experiment import TrialResult, TrialSpec
from sweeps.interval import Interval
from sweeps.journal.events import Outcome, Record
from sweeps.records.conclusions import ConfirmedStanding, Judged, Judgement, VerdictConclusion
from sweeps.records.sweep import SweepInfo
from tests.sweeps.factories import recorded

START = 1_750_000_000_000
METRIC = "best_val_accuracy"
OBJECTIVES = (Objective(METRIC, "maximize"),)

REASONS: Mapping[Outcome, str] = {
    "complete": "early_stopping",
    "pruned": "pruned",
    "diverged": "diverged",
    "failed": "error",
    "interrupted": "interrupted",
}


def sweep_info(**changes: Any) -> SweepInfo:
    values: dict[str, Any] = {
        "id": "mlp-1a2b3c",
        "name": "mlp",
        "created_at": START,
        "experiment": "digitexp.experiment:experiment",
        "experiment_name": "digits",
        "metric": METRIC,
        "direction": "maximize",
        "epoch_metric": "val_accuracy",
        "fingerprint": {},
        "space": {},
        "data": {},
        "baselines": ("tutorial",),
        "code": {},
    }
    return SweepInfo(**(values | changes))


def record(
    trial: int,
    objective: float | None = None,
    *,
    outcome: Outcome = "complete",
    attempt: int = 1,
    params: Mapping[str, Value] | None = None,
    origin: str = "sampled",
    error: str | None = None,
    seconds: float = 4.0,
    epochs: int = 3,
    metric: str = METRIC,
) -> Record:
    chosen = {"learning_rate": 0.001, "units_1": 25} if params is None else dict(params)
    spec = TrialSpec("mlp-1a2b3c", trial, attempt, seed=100 + trial, config=chosen)
    value = 0.5 if objective is None else objective
    result = TrialResult(
        outcome="diverged" if outcome == "diverged" else "complete",
        stop_reason=REASONS[outcome],
        metrics={} if outcome == "diverged" else {"best_val_loss": 0.25, metric: value},
        history={"loss": [1.0 / (epoch + 1) for epoch in range(epochs)]},
    )
    started_at = START + 10_000 * trial
    return recorded(
        None if outcome in {"failed", "interrupted"} else result,
        spec=spec,
        outcome=outcome,
        reason=REASONS[outcome],
        ends_trial=outcome != "interrupted",
        error=error,
        params=chosen,
        distributions={},
        objective=objective if outcome == "complete" else None,
        data={},
        origin=origin,
        environment={},
        started_at=started_at,
        finished_at=started_at + round(seconds * 1000),
    )


def standing_of(
    finalist: str,
    trial: int,
    accuracy: Interval,
    lead: Interval | None = None,
    verdict: Judgement = "leads",
    **changes: Any,
) -> ConfirmedStanding:
    """Return how a finalist stands; `lead` is that of the leader over it."""
    values: dict[str, Any] = {
        "searched": None,
        "folds_needed": None,
        "chance_best": 0.9 if lead is None else 0.05,
        "may_be_best": verdict != "worse",
        "as_good": verdict in {"leads", "equivalent"},
    }
    return ConfirmedStanding(
        finalist, trial, accuracy, leader_ahead_by=lead, verdict=verdict, **(values | changes)
    )


def verdict_of(*standings: ConfirmedStanding, **changes: Any) -> VerdictConclusion:
    """Return a verdict on some finalists, the leader first, which is the champion and settled."""
    champion = changes.get("champion", standings[0].finalist)
    values: dict[str, Any] = {
        "sweep": "mlp",
        "trials": 20,
        "confirmation": "mlp-confirmation",
        "folds": 20,
        "folds_asked": 20,
        "settled": True,
        "champion": champion,
        "standings": standings,
        "gain_over_control": None,
        "others": [],
        "refit": None,
        "left_out": [],
        "margin": 0.005,
        "quotable": next(one.accuracy for one in standings if one.finalist == champion),
        "quotable_bias": 0.0,
        "looks": [20],
        "judged": Judged(len(standings), 1, True),
        "fresh": 0,
        "control_trials": 0,
        "components": None,
    }
    return VerdictConclusion(**(values | changes))
