"""Runs each attempt in the calling process and thread, so that a debugger works."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweeps.executors.attempt import run_attempt
from sweeps.executors.protocol import Judge, Keep, Listener, itself
from sweeps.experiment import Experiment, PreparedData, Stop, TrialSpec


class InProcessExecutor:
    """Executor for `--workers 0`: `submit` returns when the attempt has ended."""

    capacity = 1

    def __init__(
        self,
        experiment: Experiment,
        data: PreparedData,
        listener: Listener,
        verdict_on: Callable[[TrialSpec], Stop | None],
        folders: Path | None = None,
    ) -> None:
        """Warm up.

        Args:
            experiment: The experiment that trains.
            data: The data it trains on.
            listener: Told of attempts.
            verdict_on: Asked after each epoch, since nobody can call `stop` while this one trains.
            folders: Folder that gets a folder for each attempt; None if attempts write no files.
        """
        self._experiment = experiment
        self._data = data
        self._listener = listener
        self._verdict_on = verdict_on
        self._folders = folders
        began = time.monotonic()
        experiment.warm_up()
        self._warm_up_seconds = time.monotonic() - began

    def submit(
        self, spec: TrialSpec, judge: Judge | None = None, keep: Keep = itself
    ) -> Future[Any]:
        """Train the attempt now, call `keep`, and return a finished future."""

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> Stop | None:
            self._listener.epoch(spec, epoch, metrics)
            return self._verdict_on(spec)

        future: Future[Any] = Future()
        self._listener.started(spec)
        folder = self._folders / spec.key if self._folders is not None else None
        attempt = run_attempt(self._experiment, spec, self._data, on_epoch, judge, folder)
        future.set_result(keep(attempt.with_files_of(folder)))
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        return future

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Do nothing: no attempt runs when this can be called."""

    def close(self) -> None:
        """Remove the empty folder of attempts; no attempt runs when this can be called."""
        if self._folders is not None:
            with suppress(OSError):  # not there, or it holds files that could not be recorded
                self._folders.rmdir()

    def seconds(self) -> Mapping[str, float]:
        """Return the seconds that warming up took."""
        return {"warm_up": self._warm_up_seconds}
