"""The same sweep as the documentation of Optuna 5 and MLflow 3 advises it, to be hurt alike.

RDBStorage on SQLite, with heartbeats of one second (the shortest there is) and
RetryHeartbeatStaleTrialCallback; MaxTrialsCallback, so that a resumed study ends at the total asked
for; `catch`, so that a trial that raises does not end it; a child run a trial in `with
mlflow.start_run(nested=True)`; the parent run found again by its tag. More than one worker: a
process each, on the one study.

    python -m tests.faults.stock_recipe --home FOLDER --trials 20 --seed 1 [--workers 2]
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import mlflow
import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from sweeps.experiment import TrialSpec
from tests.faults.experiment import experiment

NAME = "stock"
METRIC = "score"


def main(arguments: list[str] | None = None) -> int:
    """Create or continue the study, run it to its total, and say the best in the parent run."""
    options = _parser().parse_known_args(arguments)[0]
    _set_up(options)
    study = _study(options)
    if options.sampler == "grid" and not study.get_trials():
        points = itertools.product([n / 8 for n in range(9)], range(3), range(1, 5))
        for x, layers, epochs in points:
            study.enqueue_trial({"x": x, "layers": layers, "epochs": epochs})
    with mlflow.start_run(run_id=_parent(), run_name=NAME, tags=_tags("sweep")) as parent:
        if options.workers == 1:
            _work(options, parent.info.run_id)
        else:
            _work_in_processes(options, parent.info.run_id)
        mlflow.log_metric(METRIC, study.best_value)
    return 0


def _work_in_processes(options: argparse.Namespace, parent_id: str) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_work, args=(options, parent_id, number))
        for number in range(options.workers)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _work(options: argparse.Namespace, parent_id: str, number: int = 0) -> None:
    _set_up(options)
    study = _study(options, number)
    total = 108 if options.sampler == "grid" else options.trials
    if len(study.get_trials(states=(TrialState.COMPLETE,))) >= total:
        return
    study.optimize(
        lambda trial: objective(trial, options, parent_id),
        timeout=options.timeout,
        callbacks=[MaxTrialsCallback(total, states=(TrialState.COMPLETE,))],
        catch=(Exception,),
    )


def objective(trial: optuna.Trial, options: argparse.Namespace, parent_id: str) -> float:
    """Train one trial and log it as a child run."""
    params = _suggest_grid(trial) if options.sampler == "grid" else _suggest(trial)
    tags = _tags("trial") | {"trial": str(trial.number), "mlflow.parentRunId": parent_id}
    with mlflow.start_run(run_name=f"{trial.number:04d}", nested=True, tags=tags):
        mlflow.log_params(params)
        spec = TrialSpec(
            NAME, trial.number, 1, options.seed + trial.number, {"epochs": 4, **params}
        )

        def on_epoch(epoch: int, metrics: Any) -> None:
            mlflow.log_metrics(dict(metrics), step=epoch + 1)

        result = experiment.train(spec, experiment.prepare(None, 0), on_epoch)
        value = result.metrics.get(METRIC, float("nan"))
        mlflow.log_metric(METRIC, value)
        return value


def _suggest(trial: optuna.Trial) -> dict[str, Any]:
    layers = trial.suggest_int("layers", 0, 2)
    return {
        "x": trial.suggest_float("x", -1, 1),
        "layers": layers,
        "kind": trial.suggest_categorical("kind", ["a", "b", "c"]),
        **{f"y_{n}": trial.suggest_float(f"y_{n}", 0, 1) for n in range(1, layers + 1)},
    }


def _suggest_grid(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "x": trial.suggest_float("x", 0, 1, step=0.125),
        "layers": trial.suggest_int("layers", 0, 2),
        "epochs": trial.suggest_int("epochs", 1, 4),
    }


def _study(options: argparse.Namespace, number: int = 0) -> optuna.Study:
    storage = RDBStorage(
        f"sqlite:///{options.home / 'optuna.db'}",
        engine_kwargs={"connect_args": {"timeout": 30}},
        heartbeat_interval=1,
        grace_period=2,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=3),
    )
    return optuna.create_study(
        study_name=NAME,
        storage=storage,
        sampler=optuna.samplers.TPESampler(seed=options.seed + number),
        direction="maximize",
        load_if_exists=True,
    )


def _set_up(options: argparse.Namespace) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    mlflow.set_tracking_uri(options.tracking_uri or f"sqlite:///{options.home / 'mlflow.db'}")
    mlflow.set_experiment(NAME)


def _parent() -> str | None:
    found = mlflow.search_runs(filter_string="tags.kind = 'sweep'", output_format="list")
    return found[0].info.run_id if found else None


def _tags(kind: str) -> dict[str, str]:
    return {"sweep_id": NAME, "kind": kind}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stock_recipe")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--tracking-uri")
    return parser


if __name__ == "__main__":
    sys.exit(main())
