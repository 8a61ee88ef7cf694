"""A complete experiment that trains nothing: its objective is known in closed form.

The framework cannot tell it from a real one, and a sweep of it takes milliseconds. Configurations
can also take their time, raise, diverge, or send a signal to their own process. It has no
capability, on purpose; `examined_`, `serving_` and `voting_experiment.py` beside it have some.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sweeps.experiment import (
    EnginePlan,
    Experiment,
    MetricInfo,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    Stop,
    TrialResult,
    TrialSpec,
    Value,
)


class ToyExperiment:
    """Maximises 1 - (x - 0.3)^2 - small noise by seed, reached over `epochs` epochs."""

    name = "toy"
    parameters: Mapping[str, ParameterInfo] = {
        "x": ParameterInfo("float", -10.0, 10.0, required=True),
        "y_{i}": ParameterInfo("float", -10.0, 10.0, default=0.0),
        "layers": ParameterInfo("int", 0, 10, default=0),
        "kind": ParameterInfo("categorical", choices=("a", "b", "c"), default="a"),
        "epochs": ParameterInfo("int", 1, 1000, default=3),
        "mode": ParameterInfo(
            "categorical",
            choices=(
                *("fine", "raise", "diverge", "sigint", "sigterm", "sigkill", "sigsegv"),
                "quick_first",
            ),
            default="fine",
        ),
        "bad_above": ParameterInfo("float", -10.0, 10.0, default=10.0),
        "signal_file": ParameterInfo("categorical", optional=True),
        "longest_seconds": ParameterInfo("float", 0.0, 100.0, default=0.0),
    }
    metrics: Mapping[str, MetricInfo] = {
        "score": MetricInfo("maximize", "val_score"),
        "loss": MetricInfo("minimize"),
    }
    measures: Mapping[str, str] = {"size": "ten times the number of layers"}

    def check(self, config: Mapping[str, Value]) -> None:
        if config.get("kind") == "c" and config.get("layers") == 0:
            raise ValueError("kind 'c' needs at least one layer")

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        if source not in (None, "toy", "other"):
            raise ValueError(f"data {source!r}: allowed are 'toy' and 'other'")
        digest = "ab" * 32 if source != "other" else "cd" * 32
        return PreparedData(source or "toy", digest, "ef" * 32, {"n_train": 4}, None)

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        return {"size": 10.0 * int(config.get("layers") or 0)}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        return EnginePlan("toy", "nothing is trained", 0.001)

    def warm_up(self) -> None:
        """Nothing to import."""

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        config = spec.config
        self._misbehave(config)
        x, epochs = float(config["x"]), int(config.get("epochs", 3))
        noise = np.random.default_rng(spec.seed).normal(0, 1e-3)
        final = 1 - (x - 0.3) ** 2 + noise
        diverges = config.get("mode") == "diverge" or x > float(config.get("bad_above", 10.0))
        # A fifth of the longest duration to all of it, by seed.
        share = 0.2 + 0.8 * np.random.default_rng(spec.seed + 1).random()
        pause = share * float(config.get("longest_seconds") or 0.0) / epochs
        if config.get("mode") == "quick_first" and spec.trial == 0:
            pause = 0.0
        values: list[float] = []
        for epoch in range(epochs):
            time.sleep(pause)
            value = final * (epoch + 1) / epochs
            values.append(math.nan if diverges and epoch == epochs - 1 else value)
            verdict = on_epoch(epoch, {"val_score": values[-1]})
            if verdict is not None:
                return self._result(values, "stopped", verdict)
        return self._result(values, "diverged" if diverges else "complete", None)

    def _misbehave(self, config: Mapping[str, Value]) -> None:
        if config.get("mode") == "raise":
            raise RuntimeError("told to raise")
        once = config.get("signal_file")
        if once and _made(Path(str(once))):
            number = signal.Signals[str(config.get("mode")).upper()]
            os.kill(os.getpid(), number)

    def _result(self, values: list[float], outcome: Any, stop: Stop | None) -> TrialResult:
        done = outcome == "complete"
        return TrialResult(
            outcome=outcome,
            stop_reason=stop.reason if stop else ("max_epochs" if done else "diverged"),
            metrics={"score": values[-1], "loss": -values[-1]} if done else {},
            history={"val_score": values},
            arrays={"validation_logits": np.full((2, 2), values[-1], np.float32)},
            weights={"w": np.array([values[-1]])} if done else None,
            timings={"train_seconds": 0.0},
            summary="nothing was trained",
            engine="toy",
        )

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        return {"loss_curves.png": b"\x89PNG not a picture"}

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        return float(weights["w"][0])


def _made(flag: Path) -> bool:
    """Make a file; False if it is there. Of two workers that try at once, one makes it."""
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


experiment: Experiment = ToyExperiment()
