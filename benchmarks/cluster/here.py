"""A cluster whose workers run attempts themselves, without the child process that each has else.

For sleeping trials only: two hundred workers with a child each would not fit into the memory of
one machine. All else is as in a real sweep: `run_sweep` is given this in place of a `Cluster`, and
what its executor submits to Dask is replaced on the way.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

from distributed import get_worker

from sweeps.errors import WorkersError
from sweeps.executors.attempt import Attempt, run_attempt
from sweeps.executors.dask.fleet import Cluster, differences
from sweeps.executors.dask.on_worker import DaskJob, Notifier
from sweeps.executors.preloading import Preload
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.loading import load_experiment

_loaded: dict[str, tuple[Experiment, PreparedData]] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class ClusterHere(Cluster):
    """A scheduler whose workers train in their own processes."""

    def connect(self) -> Any:
        """Return a client that submits `train_here`, whatever it is asked to submit."""
        return _Client(super().connect())


class _Client:
    def __init__(self, client: Any) -> None:
        self._client = client

    def submit(self, function: Any, *values: Any, **options: Any) -> Any:
        return self._client.submit(train_here, *values, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def train_here(job: DaskJob, preload: Preload) -> Attempt:
    """Do what `on_worker.train` does, in the calling thread; nothing can stop or time it."""
    worker = get_worker()
    digest = hashlib.sha256(preload.data).hexdigest()
    if differences(job.versions) or digest != job.data_digest:
        raise WorkersError(f"Dask worker {worker.address}: other versions, or other data")
    experiment, data = _load(preload)

    notifier = Notifier(worker, job.topic)
    notifier.started(job.spec)
    tell = partial(notifier.epoch, job.spec)
    try:
        return run_attempt(experiment, job.spec, data, tell, job.judge)
    finally:
        notifier.ended(job.spec)


def _load(preload: Preload) -> tuple[Experiment, PreparedData]:
    with _lock:
        if preload.experiment not in _loaded:
            experiment = load_experiment(preload.experiment, preload.directory)
            _loaded[preload.experiment] = experiment, pickle.loads(preload.data)
        return _loaded[preload.experiment]
