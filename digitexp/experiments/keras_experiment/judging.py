"""The headline metrics of a task, and their values from the predictions of the best epoch.

NumPy only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np

from digitexp.experiments.keras_experiment.data import Task, Tasks, by_name, by_output
from digitexp.metrics import HEADLINE_METRICS, OF_TRAINING, accuracy, confusion_counts
from sweeps.by_sample import by_sample
from sweeps.capabilities import BY_SAMPLE
from sweeps.experiment import MetricInfo

_COMMON = {
    "best_val_loss": MetricInfo("minimize", "val_loss", "the loss the model was compiled with"),
    **{name: MetricInfo(*HEADLINE_METRICS[name][:3]) for name in OF_TRAINING},
}
_METRICS: Mapping[Task, Mapping[str, MetricInfo]] = {
    "classification": {
        "best_val_accuracy": MetricInfo("maximize", "val_accuracy", "share of right answers"),
    },
    "regression": {
        "best_val_mae": MetricInfo("minimize", None, "mean absolute error, in the target's unit"),
        "best_val_rmse": MetricInfo("minimize", None, "root mean squared error, same unit"),
        "best_val_r2": MetricInfo("maximize", None, "share of the variance explained"),
    },
}

KEPT_NUMBERS: Final = 100_000
"""Numbers kept of a classification's predictions: of more, those of the first examples."""


def metrics_of(task: Tasks) -> dict[str, MetricInfo]:
    """Return the headline metrics of a task; raise ValueError if there is no such task."""
    found: dict[str, MetricInfo] = {}
    for name, kind in by_name(task, task).items():
        if kind not in _METRICS:
            of = f" of output {name!r}" if name else ""
            raise ValueError(f"task {kind!r}{of}: write {' or '.join(map(repr, _METRICS))}")
        if isinstance(task, Mapping) and not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(f"output {name!r}: its name needs letters, digits, '_', '.', '-' only")
        prefix = f"val_{name}_" if name else "val_"
        for metric, info in _METRICS[kind].items():
            epoch_metric = info.epoch_metric and info.epoch_metric.replace("val_", prefix)
            found[metric.replace("val_", prefix)] = replace(info, epoch_metric=epoch_metric)
    if not found:
        raise ValueError("task {}: name the outputs of the model and what each of them is")
    return found | _COMMON


def needed_metrics(task: Tasks, classes: Any, more: Mapping[str, str]) -> list[str]:
    """Return the per-epoch metrics that the model must report.

    Args:
        task: Task of each output.
        classes: See `judge`.
        more: Further headline metrics, each with the per-epoch metric that it comes from.
    """
    of = by_name(classes, task)
    accuracies = [
        f"val_{name}_accuracy" if name else "val_accuracy"
        for name, kind in by_name(task, task).items()
        if kind == "classification" and of[name] is not None
    ]
    return [*accuracies, *more.values()]


def judge(
    predictions: Any, targets: Any, task: Tasks, classes: Any, gives: Sequence[str] = ()
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return the metrics, and the arrays that pictures are drawn from and `export` compares.

    Args:
        predictions: (n, classes) scores, or (n,) or (n, 1) probabilities of class 1; for
            regression (n,) or (n, outputs). Of several outputs a list or dict of these.
        targets: (n,) classes or (n, classes) one-hot; for regression as the predictions.
        task: Task of the output; of several outputs by name.
        classes: Number of classes, None where examples have several labels; of several outputs by
            name.
        gives: Names of several outputs in the model's order, where it knows them.

    Returns:
        `best_val_accuracy`, `confusion` (1, classes, classes) [true, predicted] and `predicted`,
        the predictions of the first examples; of several labels without `confusion`, and the
        accuracy is the share of labels that are right; or `best_val_mae`, `best_val_rmse`,
        `best_val_r2` and both `predicted` and `true`. Of an output `a` among several
        `best_val_a_accuracy`, `confusion_a` and so on.
    """
    outputs, tasks = _by_output(predictions, task, gives), by_name(task, task)
    of = by_name(classes, task)
    metrics: dict[str, float] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, true in by_output(targets, task).items():
        judged, kept = _judge(outputs[name], true, tasks[name], of[name])
        prefix = f"best_val_{name}_" if name else "best_val_"
        metrics |= {key.replace("best_val_", prefix): value for key, value in judged.items()}
        arrays |= {f"{key}_{name}" if name else key: array for key, array in kept.items()}
    return metrics, arrays


def values_by_sample(
    metrics: Mapping[str, float],
    predictions: Any,
    targets: Any,
    task: Tasks,
    classes: Any,
    gives: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Return the metrics that are known of each sample, such as `best_val_auc_by_sample` (n,).

    Of an output `a` among several these are `best_val_a_accuracy_by_sample` and so on.

    Args:
        metrics: The metrics, as they were computed for these samples.
        predictions: See `judge`, also for the others.
        targets: True values.
        task: Task of each output.
        classes: See `judge`.
        gives: Names of several outputs.
    """
    found = {}
    outputs, tasks = _by_output(predictions, task, gives), by_name(task, task)
    of = by_name(classes, task)
    for name, true in by_output(targets, task).items():
        prefix, given = f"best_val_{name}_" if name else "best_val_", outputs[name]
        own = {metric: value for metric, value in metrics.items() if metric.startswith(prefix)}
        if tasks[name] == "classification" and of[name] is None:
            right = _right_labels(given, true).mean(axis=1)
            found[f"{prefix}accuracy{BY_SAMPLE}"] = right
            continue
        if tasks[name] == "classification":
            shares, _ = to_average(given, "classification", of[name])
            wanted, answers = labels_of(true), _scores(shares)
        else:
            wanted, answers = true.astype(float), given.astype(float).reshape(true.shape)
        for metric, value in own.items():
            values = by_sample(metric.removeprefix(prefix), wanted, answers, value)
            if values is not None:
                are_right = np.isin(values, (0, 1)).all()
                found[f"{metric}{BY_SAMPLE}"] = values.astype(np.uint8) if are_right else values
    return found


def to_average(
    predictions: Any, task: Task, classes: int | None
) -> tuple[np.ndarray, Literal["sigmoid", "softmax"] | None]:
    """Return the predictions (n, ...) of the only output so that their mean is a prediction.

    These are values of a regression, and probabilities of classes or labels: scores that are no
    probabilities are taken for logits. The activation that makes probabilities of them is returned
    as well.
    """
    found = _only(predictions)
    if task == "classification" and classes is None and not _are_shares(found):
        return (1 / (1 + np.exp(-found))).astype(np.float32), "sigmoid"
    if task == "classification" and classes and found.ndim == 2 and found.shape[1] > 1:
        is_share = found.min() >= 0 and np.allclose(found.sum(axis=1), 1, atol=1e-3)
        if not is_share:
            powers = np.exp(found.astype(float) - found.max(axis=1, keepdims=True))
            return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), "softmax"
    return found.astype(np.float32), None


