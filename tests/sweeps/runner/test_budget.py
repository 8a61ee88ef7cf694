"""Budgets: of time, of epochs. They decide how many trials there are, never which."""

import json

import pytest

from sweeps.errors import UsageError
from sweeps.journal.state import Start, seconds_used
from sweeps.records import RecordStore, counted_start
from sweeps.runner.budget import Budget, Reserve
from sweeps.workspace.clock import Stopwatch
from tests.sweeps import journals
from tests.sweeps.conftest import table
from tests.sweeps.factories import make_record


class Watch(Stopwatch):
    """A watch that is set by hand, in seconds."""

    seconds = 0.0

    def __init__(self):
        self.started_at = 1_000_000


def trained(trial, seconds, began=1_010_000, **changes):
    return make_record(
        trial, started_at=began, finished_at=began + round(seconds * 1000), **changes
    )


def budget(seconds=1000, *, used=0.0, at_once=2, reserving=None, **changes):
    return Budget(seconds, used, Watch(), at_once, reserving=reserving, **changes)


def keeping(seconds, fewest=2):
    """Keep so many seconds for a confirmation, if there are as many."""

    def reserving(records, *, each, start_up, most, left):
        if seconds > most:
            return Reserve(lacking="no confirmation")
        trains = "3 finalists on 20 folds"
        return Reserve(seconds, finalists=3, folds=20, trains=trains, fewest=fewest)

    return reserving


def test_before_anything_is_known_any_time_that_is_left_will_do():
    one = budget()
    assert (one.trials, one.pays()) == (None, True)
    assert list(one.lines()) == [
        "budget: how many trials that allows is said once the first have ended"
    ]
    one.watch.seconds = 1000
    assert not one.pays()


def test_an_estimate_says_at_once_how_many_trials_there_will_be():
    one = budget(expected=10.0, source="an estimate", reserving=keeping(300))
    # 8 s until the first begins, 8 s at the end, 300 s kept: 684 s for two at once
    assert one.trials == 136
    said = "budget: about 140 trials of 10 s (an estimate), 2 at once; "
    assert list(one.lines()) == [f"{said}5 min 00 s kept to confirm 3 finalists on 20 folds"]


def test_measured_trials_replace_the_estimate_and_the_first_of_each_worker_does_not_count():
    one = budget(expected=10.0)
    for trial, seconds in enumerate((50, 50, 20, 20)):
        one.took(trained(trial, seconds))
    one.watch.seconds = 100
    assert (one.start_up, one.trial_seconds) == (10.0, 20.0)
    assert one.trials == 4 + int((1000 - 100 - 10) * 2 / 20)


@pytest.mark.parametrize(
    ("seconds", "in_flight", "pays"),
    [
        (879, 0, True),  # 10 s at its end and 20 s for the trial, of 1000 s
        (971, 0, False),
        (969, 1, True),  # a worker is free
        (961, 2, False),  # none is: half a trial passes before one is
        (959, 2, True),
    ],
)
def test_no_trial_begins_that_would_end_late(seconds, in_flight, pays):
    one = budget()
    for trial in range(4):
        one.took(trained(trial, 20))
    one.watch.seconds = seconds
    assert one.pays(in_flight) is pays


def test_the_confirmation_is_kept_from_the_trials():
    one = budget(reserving=keeping(300))
    for trial in range(4):
        one.took(trained(trial, 20))
    one.watch.seconds = 660
    assert one.pays()
    one.watch.seconds = 680
    assert not one.pays()
    one.watch.seconds = 990
    assert not one.for_confirmation().folds, "what the trials took by mistake is missing"


def test_a_confirmation_of_several_gets_at_most_two_thirds_and_never_more_than_is_left():
    asked = []

    def reserving(records, *, each, start_up, most, left):
        asked.append((most, left))
        return Reserve()

    for used, expected in ((0.0, (2000 / 3, 992.0)), (500.0, (492.0, 492.0))):
        assert budget(used=used, expected=1.0, reserving=reserving).trials is not None
        assert asked[-1] == pytest.approx(expected)


