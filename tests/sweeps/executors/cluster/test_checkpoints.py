"""A trial on a Dask worker goes on where it was cut off, if the worker sees the sweep's files."""

from __future__ import annotations

import os
import threading

import pytest

import sweeps
from sweeps.executors.checkpoint import CheckpointPlace
from sweeps.executors.dask.on_worker import DaskJob
from sweeps.experiment import TrialSpec
from sweeps.workspace.provenance import cpu_features
from tests.sweeps.executors.conftest import eventually
from tests.sweeps.runner.test_resuming import SPACE, Heard, assert_as_undisturbed, records


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "resuming.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def once(tmp_path):
    """Return the folder in which the experiment notes what it has done to itself."""
    folder = tmp_path / "once"
    folder.mkdir()
    return folder


def place_here(folder, features=None, **options):
    """Return the place that a worker uses of one below `folder`."""
    place = CheckpointPlace(folder / ".checkpoints" / "0000", "owner", 0.0)
    features = cpu_features() if features is None else features
    spec = TrialSpec("s", 0, 1, 0, {})
    return DaskJob("topic", spec, None, "", {}, None, place, features).place_here(**options)


def test_a_worker_that_sees_the_folder_of_the_sweep_uses_its_checkpoint(tmp_path):
    assert place_here(tmp_path) is None, "no such folder is seen there"
    (tmp_path / "journal.jsonl").write_text("{}")
    assert place_here(tmp_path).path == tmp_path / ".checkpoints" / "0000"


def test_a_checkpoint_of_another_kind_of_processor_is_not_gone_on_from(tmp_path):
    (tmp_path / "journal.jsonl").write_text("{}")
    assert place_here(tmp_path, [*cpu_features(), "more"]) is None


def test_a_script_and_a_home_of_somebody_else_have_none_there(tmp_path, monkeypatch):
    (tmp_path / "journal.jsonl").write_text("{}")
    assert place_here(tmp_path, writes_files=True) is None
    asked = []

    def access(path, mode):
        asked.append((path, mode))
        return mode != os.W_OK

    monkeypatch.setattr(os, "access", access)
    assert place_here(tmp_path) is None, "root may write everywhere, so that no folder is refused"
    assert asked == [(tmp_path / "journal.jsonl", os.R_OK), (tmp_path, os.W_OK)]


@pytest.mark.slow
def test_a_trial_whose_only_worker_died_waits_for_another_one(cluster, space, once, make_home):
    noted = Heard()

    def help_later():
        assert eventually(lambda: any("no worker is left" in note for note in noted.notes))
        cluster.start_worker("two")

    cluster.start_worker("one")
    cluster.wait_for(1)
    helping = threading.Thread(target=help_later)
    helping.start()
    sweep = sweeps.run(
        str(space), home=make_home("lost"), overrides=["acts=3=host", f"once={once}", "x=0.5"],
        progress=noted, checkpoint_every=0, trials=1, executor=cluster.uri,
    )  # fmt: skip
    helping.join()
    (record,) = records(sweep)
    assert (record.attempt, record.resumed_from, record.result.outcome) == (1, 4, "complete")


@pytest.mark.slow
def test_a_trial_that_crashes_there_or_loses_its_worker_goes_on(
    cluster, space, once, tmp_path, make_home
):
    def run(home, *told, progress="quiet", **options):
        return sweeps.run(
            str(space), home=make_home(home), overrides=[*told], progress=progress,
            checkpoint_every=0, **options,
        )  # fmt: skip

    alone, heard = run("alone", workers=1), Heard()
    for name in ("one", "two"):
        cluster.start_worker(name)
    cluster.wait_for(2)
    cut = ("acts=2=crash 5=oom", f"once={once}")
    sweep = run("there", *cut, executor=cluster.uri, progress=heard)
    lost = run("lost", "acts=3=host", f"once={once}", "x=0.5", trials=1, executor=cluster.uri)
    assert_as_undisturbed(sweep, alone)
    assert [record.resumed_from for record in records(sweep)] == [6, 6, 6]
    said = "trial 1 goes on from its checkpoint, after epoch 3, if its worker sees it"
    assert said in heard.notes
    # Dask gives the attempt to the other worker, which goes on from what is in the folder.
    (record,) = records(lost)
    assert (record.attempt, record.resumed_from) == (1, 4)
    assert not list((tmp_path / "there").rglob(".checkpoints"))
