"""A sweep on a crowded cluster, watched trial by trial: the process that `scale` starts.

The CPU time of each stage (`benchmarks.stages`) is read whenever a trial has ended.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.cluster.here import ClusterHere
from benchmarks.cluster.many import HOME, SWEEP
from benchmarks.process_tree import answer
from benchmarks.stages import StageClock, watch_trials
from sweeps.config.options import RunOptions
from sweeps.config.policies import Parallelism
from sweeps.executors.dask.fleet import Fleet, parse_cluster
from sweeps.progress.lines import Quiet
from sweeps.progress.tally import Tally
from sweeps.records import Record

SPACE = Path(__file__).with_name("sleeping.yaml")
AWAY = "http://127.0.0.1:9"
"""A tracking server where nobody answers: the sweep goes on, and projects nothing."""


class Rows(Quiet):
    """Progress that says nothing, and keeps a row a trial.

    Attributes:
        rows: `stages` (CPU seconds since the row before); since the sweep began: `seconds` and
            `runs` (in MLflow).
    """

    def __init__(self, clock: StageClock) -> None:
        super().__init__(sys.stderr)
        self._clock, self._began = clock, 0.0
        self.rows: list[dict[str, Any]] = []

    def started(self, tally: Tally) -> None:
        """Forget what came before: imports, databases made."""
        self._clock.end_trial()
        self._began = time.monotonic()

    def trial_finished(self, record: Record) -> None:
        """Read the clocks."""
        self._clock.end_trial()
        self.rows.append(
            {
                "seconds": time.monotonic() - self._began,
                "stages": self._clock.trials[-1],
                "runs": self._clock.calls["MLflow"],
            }
        )


def watch_cluster(clock: StageClock) -> None:
    """Wrap what a trial on a cluster consists of, on the coordinator's side."""
    from sweeps.executors.dask.executor import DaskExecutor
    from sweeps.tracking.projection import Projection
    from sweeps.tracking.projector import Projector

    watch_trials(clock)
    clock.watch(DaskExecutor, "submit", "Dask")
    clock.watch(DaskExecutor, "_attempt", "Dask")
    clock.watch(DaskExecutor, "_hear", "events")
    clock.watch(Projector, "_project", "MLflow")
    clock.watch(Projection, "start_sweep", "start")


def main(wanted: dict[str, Any]) -> dict[str, Any]:
    """Run the sweep in the working folder; return its rows, and how many runs MLflow lacks."""
    from sweeps.config.resolving import resolve
    from sweeps.launch import run_sweep
    from sweeps.tracking.address import resolve_tracking_uri

    clock = StageClock()
    watch_cluster(clock)
    rows = Rows(clock)
    asked = RunOptions(
        str(SPACE),
        trials=wanted["trials"],
        name=SWEEP,
        sampler=wanted["sampler"],
        ask_ahead=wanted["ask_ahead"],
        overrides=[f"seconds={wanted['seconds']}"],
        home=HOME,
    )
    config = resolve(asked)
    config = dataclasses.replace(
        config, parallelism=Parallelism(wanted["workers"], config.ask_ahead)
    )
    config.home.check_writable()
    cluster = parse_cluster(wanted["executor"], trusted=True)
    own = resolve_tracking_uri(config.home.path, None)
    result = run_sweep(
        config,
        tracking_uri=own if wanted["tracking"] else AWAY,
        progress=rows,
        is_away=not wanted["tracking"],
        fleet=Fleet(ClusterHere(cluster.address, cluster.asked), wanted["workers"], False, ()),
    )
    return {"rows": rows.rows, "pending": result.summary.tracking_pending}


if __name__ == "__main__":
    answer(main)
