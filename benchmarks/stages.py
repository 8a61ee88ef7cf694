"""Measures the CPU time of a sweep by stage and trial, in the process that `growth` starts.

Methods of the framework are wrapped with a clock that reads the CPU time of the calling thread, so
that waiting costs nothing. A stage inside another (the sampler inside a proposal) does not count in
the outer one. MLflow's thread normally lags behind. Here the loop waits after each trial until its
run is written, so that all CPU time of the process since the last trial belongs to this trial.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.process_tree import answer

SPACE = Path(__file__).with_name("nothing.yaml")
WAIT_SECONDS = 60


class StageClock:
    """Adds up CPU seconds by stage, over all threads.

    Attributes:
        trials: The seconds of each finished trial by stage; `process` is the whole process.
        calls: How often each stage was entered.
    """

    def __init__(self) -> None:
        self.trials: list[dict[str, float]] = []
        self.calls: Counter[str] = Counter()
        self._seconds: dict[str, float] = defaultdict(float)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._process = time.process_time()

    def watch(self, owner: type, method: str, stage: str) -> None:
        """Count the time inside a method of a class for a stage."""
        inner = getattr(owner, method)

        @functools.wraps(inner)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._enter(stage)
            self.calls[stage] += 1
            try:
                return inner(*args, **kwargs)
            finally:
                self._leave()

        setattr(owner, method, timed)

    def end_trial(self) -> None:
        """Keep the seconds since the last trial as those of this trial."""
        now = time.process_time()
        with self._lock:
            self.trials.append({**self._seconds, "process": now - self._process})
            self._seconds.clear()
        self._process = now

    def _enter(self, stage: str) -> None:
        self._settle()
        self._local.stages.append(stage)

    def _leave(self) -> None:
        self._settle()
        self._local.stages.pop()

    def _settle(self) -> None:
        """Count the time since the last change for the innermost stage of this thread."""
        now = time.thread_time()
        stages = self._local.__dict__.setdefault("stages", [])
        if stages:
            with self._lock:
                self._seconds[stages[-1]] += now - self._local.since
        self._local.since = now


def watch_trials(clock: StageClock) -> None:
    """Wrap what proposes a trial, and what writes its events and files."""
    import optuna

    from sweeps.journal import Journal
    from sweeps.records import RecordStore
    from sweeps.runner.trial_queue import TrialQueue

    for sampler in (optuna.samplers.RandomSampler, optuna.samplers.TPESampler):
        for method in ("infer_relative_search_space", "sample_relative", "sample_independent"):
            clock.watch(sampler, method, "sampler")
    clock.watch(TrialQueue, "open_next", "proposals")
    for method in ("append", "take"):
        clock.watch(Journal, method, "journal")
    clock.watch(RecordStore, "write", "records")


def watch_framework(clock: StageClock) -> None:
    """Wrap the methods that the stages consist of."""
    from sweeps.executors import InProcessExecutor
    from sweeps.records import RecordStore
    from sweeps.tracking.projection import Projection
    from sweeps.tracking.projector import Projector

    watch_trials(clock)
    clock.watch(RecordStore, "read", "records")
    clock.watch(InProcessExecutor, "submit", "training")
    clock.watch(Projection, "project", "MLflow")
    _wait_for_runs(Projection, Projector, clock.end_trial)


def _wait_for_runs(projection: Any, projector: Any, then: Callable[[], None]) -> None:
    """Make `put` wait until the run is written, and then call `then`."""
    written = threading.Event()
    project, put = projection.project, projector.put

    @functools.wraps(project)
    def project_and_say(*args: Any, **kwargs: Any) -> Any:
        answer = project(*args, **kwargs)
        written.set()
        return answer

    @functools.wraps(put)
    def put_and_wait(*args: Any, **kwargs: Any) -> None:
        written.clear()
        put(*args, **kwargs)
        if not written.wait(WAIT_SECONDS):
            raise RuntimeError(f"MLflow did not take a run within {WAIT_SECONDS} s")
        then()

    projection.project, projector.put = project_and_say, put_and_wait


def main(sampler: str, trials: int) -> list[dict[str, float]]:
    """Run the sweep in the working folder and return the seconds of each trial."""
    import sweeps

    clock = StageClock()
    watch_framework(clock)
    sweeps.run(str(SPACE), trials=trials, sampler=sampler, workers=0, home="home", progress="quiet")
    return clock.trials


if __name__ == "__main__":
    answer(main)
