import io

import pytest
from rich.console import Console

from sweeps.progress.live import draw
from sweeps.progress.tally import Tally
from tests.sweeps.progress.events import DONE, ENDED
from tests.sweeps.render.builders import record, sweep_info


def tally_of(*ended, total=9, **info):
    return Tally(sweep_info(**info), total, [*ended], clock=lambda: 1000.0)


def shown(tally, *, width=80, ended=False):
    console = Console(file=io.StringIO(), width=width)
    console.print(draw(tally, ended=ended))
    return console.file.getvalue()


def test_it_shows_bar_best_last_trials_and_failures():
    text = shown(tally_of(*DONE, *ENDED))
    lines = text.splitlines()
    assert lines[0].startswith("mlp ")
    assert "5/9" in lines[0]
    assert "about 16 s left" in lines[0]
    assert lines[1] == "best observed, not confirmed: best_val_accuracy 0.9230"
    assert lines[2] == "  trial 1, +1.30 points against the baseline tutorial"
    assert lines[3] == "  learning_rate=1.00e-03, units_1=25"
    rows = [line.split() for line in lines]
    assert ["1", "COMPLETE", "0.9230", "3", "4.0", "early_stopping"] in rows
    assert ["0", "COMPLETE", "0.9100", "3", "4.0", "baseline", "tutorial"] in rows
    assert "2 trials failed: error 1, diverged 1; first error: ValueError: boom" in lines


def test_a_best_baseline_is_named_as_such():
    assert "  trial 0, the baseline tutorial\n" in shown(tally_of(*DONE))


def test_a_best_without_a_baseline_is_not_compared():
    assert "  trial 0\n" in shown(tally_of(record(0, 0.9)))


def test_the_current_trial_shows_its_epoch_and_the_watched_metric():
    tally = tally_of()
    spec = record(7, attempt=2).spec
    tally.begin(spec, {"units_1": 25})
    tally.epoch(spec, 11, {"val_accuracy": 0.8123, "loss": 3.0})
    expected = "trial 7, attempt 2, epoch 12, val_accuracy 0.8123, 0.0 s, units_1=25"
    assert expected in shown(tally)


def test_a_trial_in_its_first_epoch_shows_no_epoch():
    tally = tally_of(epoch_metric=None)
    tally.begin(record(7).spec, {"units_1": 25})
    assert "trial 7, 0.0 s, units_1=25" in shown(tally)


def test_many_trials_at_once_are_shortened():
    tally = tally_of()
    for trial in range(6):
        tally.begin(record(trial).spec, {})
    text = shown(tally)
    assert "trial 3" in text
    assert "trial 4" not in text
    assert "and 2 more running" in text


def test_a_sign_of_life_is_shown_while_nothing_runs():
    assert "waiting for the next trial" in shown(tally_of())
    assert "waiting" not in shown(tally_of(*DONE, total=1))


def test_an_ended_sweep_shows_nothing_still_to_come():
    tally = tally_of(*DONE)
    tally.begin(record(1).spec, {})
    text = shown(tally, ended=True)
    assert "1/9" in text
    assert "left" not in text
    assert "trial 1" not in text


@pytest.mark.parametrize("width", [20, 50, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_none_wraps(width):
    tally = tally_of(*DONE, *ENDED)
    tally.begin(record(5).spec, {f"a_long_parameter_{n}": 0.123 for n in range(9)})
    lines = shown(tally, width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == 4 + 2 + 5 + 2


def test_numbers_survive_a_narrow_terminal():
    text = shown(tally_of(*DONE, *ENDED), width=50)
    assert "0.9230" in text
    assert "COMPLETE" in text
    assert text.startswith("mlp ")


def test_markup_in_names_and_errors_is_shown_as_it_is():
    failed = record(0, outcome="failed", error="[red]no[/red] [/]")
    assert "[red]no[/red] [/]" in shown(tally_of(failed, name="[b]x"))
