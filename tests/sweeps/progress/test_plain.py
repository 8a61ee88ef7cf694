import io
import os
from pathlib import Path

import pytest

from sweeps.progress.lines import PlainLines
from sweeps.progress.tally import Tally
from tests.sweeps.progress.events import play
from tests.sweeps.render.builders import record, sweep_info


class Lines:
    """Lines of a sweep whose trials take as long as a test says."""

    def __init__(self, total, done=(), *, verbose=False, **info):
        self.now = 1000.0
        self._stream = io.StringIO()
        self._plain = PlainLines(self._stream, verbose=verbose, clock=self._clock)
        self._plain.started(Tally(sweep_info(**info), total, done, clock=self._clock))
        self.new()

    def _clock(self):
        return self.now

    def new(self):
        lines = self._stream.getvalue().splitlines()
        self._stream.seek(0)
        self._stream.truncate()
        return lines

    def end(self, ended, seconds=1.0):
        self._plain.trial_started(ended.spec("mlp-1a2b3c"), ended.params)
        self.now += seconds
        self._plain.trial_finished(ended)
        return self.new()


CONFIRMATION = {"directory": Path("records/20261127-1a2b3c4d/finalists-1")}


def lines_of_a_sweep(**how):
    stream = io.StringIO()
    play(PlainLines(stream, **how))
    return stream.getvalue().splitlines()


def test_a_sweep_is_a_few_lines_between_a_first_and_a_last():
    assert lines_of_a_sweep() == [
        "importing",
        "sweep mlp: 1 of 5 trials done; maximize best_val_accuracy",
        "[2/5] best so far 0.9230 (trial 1), a few seconds left",
        "      learning_rate=1.00e-03 units_1=25",
        "[3/5] trial 2 FAILED error: ValueError: boom",
        "[4/5] trial 3 FAILED diverged",
        "5 of 5 trials: 2 COMPLETE, 1 PRUNED, 2 FAILED (this start: 9.0 s)",
        "2 trials failed: error 1, diverged 1; first error: ValueError: boom",
    ]


def test_verbose_has_a_line_a_trial_with_result_parameters_best_and_time_left():
    lines = lines_of_a_sweep(verbose=True)
    assert [line.split()[0] for line in lines[2:6]] == ["[2/5]", "[3/5]", "[4/5]", "[5/5]"]
    assert lines[2] == (
        "[2/5] trial 1 COMPLETE best_val_accuracy 0.9230, 3 epochs, 4.0 s, "
        "learning_rate=1.00e-03 units_1=25, best so far 0.9230 (trial 1), "
        "a few seconds left"
    )
    assert "trial 2 FAILED error: ValueError: boom, 4.0 s" in lines[3]
    assert "trial 3 FAILED diverged, 3 epochs" in lines[4]


def test_a_baseline_is_named_and_no_best_is_claimed_without_a_complete_trial():
    lines = Lines(3)
    (failed,) = lines.end(record(0, outcome="failed", origin="baseline tutorial"))
    assert "best" not in failed
    assert (
        "best so far 0.5000 (baseline wide)" in lines.end(record(1, 0.5, origin="baseline wide"))[0]
    )


def test_a_worse_trial_is_a_line_only_after_ten_seconds_and_a_tenth_of_the_sweep():
    lines = Lines(100, [record(0, 0.9)])
    ended = [(trial, lines.end(record(trial, 0.5), seconds=2)) for trial in range(1, 31)]
    said = {trial: new for trial, new in ended if new}
    assert list(said) == [10, 20, 30], "a tenth has taken more than ten seconds"
    assert said[10] == ["11 of 100 trials, best so far 0.9000 (trial 0), about 4 minutes left"]
    quick = Lines(100, [record(0, 0.9)])
    assert sum(bool(quick.end(record(n, 0.5), seconds=0.5)) for n in range(1, 99)) == 4


def test_a_slow_sweep_is_not_silent_for_longer_than_five_minutes_and_a_trial():
    lines = Lines(1000, [record(0, 0.9)])
    assert [bool(lines.end(record(n, 0.5), seconds=200)) for n in (1, 2, 3, 4)] == [
        *(False, True, False, True),
    ]


def test_a_failed_attempt_that_is_tried_again_is_said_at_once_an_interrupted_one_not():
    lines = Lines(100)
    failed = record(0, outcome="interrupted", error="RuntimeError: boom\nmore")
    assert lines.end(failed) == [
        "[0/100] trial 0 to be tried again after interrupted: RuntimeError: boom"
    ]
    assert lines.end(record(1, outcome="interrupted")) == []


def test_parameters_of_a_new_best_are_wrapped_at_80_columns():
    params = {f"parameter_{number}": 0.1 * number for number in range(12)}
    first, *more = Lines(100).end(record(0, 0.5, params=params))
    assert max(map(len, [first, *more])) <= 80
    assert " ".join(line.strip() for line in more).count("=") == 12


def test_a_confirmation_says_how_far_it_is_and_names_no_best_and_no_fold():
    lines = Lines(120, **CONFIRMATION)
    params = {"block": 3, "finalist": "trial-17"}
    said = []
    for trial in range(120):
        said += lines.end(record(trial, 0.9, params=params), seconds=1)
    assert len(said) == 10
    assert said[0] == "confirming: 12 of 120 trainings, about 3 minutes left"
    assert said[-1] == "confirming: 120 of 120 trainings"
    assert not any(word in line for line in said for word in ("best", "block", "fold"))


@pytest.mark.parametrize("verbose", [False, True])
def test_a_training_that_fails_is_named_by_finalist_and_fold(verbose):
    lines = Lines(120, verbose=verbose, **CONFIRMATION)
    params = {"block": 3, "finalist": "trial-17"}
    (line,) = lines.end(record(7, outcome="failed", error="boom", params=params))
    assert line.startswith("[1/120] training of trial-17 on fold 3 FAILED error: boom")
    assert "block" not in line


def test_a_closed_pipe_does_not_end_the_sweep():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        play(PlainLines(stream))
