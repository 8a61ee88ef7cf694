from itertools import pairwise
from pathlib import Path

import pytest

from sweeps.progress.tally import Tally
from tests.sweeps.render.builders import record, sweep_info


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def run_trial(tally, clock, ended, seconds):
    tally.begin(ended.spec("mlp-1a2b3c"), ended.params)
    clock.now += seconds
    return tally.finish(ended)


def test_earlier_records_count_as_done_and_give_the_best(clock):
    done = [record(0, 0.9), record(1, 0.95), record(2, outcome="interrupted")]
    tally = Tally(sweep_info(), 10, done, clock=clock)
    assert tally.done == 2
    assert tally.best is not None
    assert tally.best.trial == 1


def test_the_best_changes_only_for_a_better_trial(clock):
    tally = Tally(sweep_info(direction="minimize"), 3, [], clock=clock)
    best = []
    for ended in (record(0, 0.5), record(1, 0.7), record(2, 0.3)):
        run_trial(tally, clock, ended, 1)
        best.append(tally.best.trial)
    assert best == [0, 0, 2]


def test_an_interrupted_attempt_is_not_done_until_it_is_run_again(clock):
    tally = Tally(sweep_info(), 3, [], clock=clock)
    run_trial(tally, clock, record(0, outcome="interrupted"), 1)
    assert (tally.done, tally.seconds_left()) == (0, None)
    run_trial(tally, clock, record(0, 0.9, attempt=2), 1)
    assert (tally.done, tally.best.attempts) == (1, 2)


def test_the_five_best_trials_lead_the_best_first_and_a_retried_one_once(clock):
    done = [record(trial, 0.5 + trial / 100) for trial in (6, 5, 4, 3)]
    tally = Tally(sweep_info(), 9, done, clock=clock)
    for ended in (record(7, 0.1), record(8, 0.9), record(1, outcome="failed"), record(8, 0.2)):
        run_trial(tally, clock, ended, 1)
    assert [row.trial for row in tally.leaders] == [6, 5, 4, 3, 8]
    run_trial(tally, clock, record(2, 0.95), 1)
    assert [row.trial for row in tally.leaders] == [2, 6, 5, 4, 3]


def test_an_enqueued_trial_raises_the_total_once_it_begins(clock):
    tally = Tally(sweep_info(), 3, [record(trial, 0.5) for trial in range(3)], clock=clock)
    assert tally.counted == "3 of 3 trials"
    tally.begin(record(3).spec("mlp-1a2b3c"), {})
    assert tally.counted == "3 of 4 trials"
    tally.finish(record(3, 0.5))
    assert tally.counted == "4 of 4 trials"


def test_failures_are_counted_by_reason_with_the_first_error(clock):
    done = [record(2, outcome="failed", error="second"), record(1, outcome="diverged")]
    tally = Tally(sweep_info(), 9, done, clock=clock)
    run_trial(tally, clock, record(0, outcome="failed", error="first\nline"), 1)
    assert list(tally.failures.items()) == [("error", 2), ("diverged", 1)]
    assert tally.first_error == "first"


def test_nothing_is_said_of_the_time_before_a_trial_has_ended_here(clock):
    tally = Tally(sweep_info(), 5, [record(0, 0.9)], clock=clock)
    tally.begin(record(1).spec("mlp-1a2b3c"), {})
    clock.now += 60
    assert tally.seconds_left() is None
    assert tally.time_left() == ""


def test_time_left_comes_from_the_pace_of_this_start_and_runs_down(clock):
    tally = Tally(sweep_info(), 100, [record(0, 0.9, seconds=500)], clock=clock)
    for trial in range(1, 90):
        run_trial(tally, clock, record(trial, 0.9, seconds=6), 6)
    assert tally.seconds_left() == pytest.approx(60, rel=0.01)
    clock.now += 5
    assert tally.seconds_left() == pytest.approx(55, rel=0.01)
    clock.now += 50  # slower than usual: nothing more is taken off
    assert tally.seconds_left() == pytest.approx(54, rel=0.01)


