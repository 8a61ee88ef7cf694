"""What a cluster is made of: its processors, its resources, its idle workers, its deaths."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tornado.iostream import IOStream

from sweeps.errors import UsageError
from sweeps.executors.dask.fleet import (
    CONNECT_SECONDS,
    check_resources,
    how_often,
    look_at,
    mixed_note,
    parse_cluster,
)
from sweeps.tracking.store import open_client
from sweeps.workspace.provenance import cpu_features, is_mixed
from tests.sweeps import journals
from tests.sweeps.conftest import table
from tests.sweeps.executors.cluster.dask_cluster import DaskCluster
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound

ANOTHER_PROCESSOR = """
import re
from pathlib import Path

def with_one_feature_more(self, *arguments, before=Path.read_text, **options):
    text = before(self, *arguments, **options)
    if str(self) != "/proc/cpuinfo":
        return text
    return re.sub(r"(?m)^((?:flags|Features)\\s*: )", r"\\1avx_of_tests ", text)


Path.read_text = with_one_feature_more
"""
OLD_KERAS = """
import importlib.metadata


def version(name, before=importlib.metadata.version):
    return "1.0" if name == "keras" else before(name)


importlib.metadata.version = version
"""
DAMAGED_DATA = """
from sweeps.executors.preloading import Preload


def damaged(self, state):
    assert b"n_train" in state["data"]
    self.__dict__.update(state, data=state["data"].replace(b"n_train", b"n_trail"))


