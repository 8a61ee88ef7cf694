"""A trial on a Dask worker goes on where it was cut off, if the worker sees the sweep's files."""

from __future__ import annotations

import pytest

import sweeps
from sweeps.executors.checkpoint import CheckpointPlace
from sweeps.executors.dask.on_worker import Job
from sweeps.experiment import TrialSpec
from sweeps.workspace.provenance import cpu_features
from tests.sweeps.executors.cluster.dask_cluster import DaskCluster
from tests.sweeps.runner.test_resuming import SPACE, assert_as_undisturbed, records


def place_here(folder, features=None):
    """Return the place that a worker uses of one below `folder`."""
    place = CheckpointPlace(folder / ".checkpoints" / "0000", "owner", 0.0)
    features = cpu_features() if features is None else features
    spec = TrialSpec("s", 0, 1, 0, {})
    return Job("topic", spec, None, "", {}, None, place, features).place_here()


def test_a_worker_that_sees_the_folder_of_the_sweep_uses_its_checkpoint(tmp_path):
    assert place_here(tmp_path) is None, "no such folder is seen there"
    (tmp_path / "sweep.json").write_text("{}")
    assert place_here(tmp_path).path == tmp_path / ".checkpoints" / "0000"


def test_a_checkpoint_of_another_kind_of_processor_is_not_gone_on_from(tmp_path):
    (tmp_path / "sweep.json").write_text("{}")
    assert place_here(tmp_path, [*cpu_features(), "more"]) is None


@pytest.mark.slow
def test_a_trial_that_crashes_there_or_loses_its_worker_goes_on(tmp_path, make_home):
    space, once = tmp_path / "resuming.yaml", tmp_path / "once"
    space.write_text(SPACE)
    once.mkdir()
    (tmp_path / "dask").mkdir()

    def run(home, *told, **options):
        return sweeps.run(
            str(space), home=make_home(home), overrides=[*told], progress="quiet",
            checkpoint_every=0, **options,
        )  # fmt: skip

    alone = run("alone", workers=1)
    cluster = DaskCluster(tmp_path / "dask")
    try:
        cluster.start_scheduler()
        for name in ("one", "two"):
            cluster.start_worker(name)
        cluster.wait_for(2)
        cut = ("acts=2=crash 5=oom", f"once={once}")
        sweep = run("there", *cut, executor=cluster.uri)
        lost = run("lost", "acts=3=host", f"once={once}", "x=0.5", trials=1, executor=cluster.uri)
    finally:
        cluster.close()
    assert_as_undisturbed(sweep, alone)
    assert [record.resumed_from for record in records(sweep)] == [6, 6, 6]
    # Dask gives the attempt to the other worker, which goes on from what is in the folder.
    (record,) = records(lost)
    assert (record.spec.attempt, record.resumed_from) == (1, 4)
    assert not list((tmp_path / "there").rglob(".checkpoints"))
