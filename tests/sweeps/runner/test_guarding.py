"""What somebody deletes while a sweep runs is said at once, and mended or to be sent again."""

from __future__ import annotations

import shutil
import signal
import time

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.home import Home
from sweeps.runner.ownership import Guard, Hold, SweepLock
from sweeps.tracking.reading import read_runs
from tests.sweeps.conftest import table
from tests.sweeps.launching import Launched
from tests.sweeps.soundness import assert_sound

pytestmark = pytest.mark.slow


def delete(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        for one in path.parent.glob(f"{path.name}*"):
            one.unlink()


class Running:
    """A sweep of twelve trials in a process of its own, some of which are in MLflow already."""

    def __init__(self, home, space):
        self.home = home
        self.words = ["run", str(space), "--trials", "12", "--workers", "2"]
        self.words += ["--set", "longest_seconds=2", "--home", str(home)]
        self.process = Launched(self.words)
        self.until(lambda: len(list(home.glob("artifacts/*/*/artifacts/config.json"))) > 2)
        (self.folder,) = (path for path in (home / "sweeps").iterdir() if path.is_dir())

    def until(self, condition):
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, self.process.stderr()
            time.sleep(0.02)


@pytest.fixture
def running(toy_space, make_home, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = Running(make_home(), toy_space)
    yield made
    if made.process.is_alive():
        made.process.kill()


@pytest.mark.parametrize("name", ["mlflow.db", "artifacts"])
def test_runs_that_are_deleted_are_said_at_once_and_sent_again(running, name):
    delete(running.home / name)
    running.process.until_said(f"{running.home / name} was deleted while the sweep runs")
    assert running.process.wait() == 3, running.process.stderr()
    assert "tracking incomplete" in running.process.stderr()
    sweep = sweeps.load("toy", running.home)
    assert len(sweep.rows()) == 12
    words = ["doctor", "toy", "--fix", "--home", str(running.home)]
    mended = CliRunner().invoke(app, words)
    assert mended.exit_code == 0, mended.output
    assert_sound(running.home, table(sweep))


@pytest.mark.parametrize("name", ["journal.jsonl", "lock"])
def test_what_is_known_still_is_written_anew(running, name):
    path = running.folder / name
    before = path.read_text()
    delete(path)
    running.process.until_said(f"{path} was deleted while the sweep runs; it was")
    assert path.read_text().startswith(before) or name == "lock"
    second = Launched(running.words)
    assert second.wait() == 2
    assert "is being run by" in second.stderr()
    assert running.process.wait() == 3, running.process.stderr()
    assert_sound(running.home, table(sweeps.load("toy", running.home)))


def test_of_two_that_work_on_it_since_its_lock_was_deleted_the_first_gives_way(running):
    path = running.folder / "lock"
    running.process.signal(signal.SIGSTOP)  # it cannot make the lock anew
    delete(path)
    second = Launched(running.words)
    running.until(lambda: path.exists() and path.read_text())
    running.process.signal(signal.SIGCONT)
    assert running.process.wait() == 1, running.process.stderr()
    assert "was deleted while it ran" in running.process.stderr()
    assert second.wait() in (0, 3), second.stderr()


def test_one_that_cannot_record_what_the_other_has_recorded_ends_nothing_of_it(running):
    running.process.signal(signal.SIGSTOP)
    delete(running.folder / "lock")
    second = Launched(running.words)
    assert second.wait() == 0, second.stderr()
    sweep = sweeps.load("toy", running.home)
    tracking_uri = f"sqlite:///{running.home / 'mlflow.db'}"
    with SweepLock(running.folder / "lock", "toy"):  # a third one works on it
        running.process.signal(signal.SIGCONT)
        assert running.process.wait() == 1, running.process.stderr()
    assert "was deleted while it ran" in running.process.stderr()
    parent = next(run for run in read_runs(tracking_uri, sweep.info) if run.kind == "sweep")
    assert parent.status == "FINISHED"


def test_a_folder_of_runs_that_is_made_anew_at_once_is_another_one(finished_toy, make_home):
    info = finished_toy(trials=2).info
    store, artifacts, said = Home(make_home()).store(info.id), make_home() / "artifacts", []
    lock = SweepLock(store.folder / "lock", info.name)
    with lock, Guard(Hold(lock), store, info, said.append) as guard:
        guard.watch(info, lambda: [artifacts])
        guard.check()
        shutil.rmtree(artifacts)
        artifacts.mkdir()  # most file systems give it the number that has become free
        guard.check()
        guard.check()
    assert [line.partition(": ")[0] for line in said] == [
        f"{artifacts} was deleted while the sweep runs"
    ]
