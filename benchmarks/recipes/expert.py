"""The expert's recipe: the fastest plain Keras known here. One thread a process, no plots.

The images stay in TensorFlow as constants. An epoch is one call of one graph: it shuffles, takes
all steps with Keras's layers, loss and optimizer, and validates. The callbacks are Keras's. With
`model.fit` and `steps_per_execution`, or with `tf.data`, a trial takes three times the CPU time:
they build a graph for training and another for validation, and pay for each epoch's iterator. XLA
would compile anew for every net, for seconds.

The processes share one Optuna study and one MLflow store, both SQLite with WAL; a trial is one
`log_batch`.
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import time
from typing import Any

import optuna

from benchmarks.recipes.command import Search, note_trial, parse, side_by_side
from benchmarks.recipes.search import NAME, RUNS, STUDY, optimize, suggest

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def main() -> None:
    """Run the search in the working folder."""
    search = parse()
    ready = multiprocessing.get_context("spawn").Event()
    wait = side_by_side(work, search, ready)
    prepare_stores()  # while the workers import TensorFlow
    ready.set()
    wait()


def prepare_stores() -> None:
    """Create both databases once, in WAL mode."""
    from mlflow.tracking import MlflowClient

    optuna.create_study(storage=STUDY, study_name=NAME, direction="maximize")
    MlflowClient(RUNS).create_experiment(NAME)
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
    # Rewriting a graph takes longer than it saves, when each trial has a new one.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    keras.utils.set_random_seed(search.seed * 1000 + number)
    ready.wait()
    client = MlflowClient(RUNS)
    experiment_id = client.get_experiment_by_name(NAME).experiment_id
    digits = tuple(map(tf.constant, search.digits()))

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        history = train(suggest(trial, search.space), digits, search.epochs)
        best = max(history["val_accuracy"])
        log_trial(client, experiment_id, trial, history, best)
        note_trial(trial.params, len(history["loss"]), best)
        return best

    optimize(objective, search, number)


def train(params: dict[str, Any], digits: Any, epochs: int) -> dict[str, list[float]]:
    """Train one configuration and return its history, as `model.fit` would."""
    import keras

    from benchmarks.recipes.network import build_network, make_callbacks

    model = build_network(params)
    epoch = epoch_function(model, digits, params["batch_size"])
    callbacks = keras.callbacks.CallbackList(make_callbacks(), model=model)
    history: dict[str, list[float]] = {name: [] for name in METRICS}
    model.stop_training = False
    callbacks.on_train_begin()
    for number in range(epochs):
        callbacks.on_epoch_begin(number)
        logs = dict(zip(METRICS, map(float, epoch()), strict=True))
        for name, value in logs.items():
            history[name].append(value)
        callbacks.on_epoch_end(number, logs)
        if model.stop_training:
            break
    callbacks.on_train_end()
    return history


def epoch_function(model: Any, digits: Any, batch_size: int) -> Any:
    """Return what trains a compiled model for an epoch and returns the values of `METRICS`."""
    import keras
    import tensorflow as tf

    images, labels, validation_images, validation_labels = digits
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    weights, optimizer, count = model.trainable_variables, model.optimizer, len(labels)
    optimizer.build(weights)

    def rightly(logits: Any, labels: Any) -> Any:
        is_right = tf.equal(tf.argmax(logits, 1, output_type=labels.dtype), labels)
        return tf.reduce_sum(tf.cast(is_right, tf.float32))

    @tf.function(jit_compile=False)  # type: ignore[untyped-decorator]
    def epoch() -> Any:
        order = tf.random.shuffle(tf.range(count))
        total, right = tf.constant(0.0), tf.constant(0.0)
        for start in tf.range(0, count, batch_size):
            chosen = order[start : start + batch_size]
            here = tf.gather(labels, chosen)
            with tf.GradientTape() as tape:
                logits = model(tf.gather(images, chosen), training=True)
                loss = loss_of(here, logits) + tf.add_n(model.losses)
            optimizer.apply(tape.gradient(loss, weights), weights)
            total += loss * tf.cast(tf.shape(chosen)[0], tf.float32)
            right += rightly(logits, here)
        logits = model(validation_images, training=False)
        validation_loss = loss_of(validation_labels, logits) + tf.add_n(model.losses)
        validation_right = rightly(logits, validation_labels)
        shown = total / count, right / count, validation_loss
        return *shown, validation_right / len(validation_labels)

    return epoch


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
