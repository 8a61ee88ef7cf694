"""The toy experiment that notes its trainings and has trouble at chosen trials, as it is told.

Trouble is no part of the space: a sweep resumed with other trouble, or left alone, is the same.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.experiment import (
    Experiment,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    TrialResult,
    TrialSpec,
)
from tests.sweeps.serving_experiment import ServingExperiment

TRAININGS = "FAULT_TRAININGS"
"""File that gets a line `<trial> <attempt> <process>` whenever a training begins."""
SECONDS = "FAULT_SECONDS"
"""Duration of a training, in seconds (default 0)."""
TROUBLE = "FAULT_TROUBLE"
"""Such as `3:segfault 5:hang!`; with `!` at every attempt, else at the first only."""

METRICS = "FAULT_METRICS"
"""How many headline metrics there are beside those of the toy experiment (default 0)."""


class FaultExperiment(ServingExperiment):
    """Trains nothing, takes its time, and misbehaves where it is told to."""

    name = "faults"
    parameters: Mapping[str, ParameterInfo] = {
        **ServingExperiment.parameters,
        "note": ParameterInfo("categorical", optional=True, description="any text; does nothing"),
    }

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Write down that it begins, then misbehave or train."""
        _write_down(spec)
        epochs = int(spec.config.get("epochs", 3))
        pause = float(os.environ.get(SECONDS, "0")) / epochs

        def paced(epoch: int, metrics: Mapping[str, float]) -> Any:
            time.sleep(pause)
            return on_epoch(epoch, metrics)

        trouble = _trouble(spec.trial)
        if trouble == "diverge":
            spec = dataclasses.replace(spec, config={**spec.config, "mode": "diverge"})
        elif trouble.endswith("!") or (trouble and spec.attempt == 1):
            misbehave(trouble.rstrip("!"), paced)
        result = super().train(spec, data, paced)
        more = {f"metric {n}": float(n) for n in range(int(os.environ.get(METRICS, "0")))}
        return dataclasses.replace(result, metrics={**more, **result.metrics})


def misbehave(how: str, on_epoch: OnEpoch) -> None:
    """Do what no training should: raise, crash, leave, or never end."""
    if how == "raise":
        raise RuntimeError("told to raise")
    if how == "memory":
        raise MemoryError("told to need more memory than there is")
    if how == "segfault":
        ctypes.string_at(0)
    if how == "exit":
        os._exit(3)
    if how == "kill":
        on_epoch(0, {"val_score": 0.0})
        os.kill(os.getpid(), signal.SIGKILL)
    while how == "hang":
        time.sleep(60)


def _write_down(spec: TrialSpec) -> None:
    trainings = os.environ.get(TRAININGS)
    if trainings:
        line = f"{spec.trial} {spec.attempt} {os.getpid()}\n".encode()
        descriptor = os.open(Path(trainings), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, line)
        os.close(descriptor)


def _trouble(trial: int) -> str:
    pairs = (pair.split(":") for pair in os.environ.get(TROUBLE, "").split())
    return {int(number): how for number, how in pairs}.get(trial, "")


experiment: Experiment = FaultExperiment()
