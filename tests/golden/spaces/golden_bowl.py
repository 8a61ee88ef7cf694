"""An experiment as somebody wrote it against the contract of its day: how high a bowl is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sweeps.capabilities import Signature
from sweeps.experiment import (
    EnginePlan,
    MetricInfo,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    TrialResult,
    TrialSpec,
)


class Bowl:
    """Walks down a bowl in a few steps; the height at its end, and a cost that rises with x."""

    name = "bowl"
    parameters: Mapping[str, ParameterInfo] = {
        "x": ParameterInfo("float", -10.0, 10.0, required=True),
        "depth": ParameterInfo("int", 1, 4, default=1),
        "y_{i}": ParameterInfo("float", 0.0, 1.0, default=0.5),
        "kind": ParameterInfo("categorical", choices=("round", "square"), default="round"),
        "steps": ParameterInfo("int", 1, 100, default=6),
        "behaviour": ParameterInfo(
            "categorical", choices=("good", "raises", "diverges"), default="good"
        ),
    }
    metrics: Mapping[str, MetricInfo] = {
        "height": MetricInfo("minimize", "val_height"),
        "cost": MetricInfo("minimize"),
    }
    measures: Mapping[str, str] = {}

    def check(self, config: Mapping[str, Any]) -> None:
        """Every point is allowed."""

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        if source not in (None, "bowl"):
            raise ValueError(f"data {source!r}: allowed is 'bowl'")
        return PreparedData("bowl", "b0" * 32, "51" * 32, {"split_seed": split_seed}, None)

    def measure(self, config: Mapping[str, Any], data: PreparedData) -> Mapping[str, float]:
        return {}

    def plan(self, config: Mapping[str, Any], data: PreparedData) -> EnginePlan:
        return EnginePlan("bowl", "arithmetic", 0.001)

    def warm_up(self) -> None:
        """Nothing to import."""

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        config = spec.config
        if config["behaviour"] == "raises":
            raise RuntimeError("told to raise")
        point = [float(config["x"]) - 0.25]
        point += [float(config[f"y_{i + 1}"]) - 0.5 for i in range(int(config["depth"]))]
        size = abs if config["kind"] == "square" else np.square
        low = float(sum(size(value) for value in point))
        noise = np.random.default_rng(spec.seed).normal(0.0, 1e-3)
        steps, heights = int(config["steps"]), []
        for step in range(steps):
            heights.append(low + noise + 0.5 ** (step + 1))
            if config["behaviour"] == "diverges" and step == steps - 1:
                heights[-1] = math.nan
                return self._result(spec, heights, "diverged", "diverged")
            stop = on_epoch(step, {"val_height": heights[-1]})
            if stop is not None:
                return self._result(spec, heights, "stopped", stop.reason)
        return self._result(spec, heights, "complete", "max_epochs")

    def _result(self, spec: TrialSpec, heights: list[float], outcome: Any, why: str) -> TrialResult:
        last = heights[-1]
        return TrialResult(
            outcome=outcome,
            stop_reason=why,
            metrics={}
            if math.isnan(last)
            else {"height": last, "cost": 3 + float(spec.config["x"])},
            history={"val_height": heights},
            arrays={"path": np.array(heights, np.float32)},
            weights={"height": np.array([last])} if outcome == "complete" else None,
            timings={"train_seconds": 0.001},
            summary="a bowl",
            engine="bowl",
            info={"unit": "m"},
        )

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        return {"path.txt": "\n".join(map(repr, result.history["val_height"])).encode()}

    def load_model(
        self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray], info: Mapping[str, Any]
    ) -> float:
        return float(weights["height"][0])

    def export(
        self,
        config: Mapping[str, Any],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
        folder: Path,
    ) -> str:
        (folder / "bowl.json").write_text(json.dumps({"height": float(weights["height"][0])}))
        return 'import json\nprint(json.load(open("bowl.json"))["height"])\n'

    def signature(self, info: Mapping[str, Any]) -> Signature:
        return Signature(np.ones((1, 2), np.float32), (1,))

    def predict(self, model: float, inputs: np.ndarray) -> np.ndarray:
        return (inputs.sum(axis=1, keepdims=True) * model).astype(np.float32)


experiment = Bowl()
