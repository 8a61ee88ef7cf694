"""How results of a cluster are taken in: side by side, so that a slow disk holds up none."""

from __future__ import annotations

import threading

import pytest

from sweeps.errors import WorkersError
from sweeps.executors.dask.executor import DaskExecutor
from sweeps.executors.dask.fleet import look_at, parse_cluster
from sweeps.executors.preloading import make_preload
from sweeps.experiment import TrialSpec
from tests.sweeps.executors import misbehaving
from tests.sweeps.executors.cluster.dask_cluster import DaskCluster
from tests.sweeps.executors.conftest import Listener

WAIT_SECONDS = 60


@pytest.fixture
def executor(tmp_path):
    cluster = DaskCluster(tmp_path)
    try:
        cluster.start_scheduler()
        cluster.start_worker("one")
        cluster.wait_for(1)
        data = misbehaving.experiment.prepare(None, 0)
        preload = make_preload(misbehaving.__name__ + ":experiment", None, data)
        fleet = look_at(parse_cluster(cluster.uri, trusted=True))
        running = DaskExecutor(fleet, preload, Listener(), ask_ahead=2)
        yield running
        running.close()
    finally:
        cluster.close()


@pytest.mark.slow
def test_a_result_is_kept_while_another_one_still_is(executor):
    both = threading.Barrier(2)

    def keep(attempt):
        both.wait(WAIT_SECONDS)
        return attempt.result.stop_reason

    specs = [TrialSpec("s", trial, 1, 0, {"act": "fine"}) for trial in (0, 1)]
    futures = [executor.submit(spec, keep=keep) for spec in specs]
    assert [future.result(WAIT_SECONDS) for future in futures] == ["fine", "fine"]


@pytest.mark.slow
def test_an_error_that_is_not_the_schedulers_end_is_said_as_it_is(executor):
    spec = TrialSpec("s", 0, 1, 0, {"act": "fine"})
    with pytest.raises(WorkersError, match=r"the Dask cluster at .* fails: \w*Error: ") as caught:
        executor.submit(spec, judge=threading.Lock())  # nothing that can be sent
    assert "has gone" not in str(caught.value)
    other = TrialSpec("s", 1, 1, 0, {"act": "fine"})
    assert executor.submit(other).result(WAIT_SECONDS).result.stop_reason == "fine"
