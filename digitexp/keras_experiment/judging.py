"""Predictions of the best epoch -> headline metrics and arrays. NumPy only."""

from __future__ import annotations

import numpy as np

from digitexp.evaluation import confusion_counts
from digitexp.keras_experiment.data import Task

__all__ = ["judge"]


def judge(
    predictions: np.ndarray, targets: np.ndarray, task: Task, classes: int | None
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return metrics and what a picture is drawn from.

    Args:
        predictions: (n, classes) scores, or (n,) or (n, 1) probabilities of class 1; for
            regression (n,) or (n, outputs).
        targets: (n,) classes or (n, classes) one-hot; for regression as the predictions.
        task: Which of both.
        classes: Their number.

    Returns:
        `best_val_accuracy` and `confusion` (1, classes, classes) [true, predicted]; or
        `best_val_mae`, `best_val_rmse`, `best_val_r2` and both `predicted` and `true`.
    """
    if task == "classification":
        scores, labels = _scores(predictions), _labels(targets)
        right = float(np.mean(scores.argmax(axis=1) == labels))
        wide = np.zeros((len(scores), max(classes or 0, scores.shape[1])), scores.dtype)
        wide[:, : scores.shape[1]] = scores
        return {"best_val_accuracy": right}, {"confusion": confusion_counts(wide, labels)[None]}
    predicted, true = predictions.astype(float).ravel(), targets.astype(float).ravel()
    residuals = predicted - true
    spread = float(np.sum((true - true.mean()) ** 2))
    metrics = {
        "best_val_mae": float(np.abs(residuals).mean()),
        "best_val_rmse": float(np.sqrt(np.mean(residuals**2))),
        "best_val_r2": 1.0 - float(np.sum(residuals**2)) / spread if spread else float("nan"),
    }
    return metrics, {"predicted": predicted.astype(np.float32), "true": true.astype(np.float32)}


def _scores(predictions: np.ndarray) -> np.ndarray:
    if predictions.ndim == 2 and predictions.shape[1] > 1:
        return predictions
    of_one = predictions.reshape(len(predictions), 1)
    return np.concatenate([1 - of_one, of_one], axis=1)


def _labels(targets: np.ndarray) -> np.ndarray:
    is_one_hot = targets.ndim == 2 and targets.shape[1] > 1
    labels: np.ndarray = targets.argmax(axis=1) if is_one_hot else targets.reshape(len(targets))
    return labels.astype(np.int64)
