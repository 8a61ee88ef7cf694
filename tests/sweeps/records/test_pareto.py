"""Which trials no other one beats: against brute force, and against Optuna."""

import dataclasses

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.objectives import Objective
from sweeps.errors import UsageError
from sweeps.records import RecordStore, leading, need_one_objective, values_of
from sweeps.records.ranking import front_of, pareto_front, worth_keeping
from tests.sweeps.factories import altered, make_info, make_record

SCORE, COST = Objective("score", "maximize"), Objective("cost", "minimize")
DEPTH = Objective("depth", "minimize")
NUMBERS = st.integers(0, 6).map(float)


def trial(trial, score, cost, **changes):
    made = make_record(trial, origin="sampled", **changes)
    if made.outcome != "complete":
        return made
    result = dataclasses.replace(made.result, metrics={"score": score, "cost": cost})
    return altered(made, objective=score, result=result)


def trials(records):
    return [record.trial for record in records]


TRIALS = [
    trial(0, 0.5, 3.0),  # beaten by 1 and 3
    trial(1, 0.9, 3.0),
    trial(2, 0.2, 1.0),
    trial(3, 0.7, 2.0),
    trial(4, 0.7, 2.5),  # as good as 3, and dearer
    trial(5, 0.9, 3.0),  # the same as 1
    trial(6, 0.1, 0.5, outcome="failed"),
]


def test_the_front_has_whatever_is_beaten_by_nothing_the_best_by_the_first_first():
    assert trials(pareto_front(TRIALS, [SCORE, COST])) == [1, 5, 3, 2]


def test_with_one_objective_it_is_the_best_and_those_that_equal_it():
    assert trials(pareto_front(TRIALS, [SCORE])) == [1, 5]
    assert trials(leading(TRIALS, [SCORE])) == [1, 5, 3, 4, 0, 2]


def test_nothing_complete_makes_no_front():
    assert pareto_front(TRIALS[-1:], [SCORE, COST]) == []
    assert leading([], [SCORE, COST]) == []


def test_behind_the_front_the_first_objective_decides():
    assert trials(leading(TRIALS, [SCORE, COST])) == [1, 5, 3, 2, 4, 0]


@pytest.mark.parametrize(("count", "expected"), [(0, {1, 5, 3, 2}), (4, {1, 5, 3, 2, 4})])
def test_worth_keeping_are_the_front_and_the_best_by_the_first_objective(count, expected):
    assert set(trials(worth_keeping(TRIALS, [SCORE, COST], count))) == expected


def test_of_one_objective_so_many_are_worth_keeping():
    assert trials(worth_keeping(TRIALS, [SCORE], 1)) == [1]


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=25))
def test_the_front_is_that_of_brute_force_and_of_optuna(points):
    objectives = [SCORE, COST, DEPTH]
    front = front_of(range(len(points)), lambda place: points[place], objectives)

    def beats(one, other):
        better = (one[0] >= other[0], one[1] <= other[1], one[2] <= other[2])
        return all(better) and one != other

    assert set(front) == {
        place for place, point in enumerate(points) if not any(beats(p, point) for p in points)
    }
    study = optuna.create_study(directions=[one.direction for one in objectives])
    study.add_trials([optuna.trial.create_trial(values=point) for point in points])
    assert set(front) == {best.number for best in study.best_trials}


def test_values_are_those_of_the_objectives_in_their_order():
    assert values_of(TRIALS[0], [SCORE, COST]) == (0.5, 3.0)
    assert values_of(TRIALS[0], [SCORE]) == (0.5,)
    assert values_of(TRIALS[6], [SCORE, COST]) is None


def test_who_needs_one_best_trial_is_told_where_the_front_is():
    need_one_objective(make_info())
    with pytest.raises(UsageError, match=r"several objectives \(best_val_accuracy, cost\).*sweeps"):
        need_one_objective(make_info(other_objectives=(COST,)))


@pytest.mark.parametrize("others", [(), (COST, DEPTH)])
def test_objectives_are_recorded_in_their_order(tmp_path, others):
    info = make_info(other_objectives=others)
    store = RecordStore(tmp_path / "sweep")
    store.begin(info)
    assert store.info() == info
    assert info.objectives == (Objective("best_val_accuracy", "maximize"), *others)
    assert info.has_front == bool(others)


@pytest.mark.parametrize(
    ("metric", "order", "expected"),
    [("cost", "number", True), ("cost", "free", False), ("train_seconds", "number", False)],
)
def test_what_a_clock_has_a_say_in_is_not_reproducible(metric, order, expected):
    info = make_info(other_objectives=(Objective(metric, "minimize"),))
    ordered = dataclasses.replace(info, fingerprint={**info.fingerprint, "order": order})
    assert ordered.is_reproducible is expected
