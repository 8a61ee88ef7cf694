"""Sweeps on worker processes: the same trials as without, and an end whatever is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import sweeps
from sweeps.errors import UsageError, WorkersError
from tests.sweeps.conftest import table
from tests.sweeps.executors.conftest import eventually, is_alive


def children(pid):
    """Return the process ids of a process's children."""
    tasks = Path(f"/proc/{pid}/task")
    try:
        return [int(c) for t in tasks.iterdir() for c in (t / "children").read_text().split()]
    except OSError:
        return []


def workers_of(pid):
    return [worker for server in children(pid) for worker in children(server)]


@contextmanager
def one_worker_slowed():
    """Stop and continue a worker of this process again and again."""
    ended, slowed = threading.Event(), []

    def slow():
        while not ended.wait(0.03):
            for pid in workers_of(os.getpid())[:1]:
                try:
                    os.kill(pid, signal.SIGSTOP)
                    time.sleep(0.06)
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    continue
                slowed.append(pid)

    thread = threading.Thread(target=slow)
    thread.start()
    yield slowed
    ended.set()
    thread.join()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pruner", "sampler"),
    [
        ("hyperband", "gp"),
        pytest.param("hyperband", "tpe", marks=pytest.mark.nightly),
        *(pytest.param(name, "tpe", marks=pytest.mark.nightly) for name in ("none", "median")),
    ],
)
@pytest.mark.parametrize("trials", [20, pytest.param(30, marks=pytest.mark.nightly)])
def test_neither_the_number_of_workers_nor_their_speed_changes_any_trial(
    run_toy, pruner, sampler, trials
):
    # Past the start-up of both samplers; durations differ by a factor of five.
    options = {
        "trials": trials,
        "pruner": pruner,
        "sampler": sampler,
        "overrides": ("longest_seconds=0.025", "epochs=9"),
    }
    alone = run_toy("0", workers=0, **options)
    with one_worker_slowed() as slowed:
        two, four = (run_toy(str(n), workers=n, **options) for n in (2, 4))
    assert len(slowed) > 10
    assert table(two) == table(alone)
    assert table(four) == table(alone)
    states = {row.state for row in alone.rows()}
    assert states == ({"COMPLETE"} if pruner == "none" else {"COMPLETE", "PRUNED"})


@pytest.mark.slow
def test_a_crashed_trial_fails_for_that_reason_and_the_sweep_goes_on(run_toy, tmp_path):
    kill = ("mode=sigsegv", f"signal_file={tmp_path / 'flag'}")
    rows = run_toy(trials=4, workers=2, overrides=kill, retries={"crash": 0}).rows()
    assert sorted((row.state, row.reason) for row in rows) == [
        *[("COMPLETE", "max_epochs")] * 3,
        ("FAILED", "crash"),
    ]
    (crashed,) = [row for row in rows if row.reason == "crash"]
    assert crashed.error.startswith("the worker process was killed by SIGSEGV")


def start(toy_space, home, *words):
    options = ["--trials", "40", "--workers", "2", *words]
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps", "run", str(toy_space), "--home", str(home), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )


def until_first_trial(process):
    for line in process.stderr:
        if line.startswith("[1/40]"):
            break
    started = [*children(process.pid), *workers_of(process.pid)]
    assert len(started) == 3
    return started


@pytest.mark.slow
def test_workers_end_when_their_coordinator_is_killed(toy_space, make_home):
    with start(toy_space, make_home(), "--set", "longest_seconds=2") as process:
        started = until_first_trial(process)
        process.kill()
        process.stderr.close()
    assert eventually(lambda: not any(is_alive(pid) for pid in started), 5)


@pytest.fixture
def slow_start(toy_space, tmp_path):
    """A space whose experiment takes a minute to warm up."""
    (tmp_path / "slow_start.py").write_text(
        "import time\n"
        "from tests.sweeps.toy_experiment import ToyExperiment\n"
        "class SlowStart(ToyExperiment):\n"
        "    def warm_up(self):\n"
        "        time.sleep(60)\n"
        "experiment = SlowStart()\n"
    )
    text = toy_space.read_text()
    toy_space.write_text(text.replace("tests.sweeps.toy_experiment:", "slow_start:"))
    return toy_space


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_server_that_still_warms_up_ends_with_its_coordinator(slow_start, make_home, number):
    with start(slow_start, make_home()) as process:
        for line in process.stderr:
            if line == "warming up\n":
                break
        assert eventually(lambda: children(process.pid))
        (server,) = children(process.pid)
        process.send_signal(number)
        process.stderr.read()
        assert process.wait(30) == (130 if number == signal.SIGINT else -number)
    assert eventually(lambda: not is_alive(server), 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.nightly)],
)
def test_a_signal_stops_running_trials_at_their_next_epoch(toy_space, make_home, number, code):
    words = ("--set", "longest_seconds=10", "--set", "epochs=100")
    with start(toy_space, make_home(), *words) as process:
        started = until_first_trial(process)
        process.send_signal(number)
        stderr = process.stderr.read()
        assert process.wait(30) == code, stderr
    assert "stopping after this epoch" in stderr
    assert "Traceback" not in stderr
    assert not any(is_alive(pid) for pid in started)
    states = [row.state for row in sweeps.load("toy", make_home()).rows()]
    # Recorded as interrupted; those that waited are not, and one may have ended just before.
    assert 1 <= states.count("WAITING") <= 2


@pytest.mark.slow
def test_a_trial_that_never_hears_of_a_signal_is_ended_after_a_while(toy_space, make_home):
    words = ("--set", "longest_seconds=100", "--set", "epochs=1", "--set", "mode=quick_first")
    with start(toy_space, make_home(), *words) as process:
        started = until_first_trial(process)
        process.terminate()
        stderr = process.stderr.read()
        assert process.wait(30) == 143, stderr
    assert not any(is_alive(pid) for pid in started)
    assert len(sweeps.load("toy", make_home()).rows()) == 1


@pytest.mark.slow
def test_a_second_ctrl_c_ends_everything_at_once(toy_space, make_home):
    words = ("--set", "longest_seconds=100", "--set", "epochs=1", "--set", "mode=quick_first")
    with start(toy_space, make_home(), *words) as process:
        started = until_first_trial(process)
        process.send_signal(signal.SIGINT)
        for line in process.stderr:
            if line.startswith("stopping after this epoch"):
                break
        process.send_signal(signal.SIGINT)
        stderr = process.stderr.read()
        assert process.wait(30) == 130, stderr
    assert "stopped at once" in stderr
    assert not any(is_alive(pid) for pid in started)


def test_an_experiment_that_fails_in_its_workers_ends_the_sweep_with_one_message(
    toy_space, make_home, tmp_path
):
    (tmp_path / "only_here.py").write_text(
        "import os\n"
        "from tests.sweeps.toy_experiment import experiment\n"
        f"if os.getpid() != {os.getpid()}:\n"
        "    raise RuntimeError('not in a worker')\n"
    )
    text = toy_space.read_text()
    toy_space.write_text(text.replace("tests.sweeps.toy_experiment:", "only_here:"))
    with pytest.raises(WorkersError, match="importing it failed: RuntimeError: not in a worker"):
        sweeps.run(str(toy_space), home=make_home(), progress="quiet", workers=2)


@pytest.mark.parametrize("workers", [-1, 1.5, "2", True])
def test_a_number_of_workers_that_is_none_is_refused(run_toy, workers):
    with pytest.raises(UsageError, match=r"workers=.*: give a whole number from 0 on"):
        run_toy(workers=workers)
