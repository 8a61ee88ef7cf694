import io
from pathlib import Path

import pytest
from rich.console import Console

from sweeps.progress.live import draw
from sweeps.progress.tally import Tally
from tests.sweeps.progress.events import DONE, ENDED, summary
from tests.sweeps.render.builders import record, sweep_info


def tally_of(*ended, total=9, **info):
    return Tally(sweep_info(**info), total, [*ended], clock=lambda: 1000.0)


def shown(tally, *, width=80, **how):
    console = Console(file=io.StringIO(), width=width)
    console.print(draw(tally, **{"ended": False} | how))
    return console.file.getvalue()


def test_it_shows_a_bar_the_best_trials_and_failures():
    tally = tally_of(*DONE, *ENDED[:-1])
    tally.begin(record(4).spec("mlp-1a2b3c"), {})
    tally.finish(ENDED[-1])
    lines = shown(tally).splitlines()
    assert lines[0].startswith("mlp ")
    assert lines[0].endswith("5 of 9 trials, about half a minute left")
    rows = [line.split() for line in lines]
    assert rows[1:3] == [
        ["best_val_"],
        ["best", "so", "far", "accuracy", "epochs", "seconds", "parameters"],
    ]
    assert rows[3][:5] == ["trial", "1", "0.9230", "3", "4.0"]
    assert rows[4][:5] == ["baseline", "tutorial", "0.9100", "3", "4.0"]
    assert "learning_rate=1.00e-03 units_1=25" in lines[3]
    assert lines[-1] == "2 trials failed: error 1, diverged 1; first error: ValueError: boom"


def test_five_trials_are_shown_the_best_first():
    lines = shown(tally_of(*(record(trial, trial / 10) for trial in range(8)))).splitlines()
    assert [line.split()[1] for line in lines[3:8]] == ["7", "6", "5", "4", "3"]
    assert len(lines) == 9


def test_a_confirmation_is_one_bar():
    tally = tally_of(record(0, 0.9), directory=Path("records/20261127-1a2b3c4d/finalists-1"))
    tally.begin(record(1).spec("mlp-1a2b3c"), {})
    tally.finish(record(1, 0.8))
    (line,) = shown(tally).splitlines()
    assert line.startswith("confirming ")
    assert line.endswith("2 of 9 trainings, about half a minute left")


def test_the_current_trial_shows_its_epoch_and_the_watched_metric():
    tally = tally_of()
    spec = record(7, attempt=2).spec("mlp-1a2b3c")
    tally.begin(spec, {"units_1": 25})
    tally.epoch(spec, 11, {"val_accuracy": 0.8123, "loss": 3.0})
    expected = "trial 7, attempt 2, epoch 12, val_accuracy 0.8123, 0.0 s, units_1=25"
    assert expected in shown(tally)


def test_a_trial_in_its_first_epoch_shows_no_epoch():
    tally = tally_of(epoch_metric=None)
    tally.begin(record(7).spec("mlp-1a2b3c"), {"units_1": 25})
    assert "trial 7, 0.0 s, units_1=25" in shown(tally)


def test_many_trials_at_once_are_shortened():
    tally = tally_of()
    for trial in range(6):
        tally.begin(record(trial).spec("mlp-1a2b3c"), {})
    text = shown(tally)
    assert "trial 3" in text
    assert "trial 4" not in text
    assert "and 2 more running" in text


def test_a_sign_of_life_is_shown_while_nothing_runs():
    assert "waiting for the next trial" in shown(tally_of())
    assert "waiting" not in shown(tally_of(*DONE, total=1))
    assert "finishing" in shown(tally_of(*DONE, total=1))
    assert "finishing" not in shown(tally_of(*DONE, total=1), ended=True)


def test_an_ended_sweep_shows_nothing_still_to_come():
    tally = tally_of(*DONE)
    tally.begin(record(1).spec("mlp-1a2b3c"), {})
    text = shown(tally, ended=True)
    assert "1 of 9 trials" in text
    assert "left" not in text
    assert "trial 1" not in text


def test_an_ended_sweep_says_how():
    tally = tally_of(*DONE, *ENDED, total=5)
    drawn = shown(tally, ended=True, summary=summary())
    assert (
        drawn.splitlines()[-1]
        == "5 of 5 trials: 2 COMPLETE, 1 PRUNED, 2 FAILED (this start: 9.0 s)"
    )


@pytest.mark.parametrize("width", [20, 50, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_none_wraps(width):
    tally = tally_of(*DONE, *ENDED)
    tally.begin(record(5).spec("mlp-1a2b3c"), {f"a_long_parameter_{n}": 0.123 for n in range(9)})
    lines = shown(tally, width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == 1 + 2 + 2 + 2


def test_numbers_survive_a_narrow_terminal():
    text = shown(tally_of(*DONE, *ENDED), width=50)
    assert "0.9230" in text
    assert "baseline tutorial" in text
    assert text.startswith("mlp ")


def test_markup_in_names_and_errors_is_shown_as_it_is():
    failed = record(0, outcome="failed", error="[red]no[/red] [/]")
    assert "[red]no[/red] [/]" in shown(tally_of(failed, name="[b]x"))
