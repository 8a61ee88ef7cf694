"""The toy experiment, whose models answer the sum of inputs times a weight, and have a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sweeps.capabilities import Signature, Trained
from sweeps.experiment import Experiment, PreparedData
from tests.sweeps.toy_experiment import ToyExperiment


class ServingExperiment(ToyExperiment):
    """Serves what it trains."""

    def signature(self, info: Mapping[str, Any]) -> Signature:
        return Signature(np.ones((1, 3), np.float32), (1,))

    def predict(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        if (inputs < 0).any():
            raise ValueError("inputs below 0")
        return (inputs.sum(axis=1, keepdims=True) * model).astype(np.float32)

    def pages(
        self, data: PreparedData, trained: Trained, beside: Trained | None
    ) -> Mapping[str, bytes]:
        return {"page.html": f"{trained.name}, beside {beside.name if beside else None}".encode()}


experiment: Experiment = ServingExperiment()
