"""Runs each attempt in the calling process and thread: a debugger works, nothing is hidden."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future

from sweeps.executors.attempt import Attempt, run_attempt
from sweeps.executors.protocol import Judge, Listener
from sweeps.experiment import Experiment, PreparedData, Stop, TrialSpec


class InProcessExecutor:
    """Executor for `--workers 0`: `submit` returns when the attempt has ended."""

    capacity = 1

    def __init__(self, experiment: Experiment, data: PreparedData, listener: Listener) -> None:
        self._experiment = experiment
        self._data = data
        self._listener = listener
        self._stops: dict[str, Stop] = {}
        began = time.monotonic()
        experiment.warm_up()
        self._warm_up_seconds = time.monotonic() - began

    def submit(self, spec: TrialSpec, judge: Judge | None = None) -> Future[Attempt]:
        """Train the attempt now and return it as a finished future."""

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> Stop | None:
            return self._listener.epoch(spec, epoch, metrics) or self._stops.get(spec.key)

        future: Future[Attempt] = Future()
        self._listener.started(spec)
        future.set_result(run_attempt(self._experiment, spec, self._data, on_epoch, judge))
        self._stops.pop(spec.key, None)
        return future

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Ask the running attempt to end after its current epoch."""
        self._stops[spec.key] = Stop(reason)

    def close(self) -> None:
        """Nothing runs between two submits."""

    def seconds(self) -> Mapping[str, float]:
        """Return how long warming up took."""
        return {"warm_up": self._warm_up_seconds}
