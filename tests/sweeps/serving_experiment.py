"""The toy experiment, whose models answer the sum of their inputs times their only weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sweeps.abilities import Signature
from sweeps.experiment import Experiment
from tests.sweeps.toy_experiment import ToyExperiment


class ServingExperiment(ToyExperiment):
    """Serves what it trains."""

    def signature(self, info: Mapping[str, Any]) -> Signature:
        return Signature(np.ones((1, 3), np.float32), (1,))

    def predict(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        if (inputs < 0).any():
            raise ValueError("inputs below 0")
        return (inputs.sum(axis=1, keepdims=True) * model).astype(np.float32)


experiment: Experiment = ServingExperiment()
