"""`sweeps confirm` of sweeps that are running, or begin to: real processes, answers drawn."""

from __future__ import annotations

import signal
import time

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.home import Home
from sweeps.records import Conclusions
from sweeps.runner.ownership import SweepLock
from tests.sweeps.launching import Launched
from tests.sweeps.voting_experiment import SPACE

pytestmark = pytest.mark.slow
CONFIRM = ("--top", "1", "--folds", "8", "--workers", "0")


@pytest.fixture
def words(tmp_path, make_home, monkeypatch):
    """Return the words that run a sweep of that name."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    space = tmp_path / "space.yaml"
    space.write_text(SPACE)

    def make(name, *options):
        home = ["--home", str(make_home())]
        return ["run", str(space), "--name", name, "--workers", "0", *options, *home]

    return make


def until(condition, running):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, running.stderr()
        assert running.is_alive(), running.stderr()
        time.sleep(0.02)


def test_a_sweep_that_still_runs_is_refused_and_goes_on_undisturbed(words, make_home):
    assert Launched(words("done", "--trials", "2")).wait() == 0
    running = Launched(words("one", "--set", "seconds=0.5"))
    home = Home(make_home())
    until(lambda: home.find("one") is not None, running)
    store = home.store(home.get("one").id)
    until(lambda: len(store.state().ended) >= 3, running)  # enough to be compared, if one looked
    running.signal(signal.SIGSTOP)  # as long as this takes, it has not ended
    # Behind one that is whole, too: that is not trained for hours before the refusal.
    refused = [
        CliRunner().invoke(app, ["confirm", *names, *CONFIRM, "--home", str(home.path)])
        for names in (["one"], ["done", "one"])
    ]
    running.signal(signal.SIGCONT)
    for result in refused:
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "error: sweep 'one' is running: confirm it when it has ended\n"
    assert running.wait() == 0, running.stderr()
    assert [row.state for row in sweeps.load("one", home.path).rows()] == ["COMPLETE"] * 5
    assert [info.name for info in home.sweeps()] == ["done", "one"]
    assert not list(home.sweeps_folder.glob("*/finalists-*"))


def test_a_sweep_that_is_taken_up_while_it_is_confirmed_keeps_its_verdict(words, make_home):
    assert Launched(words("one")).wait() == 0
    home = Home(make_home())
    store = home.store(home.get("one").id)
    confirming = Launched(
        ["confirm", "one", *CONFIRM, "--details", "--home", str(make_home())], hears_all=True
    )
    until(lambda: home.find("one-confirmation") is not None, confirming)
    with SweepLock(store.folder / "lock", "one"):  # as `sweeps run` does with more trials
        code = confirming.wait()
    assert code == 0, confirming.stderr()
    assert "The best of the search" in confirming.stderr()
    assert Conclusions(store).confirmed() is not None
