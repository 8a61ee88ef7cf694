"""How sweeps end when something goes wrong on the way: statuses, waits, exit of both stores."""

import dataclasses
import signal
import textwrap
import threading
import time

import pytest

import sweeps
from sweeps.executors import Attempt
from sweeps.experiment import Stop
from sweeps.runner.recording import _judge
from sweeps.tracking.reading import read_runs
from sweeps.tracking.store import open_client
from tests.faults.proxy import Proxy
from tests.sweeps import journals
from tests.sweeps.factories import make_record
from tests.sweeps.launching import Launched
from tests.sweeps.shared.postgres import wait_until


def parent_of(home):
    client = open_client(f"sqlite:///{home / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    (parent,) = client.search_runs(experiments, "tags.kind = 'sweep'")
    return parent


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (None, "failed"),
        (Stop("pruned"), "pruned"),
        (Stop("interrupt"), "interrupted"),
        (Stop("terminate"), "interrupted"),
    ],
)
def test_a_stopped_trial_is_judged_by_what_it_was_told(verdict, outcome):
    record = make_record()
    result = dataclasses.replace(record.result, outcome="stopped", stop_reason="its own")
    attempt = Attempt(record.spec, result, None, 0, 1, verdict=verdict)
    assert _judge(attempt, ["score"])[0] == outcome


def test_an_exception_gives_the_parent_run_its_terminal_status(run_toy, make_home, tmp_path):
    (tmp_path / "spoilt.py").write_text(
        textwrap.dedent("""
        from tests.sweeps.toy_experiment import ToyExperiment

        class Spoilt(ToyExperiment):
            def warm_up(self):
                raise RuntimeError("no device")

        experiment = Spoilt()
        """)
    )
    space = tmp_path / "toy.yaml"
    text = space.read_text().replace("tests.sweeps.toy_experiment:", "spoilt:")
    space.write_text(text)
    with pytest.raises(RuntimeError, match="no device"):
        run_toy(trials=2)
    parent = parent_of(make_home())
    assert parent.info.status == "FAILED"
    assert "no device" in parent.data.tags["mlflow.note.content"]
    assert [t for t in threading.enumerate() if t.name == "sweeps-projector"] == []


@pytest.mark.slow
def test_sigterm_ends_the_parent_run_though_the_server_is_too_slow_for_the_others(
    toy_space, make_home, mlflow_server
):
    with Proxy(mlflow_server.port) as proxy:
        words = ["run", str(toy_space), "--home", str(make_home()), "--trials", "40"]
        words += ["--set", "longest_seconds=0.4", "--tracking-uri", proxy.address]
        launched = Launched(words)
        wait_until(lambda: any("runs/log-batch" in request for request in proxy.replies))
        proxy.delay_seconds = 0.8  # a run takes more than the time there is
        wait_until(lambda: len(journals.ended(make_home())) >= 6)
        launched.signal(signal.SIGTERM)
        assert launched.wait() == 143, launched.stderr()
    assert "tracking incomplete" in launched.stderr()
    sweep = sweeps.load("toy", make_home())
    runs = read_runs(mlflow_server.address, sweep.info)
    assert [run.status for run in runs if run.kind == "sweep"] == ["KILLED"]


@pytest.mark.slow
def test_sweeps_that_start_together_in_a_fresh_home_share_it(tmp_path, toy_space):
    words = ["run", str(toy_space), "--home", str(tmp_path / "fresh"), "--trials", "2"]
    started = [
        Launched([*words, "--workers", "0", "--quiet", "--name", name])
        for name in ("one", "two", "three")
    ]
    for sweep in started:
        assert (sweep.wait(), sweep.stderr()) == (0, "")
    client = open_client(f"sqlite:///{tmp_path / 'fresh' / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    assert len(client.search_runs(experiments, "tags.kind = 'trial'")) == 6


def test_a_python_call_that_was_interrupted_says_so(run_toy, make_home, tmp_path):
    flag = tmp_path / "flag"
    with pytest.raises(KeyboardInterrupt):
        run_toy(trials=2, workers=0, overrides=("mode=sigint", f"signal_file={flag}"))
    assert parent_of(make_home()).info.status == "KILLED"
    assert sweeps.load("toy", make_home()).rows()[0].state == "WAITING"


@pytest.mark.slow
def test_a_signal_shortens_the_wait_for_a_store_that_never_answers(toy_space, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = ["run", str(toy_space), "--home", str(tmp_path / "home"), "--trials", "2"]
        running = Launched([*words, "--workers", "0", "--tracking-uri", address, "--verbose"])
        running.until_said("[2/2]")
        time.sleep(0.5)
        began = time.monotonic()
        running.signal(signal.SIGTERM)
        assert running.wait() == 143, running.stderr()
    assert time.monotonic() - began < 10
    assert "Traceback" not in running.stderr()
