"""Predictions that were made before, as an estimator: scorers of scikit-learn take only those."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


def Answering(predictions: np.ndarray, classes: Any = None) -> Any:  # noqa: N802 - an object
    """Return an estimator that answers with predictions (n, ...), whatever it is asked about.

    Args:
        predictions: Probabilities (n, classes), or values.
        classes: The classes, as targets have them; None of values.
    """
    return _Values(predictions) if classes is None else _Classes(predictions, classes)


class _Classes(ClassifierMixin, BaseEstimator):
    def __init__(self, predictions: np.ndarray, classes: Any) -> None:
        self.predictions, self.classes = predictions, classes
        self.classes_ = np.asarray(classes)

    def predict_proba(self, _x: Any) -> np.ndarray:
        """Return the probabilities; a mean of several, which scorers want to sum to 1."""
        whole = self.predictions.astype(float)
        shares: np.ndarray = whole / whole.sum(axis=1, keepdims=True)
        return shares

    def predict(self, _x: Any) -> np.ndarray:
        """Return the most probable class of each."""
        answers: np.ndarray = self.classes_[self.predictions.argmax(axis=1)]
        return answers


class _Values(RegressorMixin, BaseEstimator):
    def __init__(self, predictions: np.ndarray) -> None:
        self.predictions = predictions

    def predict(self, _x: Any) -> np.ndarray:
        """Return the values."""
        return self.predictions