def test_nothing_is_kept_for_a_confirmation_that_needs_more_trials_than_fit_in():
    one = budget(expected=100.0, reserving=keeping(600, fewest=15))
    assert (one.reserve.folds, one.trials) == (0, 19)
    assert list(one.lines())[-1] == "budget: no confirmation: fewer than 15 trials fit in beside it"
    assert budget(expected=10.0, reserving=keeping(600, fewest=15)).reserve.folds == 20


def test_what_earlier_starts_took_is_missing():
    assert budget(used=900, expected=10.0).trials == int((100 - 16) * 2 / 10)
    assert not budget(used=1000, expected=10.0).pays()


def test_the_time_of_all_starts_is_their_sum_and_a_killed_one_counts_up_to_its_last_record():
    seconds = {1_000_000: 50.0, 2_000_000: None, 3_000_000: 7.0, 4_000_000: None}
    starts = [Start(began_at, seconds=known) for began_at, known in seconds.items()]
    records = [trained(0, 20, 1_005_000), trained(1, 30, 2_010_000), trained(2, 1, 3_001_000)]
    assert seconds_used(starts, records) == 50 + 40 + 7 + 0


def test_a_start_is_counted_also_if_it_ends_by_an_error(tmp_path):
    watch = Watch()
    store = RecordStore(tmp_path)
    counting = counted_start(store, watch)
    counting.__enter__()
    assert store.state().starts == [Start(1_000_000)]
    watch.seconds = 12.5
    assert not counting.__exit__(KeyError, KeyError(), None)
    watch.started_at += 1
    with counted_start(store, watch):
        pass
    assert [start.seconds for start in store.state().starts] == [12.5, 12.5]


def test_a_budget_decides_how_many_trials_there_are_and_never_which(run_toy):
    quick = {"overrides": ["longest_seconds=0.1"], "ask_ahead": 4}
    budget = 0.8
    while not (some := run_toy(f"in {budget}", budget=budget, **quick)).rows():
        budget *= 4  # a busy machine did not even begin
    begun = len(some.rows())
    assert 0 < begun < 200
    assert some.home.store(some.info.id).state().finished.stopped_by == "budget"
    assert some.home.store(some.info.id).state().requested == begun
    (start,) = some.home.store(some.info.id).state().starts
    assert start.seconds is not None
    more = run_toy("other", trials=begun + 2, **quick)
    assert table(more)[:begun] == table(some)


def test_a_resumed_sweep_has_only_the_rest_and_more_than_it_if_the_budget_grows(run_toy):
    sweep = run_toy(trials=3)
    journals.alter(sweep.home.store(sweep.info.id), "returned", seconds=500.0)
    assert len(run_toy(budget="8m").rows()) == 3
    assert len(run_toy(budget="10m", trials=5).rows()) == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"budget": 0}, "budget=0: give seconds above 0"),
        ({"budget": "soon"}, "'soon' is no duration"),
    ],
)
def test_a_budget_that_is_none_is_refused(run_toy, make_home, options, said):
    with pytest.raises(UsageError) as error:
        run_toy(**options)
    assert said in str(error.value)
    assert not (make_home() / "sweeps").exists()


def test_plan_says_what_a_budget_allows_and_creates_nothing(call, make_home):
    planned = call("plan", "TOY", "--budget", "10m", "--workers", 0)
    # A toy takes 0.001 s by its own estimate; 8 s each are for the start and the end.
    assert "trials      about 580000, as many as 10 min 00 s pay for, seed 0" in planned.stdout
    assert planned.stdout.splitlines()[-2:] == [
        "budget: about 580000 trials of 0.0 s (an estimate), 1 at once",
        "Nothing was created.",
    ]
    document = json.loads(call("plan", "TOY", "--budget", "10m", "--json", "--workers", 0).stdout)
    assert (document["budget_seconds"], len(document["budget"])) == (600, 1)
    assert not (make_home() / "sweeps").exists()
