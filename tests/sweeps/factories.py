"""Sweeps and records made of small real arrays, for tests of everything that reads records."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from sweeps.experiment import TrialResult, TrialSpec
from sweeps.journal.events import Outcome, Record, raw_json
from sweeps.records.sweep import SweepInfo

SWEEP_ID = "20250101-ab12cd34"
CREATED_AT = 1_735_689_600_000
DATA = {
    "name": "digits20",
    "digest": "7ef17dbd5a51616f" + "0" * 48,
    "split_digest": "5b" * 32,
    "info": {"classes": [str(digit) for digit in range(10)], "n_train": 4000},
}
REASONS: dict[Outcome, str] = {
    "complete": "early_stopping",
    "pruned": "pruned",
    "diverged": "diverged",
    "failed": "error",
    "interrupted": "interrupt",
}


def make_info(**changes: Any) -> SweepInfo:
    """Return a sweep over two parameters, with fixed ones beside them."""
    info = SweepInfo(
        id=SWEEP_ID,
        name="mlp",
        created_at=CREATED_AT,
        experiment="digitexp.experiment:experiment",
        experiment_name="digits",
        metric="best_val_accuracy",
        direction="maximize",
        epoch_metric="val_accuracy",
        fingerprint={
            "experiment": "digitexp.experiment:experiment",
            "space": "5ace" * 16,
            "data": DATA["digest"],
            "split": DATA["split_digest"],
            "seed": 0,
            "sampler": {"name": "tpe", "options": {}},
            "pruner": {"name": "median", "options": {"n_warmup_steps": 2}},
            "ask_ahead": 8,
            "order": "number",
        },
        space={"name": "mlp", "fixed": {"epochs": 40, "activation": "relu"}},
        data=DATA,
        baselines=("tutorial",),
        code={"commit": "c0ffee" * 6 + "c0ff", "dirty": True, "diff": "diff --git a/x b/x\n+new\n"},
    )
    return dataclasses.replace(info, **changes)


def make_record(
    trial: int = 0,
    attempt: int = 1,
    outcome: Outcome = "complete",
    *,
    epochs: int = 5,
    seed: int | None = None,
    **changes: Any,
) -> Record:
    """Return an attempt whose numbers follow from its trial; `changes` replaces fields."""
    rng = np.random.default_rng(trial)
    learning_rate = float(10 ** rng.uniform(-4, -2))
    params = {"learning_rate": learning_rate, "units_1": int(rng.integers(8, 129))}
    spec = TrialSpec(
        sweep=SWEEP_ID,
        trial=trial,
        attempt=attempt,
        seed=1000 + trial if seed is None else seed,
        config={**params, "epochs": 40, "activation": "relu"},
    )
    result = None if outcome == "failed" else make_result(rng, outcome, epochs)
    members = dict[str, Any](
        spec=spec,
        outcome=outcome,
        reason=REASONS[outcome],
        ends_trial=outcome != "interrupted",
        error="ValueError: too deep\n\nTraceback ..." if outcome == "failed" else None,
        params=params,
        distributions={},
        objective=result.metrics["best_val_accuracy"] if result and outcome == "complete" else None,
        data=DATA,
        origin="baseline tutorial" if trial == 0 else "sampled",
        environment={"python": "3.11.7", "packages": {"numpy": "2.4.6"}, "hostname": "host"},
        started_at=CREATED_AT + 10_000 * trial + 1000 * attempt,
        finished_at=CREATED_AT + 10_000 * trial + 1000 * attempt + 5000,
    )
    return recorded(result, **{**members, **changes})


def recorded(result: TrialResult | None, /, **members: Any) -> Record:
    """Return a record; its spec and what it has as JSON are given as they are read."""
    if (spec := members.pop("spec", None)) is not None:
        members |= {name: getattr(spec, name) for name in ("trial", "attempt", "seed")}
        members["config"] = dict(spec.config)
    for name in ("data", "environment", "distributions"):
        if name in members:
            members[f"{name}_json"] = raw_json(members.pop(name))
    return Record.of(members.pop("result", result), **members)


def altered(record: Record, **changes: Any) -> Record:
    """Return a record with other members, given as in `recorded`."""
    result = {"trained", "curves_json", "epochs"}
    kept = {name: getattr(record, name) for name in Record.__struct_fields__ if name not in result}
    stored = [name for name in ("data", "environment", "distributions") if name in changes]
    for name in stored:
        kept.pop(f"{name}_json")
    return recorded(record.result, **{**kept, **changes})


def make_result(rng: np.random.Generator, outcome: Outcome, epochs: int) -> TrialResult:
    """Return curves that fall and rise as curves do; a diverged one ends in NaN."""
    steps = np.arange(1, epochs + 1)
    loss = rng.uniform(1.5, 2.5) * np.exp(-0.4 * steps) + rng.uniform(0.05, 0.3)
    accuracy = 1 - loss / 4
    confusion = rng.multinomial(100, np.eye(10) * 0.9 + 0.01, size=(epochs, 10)).astype(np.uint16)
    if outcome == "diverged":
        loss[-1] = np.nan
    best = int(np.nanargmin(loss))
    return TrialResult(
        outcome={"complete": "complete", "diverged": "diverged"}.get(outcome, "stopped"),  # type: ignore[arg-type]
        stop_reason=REASONS[outcome],
        metrics={
            "best_val_accuracy": float(accuracy[best]),
            "best_val_loss": float(loss[best]),
            "best_epoch": float(best + 1),
            "epochs": float(epochs),
        },
        history={
            "loss": (loss * 0.9).tolist(),
            "accuracy": accuracy.tolist(),
            "val_loss": loss.tolist(),
            "val_accuracy": accuracy.tolist(),
            "learning_rate": [0.001] * epochs,
        },
        arrays={"confusion": confusion[:, :, :]},
        timings={"train_seconds": 4.2},
        summary="Dense 400 -> 25 -> 10\n",
        engine="keras_fit",
        info={"classes": DATA["info"]["classes"]},  # type: ignore[index]
    )
