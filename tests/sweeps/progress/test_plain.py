import io
import os
from pathlib import Path

from sweeps.progress.lines import PlainLines
from sweeps.progress.tally import Tally
from tests.sweeps.progress.events import play
from tests.sweeps.render.builders import record, sweep_info


def lines_of_a_sweep():
    stream = io.StringIO()
    play(PlainLines(stream))
    return stream.getvalue().splitlines()


def test_a_sweep_is_one_line_a_trial_between_a_first_and_a_last():
    lines = lines_of_a_sweep()
    assert lines[:2] == [
        "importing",
        "sweep mlp: 1 of 5 trials done; maximize best_val_accuracy",
    ]
    assert [line.split()[0] for line in lines[2:6]] == ["[2/5]", "[3/5]", "[4/5]", "[5/5]"]
    assert lines[6:] == [
        "5 of 5 trials: 2 COMPLETE, 1 PRUNED, 2 FAILED (9.0 s)",
        "2 trials failed: error 1, diverged 1; first error: ValueError: boom",
    ]


def test_a_line_says_result_parameters_best_and_time_left():
    assert lines_of_a_sweep()[2] == (
        "[2/5] trial 1 COMPLETE best_val_accuracy 0.9230, 3 epochs, 4.0 s, "
        "learning_rate=1.00e-03 units_1=25, best observed, not confirmed: 0.9230 (trial 1), "
        "about 12 s left"
    )


def test_a_failed_trial_says_why():
    assert "trial 2 FAILED error: ValueError: boom, 4.0 s" in lines_of_a_sweep()[3]
    assert "trial 3 FAILED diverged, 3 epochs" in lines_of_a_sweep()[4]


def test_a_baseline_is_named_and_no_best_is_claimed_without_a_complete_trial():
    stream = io.StringIO()
    plain = PlainLines(stream)
    plain.started(Tally(sweep_info(), 1, []))
    plain.trial_finished(record(0, outcome="failed", origin="baseline tutorial"))
    line = stream.getvalue().splitlines()[-1]
    assert "baseline tutorial" in line
    assert "best" not in line


def test_a_training_of_a_confirmation_is_not_called_the_best_observed():
    stream = io.StringIO()
    plain = PlainLines(stream)
    plain.started(Tally(sweep_info(directory=Path("records/20261127-1a2b3c4d/finalists-1")), 1, []))
    plain.trial_finished(record(0, 0.9))
    line = stream.getvalue().splitlines()[-1]
    assert "trial 0 COMPLETE" in line
    assert "best observed" not in line


def test_a_closed_pipe_does_not_end_the_sweep():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        play(PlainLines(stream))