Preload.__setstate__ = damaged
"""
BUSY = ("--trials", "12", "--ask-ahead", "8")
"""No worker of two waits for a trial before its own."""
SECONDS = "longest_seconds=0.3"


@pytest.fixture
def another_processor(tmp_path):
    file = tmp_path / "another_processor.py"
    file.write_text(ANOTHER_PROCESSOR)
    return ["--preload", str(file)]


@pytest.fixture
def launch(toy_space, make_home):
    def start(cluster, *options, seconds=SECONDS):
        return Launched(
            ["run", str(toy_space), "--set", seconds, "--executor", cluster.uri,
             "--home", str(make_home()), *options]
        )  # fmt: skip

    return start


def recorded(home):
    return len(journals.ended(home))


def tag(sweep, name):
    client = open_client(f"sqlite:///{sweep.home.path / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    (parent,) = client.search_runs(experiments, "tags.kind = 'sweep'")
    return parent.data.tags[name]


@pytest.mark.nightly
class TestFleet:
    @pytest.mark.nightly
    def test_a_mixed_one_is_said_in_one_line_and_tagged(
        self, cluster, another_processor, run_toy, capfd
    ):
        cluster.start_worker("like us")
        cluster.start_worker("other", *another_processor)
        cluster.wait_for(2)
        fleet = look_at(parse_cluster(cluster.uri, trusted=False))
        (line,) = [note for note in fleet.notes if "mixed" in note]
        assert fleet.is_mixed
        assert "also avx_of_tests, unlike this machine" in line
        assert "reproducible=false" in line
        sweep = run_toy(trials=8, executor=cluster.uri, overrides=(SECONDS,))
        features = {tuple(r.environment["cpu"]["features"]) for r in records(sweep)}
        assert len(features) == 2
        assert tag(sweep, "reproducible") == "false"

    @pytest.mark.nightly
    def test_one_that_becomes_mixed_is_said_when_it_does(
        self, cluster, another_processor, launch, make_home, run_toy
    ):
        cluster.start_worker("like us")
        cluster.wait_for(1)
        running = launch(cluster, "--trials", "16", "--ask-ahead", "4")
        while recorded(make_home()) < 2:
            assert running.is_alive(), running.stderr()
        cluster.start_worker("other", *another_processor)
        assert running.wait() == 0, running.stderr()
        assert running.stderr().count("mixed CPU features") == 1
        options = {"trials": 16, "ask_ahead": 4, "overrides": (SECONDS,)}
        assert tag(run_toy(**options), "reproducible") == "false"
        assert table(run_toy(**options)) == table(run_toy("alone", workers=2, **options))

    @pytest.mark.nightly
    def test_a_worker_that_comes_with_other_versions_is_named(
        self, cluster, tmp_path, launch, make_home
    ):
        cluster.start_worker("like us")
        cluster.wait_for(1)
        running = launch(cluster, "--trials", "40")
        while recorded(make_home()) < 2:
            assert running.is_alive(), running.stderr()
        (tmp_path / "old_keras.py").write_text(OLD_KERAS)
        cluster.start_worker("other", "--preload", str(tmp_path / "old_keras.py"))
        assert running.wait() == 1, running.stderr()
        last = running.stderr().splitlines()[-1]
        assert re.search(r"error: Dask worker tcp://.*: keras is 1.0, the coordinator has 3", last)

    def test_one_whose_data_are_damaged_is_named_and_records_nothing(
        self, cluster, another_processor, tmp_path, launch, make_home, run_toy
    ):
        (tmp_path / "damaged_data.py").write_text(DAMAGED_DATA)
        damaged = ("--preload", str(tmp_path / "damaged_data.py"), *another_processor)
        cluster.start_worker("like us")
        cluster.start_worker("damaged", *damaged)
        cluster.wait_for(2)
        running = launch(cluster, "--trials", "8")
        assert running.wait() == 1, running.stderr()
        last = running.stderr().splitlines()[-1]
        assert re.fullmatch(r"error: Dask worker tcp://\S+: the data arrived damaged", last)
        assert "Traceback" not in running.stderr()
        assert recorded(make_home()) < 8
        cluster.kill("damaged")  # and the same command goes on
        options = {"trials": 8, "overrides": (SECONDS,)}
        sweep = run_toy(executor=cluster.uri, **options)
        features = {tuple(r.environment["cpu"]["features"]) for r in records(sweep)}
        assert features == {tuple(cpu_features())}, "none is of the damaged one"
        assert_sound(make_home(), table(run_toy("alone", workers=0, **options)))

    @pytest.mark.nightly
    def test_one_of_equal_machines_is_reproducible(self, cluster, run_toy):
        cluster.start_worker("like us")
        cluster.wait_for(1)
        sweep = run_toy(trials=2, executor=cluster.uri)
        assert tag(sweep, "reproducible") == "true"
        assert not is_mixed(r.environment for r in records(sweep))

    @pytest.mark.nightly
    def test_resources_bound_what_a_worker_trains_at_once(self, cluster, run_toy):
        cluster.start_worker("without")
        cluster.start_worker("with", "--nthreads", "4", "--resources", "GPU=1")
        cluster.wait_for(2)
        half = parse_cluster(cluster.uri, trusted=False, resources={"GPU": 0.5})
        assert look_at(half).worker_slots == 2
        sweep = run_toy(
            trials=8, executor=cluster.uri, resources={"GPU": 0.5}, overrides=(SECONDS,)
        )
        assert most_at_once(records(sweep)) <= 2
        assert table(sweep) == table(run_toy("alone", trials=8, overrides=(SECONDS,)))

    def test_resources_that_nobody_offers_are_refused(self, cluster, run_toy, make_home):
        cluster.start_worker("with", "--resources", "GPU=1")
        cluster.wait_for(1)
        said = r"GPU=2: no worker offers it \(offered: GPU=1\); start one that does: dask worker"
        with pytest.raises(UsageError, match=said):
            run_toy(trials=2, executor=cluster.uri, resources={"GPU": 2})
        assert not (make_home() / "sweeps").exists()

    @pytest.mark.nightly
    def test_idle_workers_are_named_with_the_option_that_gives_them_work(
        self, cluster, launch, make_home
    ):
        cluster.start_worker("one", "--nthreads", "3")
        cluster.wait_for(1)
        running = launch(cluster, "--trials", "40", "--ask-ahead", "2")
        running.until_said("workers: 3, 2 at once (1 idle: more than 2 need --ask-ahead 3)")
        while recorded(make_home()) < 2:
            assert running.is_alive(), running.stderr()
        cluster.start_worker("two")
        assert running.wait() == 0, running.stderr()
        assert "workers: 4, 2 at once (2 idle: more than 2 need --ask-ahead 4)" in running.stderr()

    @pytest.mark.nightly
    def test_what_began_again_since_its_worker_died_is_counted(
        self, cluster, launch, make_home, run_toy
    ):
        for name in ("one", "two"):
            cluster.start_worker(name)
        cluster.wait_for(2)
        running = launch(cluster, *BUSY, seconds="longest_seconds=1")
        while recorded(make_home()) < 3:
            assert running.is_alive(), running.stderr()
        time.sleep(0.2)  # whoever has just ended a trial has told of the next
        cluster.kill("one")
        assert running.wait() == 0, running.stderr()
        assert "allowed-failures of its scheduler is 3" in running.stderr()
        assert "attempts begun again since their worker had gone: 1;" in running.stderr()
        options = {"trials": 12, "ask_ahead": 8, "overrides": ("longest_seconds=1",)}
        assert_sound(make_home(), table(run_toy("alone", workers=2, **options)))

    @pytest.mark.nightly
    def test_a_death_too_many_is_a_crash_that_we_try_again(
        self, tmp_path, monkeypatch, launch, make_home, run_toy
    ):
        monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
        (tmp_path / "strict").mkdir()
        strict = DaskCluster(tmp_path / "strict")
        try:
            strict.start_scheduler()
            for name in ("one", "two"):
                strict.start_worker(name)
            strict.wait_for(2)
            running = launch(strict, *BUSY, seconds="longest_seconds=1")
            while recorded(make_home()) < 3:
                assert running.is_alive(), running.stderr()
            strict.kill("one")
            assert running.wait() == 0, running.stderr()
        finally:
            strict.close()
        options = {"trials": 12, "ask_ahead": 8, "overrides": ("longest_seconds=1",)}
        crashed = [r for r in records(run_toy(**options)) if r.reason == "crash"]
        assert crashed, running.stderr()
        assert all("workers that had it died, 1 in a row" in r.error for r in crashed)
        assert table(run_toy(**options)) == table(run_toy("alone", workers=2, **options))

    @pytest.mark.nightly
    def test_in_free_order_it_trains_whatever_its_size(self, cluster, launch, make_home, run_toy):
        cluster.start_worker("one")
        cluster.wait_for(1)
        running = launch(cluster, "--trials", "16", "--order", "free", seconds="longest_seconds=1")
        while recorded(make_home()) < 2:
            assert running.is_alive(), running.stderr()
        cluster.start_worker("two", "--nthreads", "2")
        cluster.wait_for(2)
        assert running.wait() == 0, running.stderr()
        sweep = run_toy(trials=16, order="free", overrides=("longest_seconds=1",))
        assert [row.state for row in sweep.rows()] == ["COMPLETE"] * 16
        assert len({r.environment["cpu"]["count"] for r in records(sweep)}) == 1
        assert most_at_once(records(sweep)) > 1
        assert tag(sweep, "reproducible") == "false"


def records(sweep):
    return sweep.home.store(sweep.info.id).read_all()


def most_at_once(records):
    def running_at(moment):
        return sum(r.started_at <= moment < r.finished_at for r in records)

    return max(running_at(r.started_at) for r in records)


@pytest.mark.parametrize("stalls_at", [0, 1])  # the question whether one answers, then Dask's own
def test_no_connection_is_left_open_where_the_machine_stalls_while_one_is_made(
    cluster, monkeypatch, stalls_at
):
    stalls = [CONNECT_SECONDS / 5 + 0.2, *[0.0] * stalls_at]
    connected = IOStream._handle_connect

    def stall_once(stream):
        connected(stream)
        if stalls:
            time.sleep(stalls.pop())

    monkeypatch.setattr(IOStream, "_handle_connect", stall_once)
    before = sockets()
    # In a thread of its own: that of the tests may have a browser's loop, which runs for good.
    with ThreadPoolExecutor(1) as thread:
        client = thread.submit(parse_cluster(cluster.uri, trusted=True).connect).result()
        thread.submit(client.close).result()
    assert not stalls
    assert sockets() == before


def sockets():
    return {file.name for file in Path("/proc/self/fd").iterdir() if file.is_socket()}


def test_processors_that_are_alike_are_no_news():
    assert mixed_note({"tcp://a": cpu_features(), "tcp://b": cpu_features()[::-1]}) is None


def test_processors_that_are_not_are_named():
    some, *others = cpu_features()
    line = mixed_note({"tcp://a": cpu_features(), "tcp://b": others, "tcp://c": ["avx9", *others]})
    assert f"tcp://b (one of 2 workers) has no {some}, unlike this machine" in line


def test_a_coordinator_unlike_its_workers_had_a_part_in_the_sweep():
    one, other = {"features": ["fma"]}, {"features": ["avx", "fma"]}
    assert not is_mixed([{"cpu": one}, {"cpu": one}, {}])
    assert is_mixed([{"cpu": one}, {"cpu": other}])
    assert is_mixed([{"cpu": one, "coordinator_cpu": other}])


@pytest.mark.parametrize("amount", [0, -1, float("nan"), float("inf"), "much", True, None])
def test_an_amount_that_is_none_is_refused(amount):
    with pytest.raises(UsageError, match=r"--resources GPU=.*: give a number above 0"):
        check_resources({"GPU": amount})


def test_resources_without_a_cluster_are_refused(run_toy):
    with pytest.raises(UsageError, match="give executor as well"):
        run_toy(trials=2, resources={"GPU": 1})


@pytest.mark.parametrize(
    ("offered", "taken", "times"),
    [({"GPU": 1}, 0.5, 2), ({"GPU": 1}, 0.1, 10), ({"GPU": 2}, 0.75, 2), ({}, 1, 0)],
)
def test_fractions_fit_as_often_as_they_do(offered, taken, times):
    assert how_often(offered, {"GPU": taken}) == [times]