def two_workers(tally, clock, number, *, seconds=10.0, retried=()):
    """Let trials end every other half of the time; return what was said of the time left."""
    said = []
    specs = [record(trial).spec("mlp-1a2b3c") for trial in range(number)]
    for spec in specs[:2]:
        tally.begin(spec, {})
    for trial in range(number):
        clock.now += seconds / 2
        if trial in retried:
            tally.finish(record(trial, outcome="interrupted", seconds=seconds))
            said.append(tally.seconds_left())
            tally.begin(record(trial, attempt=2).spec("mlp-1a2b3c"), {})
            clock.now += seconds / 2
        tally.finish(record(trial, 0.9, seconds=seconds))
        said.append(tally.seconds_left())  # the next one has not begun: one runs, or none
        if trial + 2 < number:
            tally.begin(specs[trial + 2], {})
        said.append(tally.seconds_left())
    return said


def test_time_left_does_not_double_whenever_a_trial_has_ended_and_the_next_not_begun(clock):
    said = two_workers(Tally(sweep_info(), 20, [], clock=clock), clock, 20)
    for before, after in pairwise(said):
        assert after <= before + 1e-6
    assert said[0] == pytest.approx(95)
    assert said[-2:] == [0, 0]


def test_a_trial_that_is_tried_again_makes_no_jump(clock):
    said = two_workers(Tally(sweep_info(), 20, [], clock=clock), clock, 20, retried={7, 8})
    known = [one for one in said if one is not None]
    for before, after in pairwise(known):
        assert after <= before + 6


def test_time_left_ends_when_the_time_that_was_given_is_up_and_the_last_trials_are_done(clock):
    tally = Tally(sweep_info(), 1000, [], longest_seconds=60, clock=clock)
    run_trial(tally, clock, record(0, 0.9, seconds=10), 10)
    assert tally.seconds_left() == pytest.approx(50 + 10)
    clock.now += 35
    assert tally.seconds_left() == pytest.approx(15 + 10)
    short = Tally(sweep_info(), 3, [], longest_seconds=60, clock=clock)
    run_trial(short, clock, record(0, 0.9, seconds=10), 10)
    assert short.seconds_left() == pytest.approx(20)


def test_quick_failures_do_not_shorten_the_estimate(clock):
    tally = Tally(sweep_info(), 5, [], clock=clock)
    for trial in range(3):
        run_trial(tally, clock, record(trial, outcome="failed", seconds=0.1), 0.1)
    assert tally.seconds_left() == pytest.approx(0.2)
    run_trial(tally, clock, record(3, 0.9, seconds=10), 10)
    assert 6 < tally.seconds_left() <= 10


def test_nothing_is_left_when_all_is_done(clock):
    tally = Tally(sweep_info(), 1, [], clock=clock)
    run_trial(tally, clock, record(0, 0.9), 1)
    assert (tally.seconds_left(), tally.time_left()) == (0, "")


def confirmation(total, done=(), **clock):
    info = sweep_info(directory=Path("records/20261127-1a2b3c4d/finalists-1"))
    return Tally(info, total, done, **clock)


def test_sweeps_of_a_confirmation_are_counted_as_one_whole_ones_included(clock):
    first = confirmation(4, [record(0, 0.9)], clock=clock)
    first.follow([], 10)
    assert first.counted == "1 of 10 trainings"
    for trial in (1, 2, 3):
        run_trial(first, clock, record(trial, 0.9, seconds=10), 10)
    first_left = first.seconds_left()
    second = confirmation(4, clock=clock)
    second.follow([first], 10, skipped=2)
    assert second.counted == "6 of 10 trainings"
    assert second.seconds_left() == pytest.approx(first_left - 2 * 10)
    run_trial(second, clock, record(0, outcome="failed", error="boom"), 10)
    assert (second.done, second.failures, second.first_error) == (7, {"error": 1}, "boom")
    assert second.best is None


def test_epochs_are_counted_from_one_and_strangers_ignored(clock):
    tally = Tally(sweep_info(), 1, [], clock=clock)
    spec = record(0).spec("mlp-1a2b3c")
    tally.begin(spec, {"x": 1})
    tally.epoch(spec, 6, {"val_accuracy": 0.5})
    tally.epoch(record(9).spec("mlp-1a2b3c"), 0, {})
    (trial,) = tally.running.values()
    assert (trial.epochs, trial.metrics) == (7, {"val_accuracy": 0.5})
