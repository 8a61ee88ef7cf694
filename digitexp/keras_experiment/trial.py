"""One trial: a model is built, trained, and judged by its best epoch.

Import this after `start_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import keras
import numpy as np

from digitexp.keras_experiment.data import Parts, Tasks, tasks_of
from digitexp.keras_experiment.judging import judge
from digitexp.keras_experiment.models import check_fits, checked, named_weights, summary_of
from digitexp.keras_experiment.training import Trained, predict, train_model
from sweeps.experiment import OnEpoch, TrialResult

__all__ = ["answers", "run_trial"]


def run_trial(
    build: Callable[[], Any],
    parts: Parts,
    params: Mapping[str, Any],
    *,
    seed: int,
    on_epoch: OnEpoch,
    task: Tasks,
    more: Mapping[str, str],
    info: Mapping[str, Any],
) -> TrialResult:
    """Train one model and say what came of it.

    Args:
        build: Returns the model, compiled.
        parts: What it learns and what judges it.
        params: Of training and callbacks.
        seed: Decides everything random.
        on_epoch: The framework's.
        task: How predictions are judged; of several outputs by name.
        more: Further headline metrics, each by the per-epoch metric it is taken from.
        info: Of the data.

    Raises:
        ValueError: `build` returned no compiled model, or one without a metric that is needed.
    """

    def ask(epoch: int, values: Mapping[str, float]) -> str | None:
        stop = on_epoch(epoch, values)
        return None if stop is None else stop.reason

    started = perf_counter()
    keras.backend.clear_session()  # drops the graphs and layer names of earlier trainings
    keras.utils.set_random_seed(seed)
    model = checked(build())
    inputs, targets = parts.train.element_spec if parts.is_dataset else parts.train
    check_fits(model, inputs, targets, task)
    built = perf_counter()
    needed = [
        f"val_{name}_accuracy" if name else "val_accuracy"
        for name, kind in tasks_of(task).items()
        if kind == "classification"
    ]
    trained = train_model(model, parts, params, ask, [*needed, *more.values()])
    seconds = {"build_seconds": built - started, "train_seconds": perf_counter() - built}
    metrics: dict[str, float] = {}
    arrays: dict[str, np.ndarray] = {}
    weights = None
    if trained.best_epoch is not None:
        judged, arrays = _judged(model, parts, task)
        weights = named_weights(model)
        metrics = (
            judged
            | _headline(trained, trained.best_epoch, more)
            | {
                "train_seconds": seconds["train_seconds"],
                "parameters": float(sum(np.prod(v.shape) for v in model.trainable_variables)),
            }
        )
    return TrialResult(
        outcome=trained.outcome,
        stop_reason=trained.stop_reason,
        metrics=metrics,
        history=trained.history,
        arrays=arrays,
        weights=weights,
        timings=seconds,
        summary=summary_of(model),
        engine="keras",
        info=dict(info),
    )


def answers(model: Any, parts: Parts, task: Tasks) -> dict[str, np.ndarray]:
    """Return what a trained model answers to the validation part, by the names of the arrays.

    Nothing if it answers otherwise each time it is asked.
    """
    first, again = (_judged(model, parts, task)[1] for _ in range(2))
    found = {name: array for name, array in first.items() if name.startswith("predicted")}
    is_steady = all(np.array_equal(array, again[name]) for name, array in found.items())
    return found if is_steady else {}


def _judged(
    model: Any, parts: Parts, task: Tasks
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    gives = getattr(model, "output_names", None) or ()
    return judge(*predict(model, parts), task, parts.classes, gives)


def _headline(trained: Trained, best_epoch: int, more: Mapping[str, str]) -> dict[str, float]:
    best = best_epoch - 1
    return {
        "best_val_loss": trained.history["val_loss"][best],
        **{name: trained.history[of][best] for name, of in more.items()},
        "best_epoch": float(best_epoch),
        "epochs": float(len(trained.history["loss"])),
    }
