import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.analysis.summary import summarize
from sweeps.progress import as_one
from sweeps.progress.lines import Quiet
from sweeps.progress.tally import Tally
from tests.sweeps.render.builders import record, sweep_info

INFO = sweep_info(directory=Path("records/20261127-1a2b3c4d/finalists-1"))


@pytest.fixture
def said(capsys):
    def lines():
        return capsys.readouterr().err.splitlines()

    return lines


def play(display, records, asked, stopped_by=None, sweep="one", done=()):
    display.started(Tally(replace(INFO, id=sweep), asked, done))
    for one in records:
        display.trial_finished(one)
    ended = summarize(INFO, records, asked=asked, seconds=1.0, stopped_by=stopped_by)
    display.trials_ended(ended)
    display.finished(ended)
    display.close()


def test_two_sweeps_are_one_count(said):
    with as_one("plain", 7) as display:
        display.skip("whole", 2)
        play(display, [record(0, 0.9), record(1, 0.9)], 2, sweep="one")
        play(display, [record(n, 0.9) for n in range(3)], 3, sweep="two")
    assert said() == ["confirming: 2 of 7 trainings done", "confirming: 7 of 7 trainings"]


def test_failures_and_why_it_ended_early_are_said_of_each(said):
    with as_one("plain", 9) as display:
        play(display, [record(0, outcome="failed", error="boom")], 2, "interrupt")
    assert said() == [
        "confirming: 0 of 9 trainings done",
        "[1/9] trial 0 FAILED error: boom",
        "stopped by interrupt",
        "1 trial failed: error 1; first error: boom",
    ]


def test_where_nothing_is_trained_nothing_is_said(said):
    with as_one("plain", 7) as display:
        display.skip("whole", 7)
    assert said() == []


def test_a_sweep_that_begins_once_more_is_counted_once(said):
    three = [record(n, 0.9) for n in range(3)]
    with as_one("plain", 5) as display:
        play(display, three, 3, sweep="one")
        display.skip("other", 1)
        play(display, [record(0, outcome="failed", error="boom")], 1, sweep="other")
        display.skip("one", 3)
        play(display, [record(3, 0.9)], 4, sweep="one", done=three)
    assert said()[-1] == "confirming: 5 of 5 trainings"


@pytest.mark.parametrize("mode", ["json", "quiet"])
def test_a_script_is_told_of_each_sweep(mode):
    with as_one(mode, 7) as display:
        assert display == mode


def test_a_display_that_was_given_stays():
    given = Quiet(io.StringIO())
    with as_one(given, 7) as display:
        assert display is given


def test_a_notebook_shows_the_last_training(monkeypatch):
    drawn = []
    handle = SimpleNamespace(update=lambda shown: drawn.append(shown.data))
    monkeypatch.setattr("sweeps.progress._in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: handle)
    with as_one("auto", 3) as display:
        play(display, [record(n, 0.9) for n in range(3)], 3)
    assert '<progress value="3" max="3"' in drawn[-1]
