"""Logits and labels -> the numbers a trial is judged by. NumPy only.

A headline metric is one value per trial, computed with the restored best weights. Each has the
direction that is better, the per-epoch metric a pruner watches in its place, its meaning and unit,
and whether tables of all trials show it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from digitexp.numpy_functions import log_softmax


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy in nats, without any penalty; NaN or inf if it overflows.

    It is computed in float64 with the largest logit subtracted first, so large logits do no harm.

    Args:
        logits: (n, classes), floats.
        labels: (n,), integers from 0 to classes - 1.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.mean(-log_softmax(logits)[np.arange(len(labels)), labels]))


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of right answers, from 0 to 1; a tie goes to the lower class."""
    return float(np.mean(logits.argmax(axis=1) == labels))


def confusion_counts(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the confusion matrix: counts (classes, classes), uint32, [true, predicted]."""
    classes = logits.shape[1]
    cells = labels.astype(np.int64) * classes + logits.argmax(axis=1)
    counts = np.bincount(cells, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.uint32)


def of_training(
    history: Mapping[str, Sequence[float]], monitor: str = "val_loss", *, sign: int = 1
) -> dict[str, float]:
    """Return `best_epoch`, from 1, and the number of `epochs`.

    The best is the one with the lowest `monitor`; with `sign` -1 the highest.
    """
    watched = sign * np.asarray(history[monitor])
    best = int(np.where(np.isnan(watched), np.inf, watched).argmin())
    return {"best_epoch": float(best + 1), "epochs": float(len(watched))}


def recall_names(class_names: Sequence[str]) -> list[str]:
    """Return `recall_<class>` for each class; of names that would be equal, by their numbers.

    They keep only letters, digits, `_`, `.` and `-`, so that they can name a column or an MLflow
    metric.
    """
    names = [re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII) for name in class_names]
    if len(set(names)) < len(names):
        names = [str(label) for label in range(len(names))]
    return [f"recall_{name}" for name in names]


def recalls(confusion: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """Return the recall of each class that occurs: right answers / samples of the class.

    A class without samples has no recall and is left out, since metrics are finite numbers.
    """
    totals, right = confusion.sum(axis=1), np.diag(confusion)
    found = zip(recall_names(class_names), right, totals, strict=True)
    return {name: float(count / total) for name, count, total in found if total}


class Headline(NamedTuple):
    """What is declared of a headline metric; see `sweeps.experiment.MetricInfo`."""

    direction: Literal["maximize", "minimize"]
    epoch_metric: str | None
    description: str
    shown: bool = True


HEADLINE_METRICS: Final[Mapping[str, Headline]] = {
    "best_val_accuracy": Headline("maximize", "val_accuracy", "share of right answers"),
    "best_val_loss": Headline("minimize", "val_loss", "cross-entropy with L2 penalty, nats"),
    "best_val_cross_entropy": Headline(
        "minimize",
        "val_cross_entropy",
        "cross-entropy without penalty, nats; compares across l2",
    ),
    "train_accuracy": Headline("maximize", "accuracy", "on the training part"),
    "accuracy_gap": Headline("minimize", None, "train_accuracy - best_val_accuracy"),
    "best_epoch": Headline("minimize", None, "epoch with the lowest val_loss, from 1"),
    "epochs": Headline("minimize", None, "epochs trained"),
    "train_seconds": Headline("minimize", None, "wall time of the training alone, seconds"),
    "parameters": Headline("minimize", None, "trainable weights", False),
    **{
        f"recall_{digit}": Headline("maximize", None, f"share of the {digit}s recognised", False)
        for digit in range(10)
    },
}

OF_TRAINING: Final = ("best_epoch", "epochs", "train_seconds", "parameters")
"""Headline metrics that no sample scores."""
