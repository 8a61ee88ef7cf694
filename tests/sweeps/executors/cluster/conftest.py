"""A scheduler without workers."""

import pytest

from tests.sweeps.executors.cluster.dask_cluster import DaskCluster


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "dask").mkdir()
    running = DaskCluster(tmp_path / "dask")
    running.start_scheduler()
    yield running
    running.close()