def _by_output(predictions: Any, task: Tasks, gives: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Return predictions by the name of their output; the only ones under ''."""
    if not isinstance(task, Mapping):
        return {"": _only(predictions)}
    if isinstance(predictions, Mapping):
        return predictions
    names = gives if set(task) <= {*gives} else [*task]
    return dict(zip(names, predictions, strict=True))


def _only(predictions: Any) -> np.ndarray:
    """Return the predictions of a model whose only output may stand in a list or a dict."""
    if isinstance(predictions, Mapping):
        (predictions,) = predictions.values()
    elif isinstance(predictions, list | tuple):
        (predictions,) = predictions
    found: np.ndarray = predictions
    return found


def _judge(
    predictions: np.ndarray, targets: np.ndarray, task: Task, classes: int | None
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    if task == "classification" and classes is None:
        right = float(_right_labels(predictions, targets).mean())
        return {"best_val_accuracy": right}, {"predicted": _first(predictions)}
    if task == "classification":
        scores, labels = _scores(predictions), labels_of(targets)
        right = accuracy(scores, labels)
        wide = np.zeros((len(scores), max(classes or 0, scores.shape[1])), scores.dtype)
        wide[:, : scores.shape[1]] = scores
        return {"best_val_accuracy": right}, {
            "confusion": confusion_counts(wide, labels)[None],
            "predicted": _first(predictions),
        }
    predicted, true = predictions.astype(float).ravel(), targets.astype(float).ravel()
    residuals = predicted - true
    spread = float(np.sum((true - true.mean()) ** 2))
    metrics = {
        "best_val_mae": float(np.abs(residuals).mean()),
        "best_val_rmse": float(np.sqrt(np.mean(residuals**2))),
        "best_val_r2": 1.0 - float(np.sum(residuals**2)) / spread if spread else float("nan"),
    }
    return metrics, {"predicted": predicted.astype(np.float32), "true": true.astype(np.float32)}


def _first(predictions: np.ndarray) -> np.ndarray:
    first = max(1, KEPT_NUMBERS // (predictions.size // len(predictions)))
    return predictions[:first].astype(np.float32)


def _right_labels(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return (n, labels) whether a label is told right: from a probability of 0.5, a logit of 0."""
    right: np.ndarray = (predictions > (0.5 if _are_shares(predictions) else 0)) == (targets == 1)
    return right


def _are_shares(predictions: np.ndarray) -> bool:
    return bool(predictions.min() >= 0 and predictions.max() <= 1)


def _scores(predictions: np.ndarray) -> np.ndarray:
    if predictions.ndim == 2 and predictions.shape[1] > 1:
        return predictions
    of_one = predictions.reshape(len(predictions), 1)
    return np.concatenate([1 - of_one, of_one], axis=1)


def labels_of(targets: np.ndarray) -> np.ndarray:
    """Return (n,) the class of each target: numbers, or one-hot."""
    is_one_hot = targets.ndim == 2 and targets.shape[1] > 1
    labels: np.ndarray = targets.argmax(axis=1) if is_one_hot else targets.reshape(len(targets))
    return labels.astype(np.int64)
