"""An experiment of plain arithmetic: the same numbers to the bit on every processor.

It has no logarithm and no exponential, whose last bit depends on the library and the processor.
Its trials diverge, raise and report each epoch, so that a sampler sees outcomes of every kind.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Mapping
from typing import Final

from sweeps.experiment import (
    Experiment,
    MetricInfo,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    TrialResult,
    TrialSpec,
    Value,
)
from tests.sweeps.toy_experiment import ToyExperiment

KILLED_AT: Final = "ARITHMETIC_KILLED_AT"
"""Variable with the key of an attempt that sends SIGKILL to its own process, such as `0013-1`."""
EPOCH_SECONDS: Final = "ARITHMETIC_EPOCH_SECONDS"
"""Variable with the time that the longest epochs take; without it, none."""


class ArithmeticExperiment(ToyExperiment):
    """Scores best at a rate near 0.01, a momentum near 0.6, many units and widths of 12."""

    name = "arithmetic"
    parameters: Mapping[str, ParameterInfo] = {
        "rate": ParameterInfo("float", 1e-6, 10.0, required=True),
        "momentum": ParameterInfo("float", 0.0, 1.0, default=0.5),
        "units": ParameterInfo("int", 1, 1000, default=16),
        "kind": ParameterInfo("categorical", choices=("plain", "wide", "deep"), default="plain"),
        "gain": ParameterInfo("float", 0.0, 10.0, default=1.0),
        "depth": ParameterInfo("int", 0, 10, default=0),
        "width_{i}": ParameterInfo("int", 1, 100, default=12),
        "epochs": ParameterInfo("int", 1, 1000, default=8),
    }
    metrics: Mapping[str, MetricInfo] = {
        "score": MetricInfo("maximize", "val_score"),
        "cost": MetricInfo("minimize"),
    }

    def check(self, config: Mapping[str, Value]) -> None:
        """Every point is allowed."""

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        return {"size": float(_cost(config))}

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        config = spec.config
        rate, momentum = float(config["rate"]), float(config.get("momentum", 0.5))
        if momentum > 0.93:
            raise RuntimeError("so much momentum never comes to rest")
        limit = _limit(config) + spec.seed % 1000 / 1e5
        # Up to three times as long in one trial as in another: they do not end in their order.
        pause = float(os.environ.get(EPOCH_SECONDS, "0")) * (1 + spec.seed % 3) / 3
        values: list[float] = []
        for epoch in range(int(config.get("epochs", 8))):
            time.sleep(pause)
            if epoch == 1 and os.environ.get(KILLED_AT) == spec.key:
                os.kill(os.getpid(), signal.SIGKILL)
            diverges = rate > 0.2 and epoch == 3
            values.append(math.nan if diverges else limit - (0.2 + momentum) / (epoch + 1))
            stop = on_epoch(epoch, {"val_score": values[-1]})
            if diverges:
                return _result(config, values, "diverged", "diverged")
            if stop is not None:
                return _result(config, values, "stopped", stop.reason)
        return _result(config, values, "complete", "max_epochs")


def _limit(config: Mapping[str, Value]) -> float:
    rate, momentum = float(config["rate"]), float(config.get("momentum", 0.5))
    gain, units = float(config.get("gain", 1.0)), int(config.get("units", 16))
    off = (rate - 0.01) / (rate + 0.01)
    limit = 1 - off * off / 2 - (momentum - 0.6) * (momentum - 0.6) - 1 / units
    limit -= (gain - 1.5) * (gain - 1.5) / 20
    limit -= {"plain": 0.06, "wide": 0.0, "deep": 0.03}[str(config.get("kind", "plain"))]
    return limit - sum((width - 12) * (width - 12) for width in _widths(config)) / 2000


def _cost(config: Mapping[str, Value]) -> int:
    return int(config.get("units", 16)) + sum(_widths(config))


def _widths(config: Mapping[str, Value]) -> list[int]:
    return [int(config[f"width_{i + 1}"]) for i in range(int(config.get("depth") or 0))]


def _result(
    config: Mapping[str, Value], values: list[float], outcome: str, reason: str
) -> TrialResult:
    is_complete = outcome == "complete"
    return TrialResult(
        outcome=outcome,
        stop_reason=reason,
        metrics={"score": values[-1], "cost": float(_cost(config))} if is_complete else {},
        history={"val_score": values},
        summary="nothing was trained",
        engine="none",
    )


experiment: Experiment = ArithmeticExperiment()
