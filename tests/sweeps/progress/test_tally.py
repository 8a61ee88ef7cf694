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
    tally.begin(ended.spec, ended.params)
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
    assert (tally.done, tally.trials_per_minute()) == (0, None)
    run_trial(tally, clock, record(0, 0.9, attempt=2), 1)
    assert (tally.done, tally.recent[-1].attempts) == (1, 2)


def test_the_last_five_trials_are_kept_oldest_first(clock):
    done = [record(trial, 0.5) for trial in (6, 5, 4, 3)]
    tally = Tally(sweep_info(), 9, done, clock=clock)
    for trial in (7, 8):
        run_trial(tally, clock, record(trial, 0.5), 1)
    assert [row.trial for row in tally.recent] == [4, 5, 6, 7, 8]


def test_failures_are_counted_by_reason_with_the_first_error(clock):
    done = [record(2, outcome="failed", error="second"), record(1, outcome="diverged")]
    tally = Tally(sweep_info(), 9, done, clock=clock)
    run_trial(tally, clock, record(0, outcome="failed", error="first\nline"), 1)
    assert list(tally.failures.items()) == [("error", 2), ("diverged", 1)]
    assert tally.first_error == "first"


def test_the_rate_counts_only_trials_of_this_call(clock):
    tally = Tally(sweep_info(), 9, [record(0, 0.9)], clock=clock)
    assert tally.trials_per_minute() is None
    run_trial(tally, clock, record(1, 0.9), 6)
    run_trial(tally, clock, record(2, 0.9), 6)
    assert tally.trials_per_minute() == pytest.approx(10)


def test_time_left_comes_from_the_median_and_runs_down(clock):
    done = [record(0, 0.9, seconds=4), record(1, 0.9, seconds=6), record(2, 0.9, seconds=100)]
    tally = Tally(sweep_info(), 5, done, clock=clock)
    assert tally.seconds_left() == pytest.approx(12)
    tally.begin(record(3).spec, {})
    clock.now += 2
    assert tally.seconds_left() == pytest.approx(10)
    clock.now += 50  # slower than the median: nothing more is taken off
    assert tally.seconds_left() == pytest.approx(6)


def test_time_left_is_shared_by_trials_that_run_at_once(clock):
    tally = Tally(sweep_info(), 5, [record(0, 0.9, seconds=10)], clock=clock)
    for trial in (1, 2):
        tally.begin(record(trial).spec, {})
    assert tally.seconds_left() == pytest.approx(20)


def test_time_left_ends_when_the_time_that_was_given_is_up_and_the_last_trials_are_done(clock):
    done = [record(0, 0.9, seconds=10)]
    tally = Tally(sweep_info(), 1000, done, longest_seconds=60, clock=clock)
    assert tally.seconds_left() == pytest.approx(60 + 10)
    clock.now += 45
    assert tally.seconds_left() == pytest.approx(15 + 10)
    assert Tally(sweep_info(), 3, done, longest_seconds=60, clock=clock).seconds_left() == 20


def test_quick_failures_do_not_shorten_the_estimate(clock):
    failed = [record(trial, outcome="failed", seconds=0.1) for trial in range(3)]
    assert Tally(sweep_info(), 5, failed, clock=clock).seconds_left() == pytest.approx(0.2)
    tally = Tally(sweep_info(), 5, [*failed, record(3, 0.9, seconds=10)], clock=clock)
    assert tally.seconds_left() == pytest.approx(10)


def test_nothing_is_left_when_all_is_done_or_known_before_a_trial_is(clock):
    assert Tally(sweep_info(), 1, [record(0, 0.9)], clock=clock).seconds_left() == 0
    assert Tally(sweep_info(), 1, [], clock=clock).seconds_left() is None


def test_epochs_are_counted_from_one_and_strangers_ignored(clock):
    tally = Tally(sweep_info(), 1, [], clock=clock)
    spec = record(0).spec
    tally.begin(spec, {"x": 1})
    tally.epoch(spec, 6, {"val_accuracy": 0.5})
    tally.epoch(record(9).spec, 0, {})
    (trial,) = tally.running.values()
    assert (trial.epochs, trial.metrics) == (7, {"val_accuracy": 0.5})
