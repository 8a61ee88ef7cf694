"""A sweep on a Dask cluster: the same trials as on this machine, whatever dies there."""

from __future__ import annotations

from pathlib import Path

import pytest

import sweeps
from sweeps.errors import UsageError
from sweeps.executors.dask import fleet
from sweeps.executors.dask.fleet import look_at, parse_cluster
from tests.sweeps import journals
from tests.sweeps.conftest import table
from tests.sweeps.executors.cluster.dask_cluster import DaskCluster
from tests.sweeps.executors.conftest import eventually
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound

TRIALS = 24
SECONDS = "longest_seconds=0.3"


SCRIPT = """
echo learning at $1
printf $1 > $2/model
echo $2 > $2/where
if [ $1 = 0.75 ]; then sleep 600; fi
echo '{"result": {"score": 1}}'
"""

SCRIPT_SPACE = """
command: sh train.sh {x} {output}
objective: {metric: score, direction: maximize}
parameters:
  x: {type: float, low: 0, high: 1}
baselines:
  good: {x: 0.25}
  slow: {x: 0.75}
defaults: {trials: 2, sampler: random, pruner: none, ask_ahead: 2}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    running = DaskCluster(tmp_path_factory.mktemp("dask"))
    running.start_scheduler()
    for name in ("one", "two"):
        running.start_worker(name)
    running.wait_for(2)
    yield running
    running.close()


@pytest.fixture
def alone(run_toy):
    """Return the table of the same sweep on this machine, undisturbed."""
    return table(run_toy("alone", trials=TRIALS, workers=2, overrides=(SECONDS,)))


@pytest.fixture
def launch(toy_space, make_home):
    def start(uri, trials=TRIALS):
        return Launched(
            ["run", str(toy_space), "--trials", str(trials), "--set", SECONDS,
             "--executor", uri, "--home", str(make_home())]
        )  # fmt: skip

    return start


def recorded(home):
    return len(journals.ended(home))


@pytest.mark.nightly
class TestSweepOnDask:
    @pytest.mark.nightly
    def test_the_trials_are_those_of_one_machine_and_epochs_stream(self, cluster, run_toy, alone):
        sweep = run_toy(trials=TRIALS, executor=cluster.uri, overrides=(SECONDS,))
        assert table(sweep) == alone

    @pytest.mark.nightly
    def test_a_pruner_decides_there_as_here(self, cluster, run_toy):
        options = {"trials": TRIALS, "pruner": "median", "overrides": ("epochs=8",)}
        here = table(run_toy("here", workers=0, **options))
        assert table(run_toy(executor=cluster.uri, **options)) == here
        assert any(row[1] == "PRUNED" for row in here)

    @pytest.mark.nightly
    def test_a_worker_is_killed_and_another_one_added(self, cluster, launch, make_home, alone):
        running = launch(cluster.uri)
        while recorded(make_home()) < 4:
            assert running.is_alive(), running.stderr()
        cluster.kill("one")
        cluster.start_worker("three")
        assert running.wait() == 0, running.stderr()
        assert_sound(make_home(), alone)

    @pytest.mark.nightly
    def test_what_crashes_or_hangs_there_ends_alone(self, cluster, run_toy):
        options = {
            "trials": 12,
            "overrides": ("mode=sigkill", "bad_above=0.5"),
            "retries": {"crash": 0},
            "max_failures_in_row": 0,
        }
        sweep = run_toy(executor=cluster.uri, **options)
        here = run_toy("here", workers=2, **options)
        assert table(sweep) == table(here)
        assert {"FAILED", "COMPLETE"} == {row.state for row in sweep.rows()}

    @pytest.mark.nightly
    def test_what_scripts_write_there_comes_back_also_of_one_that_is_ended(
        self, cluster, tmp_path, make_home
    ):
        (tmp_path / "train.sh").write_text(SCRIPT)
        (tmp_path / "script.yaml").write_text(SCRIPT_SPACE)
        sweep = sweeps.run(
            str(tmp_path / "script.yaml"),
            home=make_home(),
            executor=cluster.uri,
            trial_timeout=3,
            retries={"timeout": 0},
            progress="quiet",
        )
        assert [row.reason for row in sweep.rows()] == ["finished", "timeout"]
        for trial, x in ((0, "0.25"), (1, "0.75")):
            files = sweep.trial(trial).files
            assert files["stdout.txt"].startswith(f"learning at {x}\n".encode())
            assert files["output/model"].decode() == x
            (where,) = files["output/where"].decode().split()
            assert not Path(where).is_relative_to(make_home())  # but where its Dask worker works
            assert eventually(lambda where=where: not Path(where).parents[1].exists())
        assert "The last lines of its stdout:\nlearning at 0.75" in sweep.rows()[1].error

    @pytest.mark.nightly
    def test_it_is_stopped_in_the_middle_and_goes_on_elsewhere(
        self, cluster, launch, make_home, run_toy, alone
    ):
        running = launch(cluster.uri)
        while recorded(make_home()) < 4:
            assert running.is_alive(), running.stderr()
        running.kill()
        assert recorded(make_home()) < TRIALS
        sweep = run_toy(trials=TRIALS, workers=2, overrides=(SECONDS,))
        assert table(sweep) == alone
        assert_sound(make_home(), alone)

    def test_other_versions_are_refused_by_name(self, cluster, run_toy, make_home, monkeypatch):
        other = {**fleet.versions(), "keras": "1.0"}
        monkeypatch.setattr(fleet, "versions", lambda: other)
        with pytest.raises(UsageError, match=r"keras is 3\..*, the coordinator has 1\.0"):
            run_toy(trials=2, executor=cluster.uri)
        assert not (make_home() / "sweeps").exists()

    @pytest.mark.nightly
    def test_the_scheduler_goes_in_mid_sweep_and_what_is_there_is_kept(
        self, cluster, launch, make_home, run_toy, alone
    ):
        running = launch(cluster.uri)
        while recorded(make_home()) < 4:
            assert running.is_alive(), running.stderr()
        cluster.kill("scheduler")
        assert running.wait() == 1, running.stderr()
        assert "has gone" in running.stderr().splitlines()[-1]
        assert "Traceback" not in running.stderr()
        assert recorded(make_home()) >= 4
        sweep = run_toy(trials=TRIALS, workers=2, overrides=(SECONDS,))
        assert table(sweep) == alone


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("tcp://127.0.0.1:8786", "write dask://HOST:8786"),
        ("dask://127.0.0.1", "write dask://HOST:8786"),
        ("dask://127.0.0.1:port", "write dask://HOST:8786"),
        ("dask://192.0.2.1:8786", "--trust-cluster"),
        ("dask://cluster.example:8786", "--trust-cluster"),
    ],
)
def test_an_address_that_is_wrong_or_open_to_others_is_refused(uri, said):
    with pytest.raises(UsageError, match=said):
        parse_cluster(uri, trusted=False)


def test_what_is_trusted_or_encrypted_is_taken():
    assert parse_cluster("dask://192.0.2.1:8786", trusted=True).address == "tcp://192.0.2.1:8786"
    assert parse_cluster("dask+tls://h.example:1", trusted=False).address == "tls://h.example:1"
    assert parse_cluster("dask://localhost:8786", trusted=False).address == "tcp://localhost:8786"


def test_nobody_at_that_address_is_said_and_nothing_created(run_toy, make_home, monkeypatch):
    monkeypatch.setattr(fleet, "CONNECT_SECONDS", 1)
    with pytest.raises(UsageError, match="no Dask scheduler answers there within 1 s"):
        run_toy(trials=2, executor="dask://127.0.0.1:9")
    with pytest.raises(UsageError, match="give one of them"):
        run_toy(trials=2, executor="dask://127.0.0.1:9", workers=2)
    assert not (make_home() / "sweeps").exists()


def test_a_scheduler_without_workers_is_named_with_what_to_start(tmp_path):
    empty = DaskCluster(tmp_path)
    empty.start_scheduler()
    try:
        with pytest.raises(UsageError, match="has no worker; start some: dask worker tcp://"):
            look_at(parse_cluster(empty.uri, trusted=False))
    finally:
        empty.close()


def test_options_of_a_cluster_are_part_of_the_command_that_goes_on():
    from sweeps.cli.run import command_line
    from sweeps.config.options import RunOptions

    asked = RunOptions("mlp", executor="dask://h:1", trust_cluster=True, resources={"GPU": 0.5})
    said = "sweeps run mlp --executor dask://h:1 --trust-cluster --resources GPU=0.5"
    assert command_line(asked) == said
