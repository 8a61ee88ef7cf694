"""The expert's recipe: a process per core, one thread each, whole epochs per call, no plots.

The processes share one Optuna study and one MLflow store, both SQLite with WAL. An epoch is one
call of the compiled function (`steps_per_execution`); a trial is one `log_batch`.
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import time
from typing import Any

import optuna
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from benchmarks.recipes.command import Search, note_trial, parse
from benchmarks.recipes.search import NumberedRandom, suggest

STUDY = "sqlite:///optuna.db"
RUNS = "sqlite:///mlflow.db"


def main() -> None:
    """Run the search in the working folder."""
    search = parse()
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    workers = [
        context.Process(target=work, args=(search, number, ready), daemon=True)
        for number in range(len(os.sched_getaffinity(0)))
    ]
    for worker in workers:
        worker.start()
    prepare_stores()  # while the workers import TensorFlow
    ready.set()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit(1)


def prepare_stores() -> None:
    """Create both databases once, in WAL mode."""
    from mlflow.tracking import MlflowClient

    optuna.create_study(storage=STUDY, study_name="digits", direction="maximize")
    MlflowClient(RUNS).create_experiment("digits")
    for name in ("optuna.db", "mlflow.db"):
        connection = sqlite3.connect(name)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.close()


def work(search: Search, number: int, ready: Any) -> None:
    """Try configurations, once the stores are ready, until the study has as many as asked for."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["OMP_NUM_THREADS"] = "1"
    import keras
    import tensorflow as tf
    from mlflow.tracking import MlflowClient

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(search.seed * 1000 + number)
    ready.wait()
    client = MlflowClient(RUNS)
    experiment_id = client.get_experiment_by_name("digits").experiment_id
    digits = search.digits()

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        history = train(suggest(trial), digits, search.epochs)
        best = max(history["val_accuracy"])
        log_trial(client, experiment_id, trial, history, best)
        note_trial(len(history["loss"]), best)
        return best

    study = optuna.load_study(
        storage=STUDY, study_name="digits", sampler=NumberedRandom(search.seed)
    )
    enough = MaxTrialsCallback(search.trials, states=(TrialState.COMPLETE, TrialState.RUNNING))
    study.optimize(objective, callbacks=[enough])


def train(params: dict[str, Any], digits: Any, epochs: int) -> dict[str, list[float]]:
    """Train one configuration and return its history."""
    from benchmarks.recipes.network import build_network, make_callbacks

    images, labels, validation_images, validation_labels = digits
    steps = -(-len(labels) // params["batch_size"])
    # Without XLA, which compiles anew for every trial: 5 s and more with whole epochs.
    model = build_network(params, steps_per_execution=steps, jit_compile=False)
    fitted = model.fit(
        images,
        labels,
        batch_size=params["batch_size"],
        epochs=epochs,
        validation_data=(validation_images, validation_labels),
        validation_batch_size=len(validation_labels),
        callbacks=make_callbacks(),
        verbose=0,
    )
    return dict(fitted.history)


def log_trial(
    client: Any,
    experiment_id: str,
    trial: optuna.Trial,
    history: dict[str, list[float]],
    best: float,
) -> None:
    """Write one run with one batch."""
    from mlflow.entities import Metric, Param

    run = client.create_run(experiment_id, run_name=f"trial {trial.number}")
    now = time.time_ns() // 1_000_000
    metrics = [
        Metric(name, float(value), now, epoch)
        for name, values in history.items()
        for epoch, value in enumerate(values)
    ]
    metrics.append(Metric("best_val_accuracy", best, now, 0))
    params = [Param(name, str(value)) for name, value in trial.params.items()]
    client.log_batch(run.info.run_id, metrics, params)
    client.set_terminated(run.info.run_id)


if __name__ == "__main__":
    main()
