"""Runs each attempt in the calling process and thread: a debugger works, nothing is hidden."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future

from sweeps.executors.attempt import Attempt, OnTrialEpoch, run_attempt
from sweeps.experiment import Experiment, PreparedData, Stop, TrialSpec


class InProcessExecutor:
    """Executor for `--workers 0`: `submit` returns when the attempt has ended."""

    capacity = 1

    def __init__(self, experiment: Experiment, data: PreparedData, on_epoch: OnTrialEpoch) -> None:
        self._experiment = experiment
        self._data = data
        self._on_epoch = on_epoch
        self._stops: dict[str, Stop] = {}

    def submit(self, spec: TrialSpec) -> Future[Attempt]:
        """Train the attempt now and return it as a finished future."""
        future: Future[Attempt] = Future()
        future.set_result(run_attempt(self._experiment, spec, self._data, self._watch))
        self._stops.pop(spec.key, None)
        return future

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Ask the running attempt to end after its current epoch."""
        self._stops[spec.key] = Stop(reason)

    def close(self) -> None:
        """Nothing runs between two submits."""

    def _watch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        return self._on_epoch(spec, epoch, metrics) or self._stops.get(spec.key)
