"""Of a long sweep TPE is shown a part, whatever happened in between."""

from __future__ import annotations

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from sweeps.study import samplers
from sweeps.study.points import Proposal
from sweeps.study.sampler_view import SamplerView, TrialOutcome
from tests.sweeps.conftest import table

POINT = Proposal({"x": 0.5}, {"x": FloatDistribution(-1.0, 1.0)}, {}, "sampled")


def shown(view):
    """Return number and value of the ended trials that a sampler would see."""
    trials = view.study.get_trials(deepcopy=False)
    return {trial.number: trial.value for trial in trials if trial.state.is_finished()}


def tried(view, value, state=TrialState.COMPLETE):
    number = view.open().number
    view.accept(POINT, keep_notes=False)
    view.tell(number, TrialOutcome(state, None if value is None else (value,)))
    return number


def test_of_a_short_one_all_is_seen():
    view = SamplerView(["minimize"], most=20)
    for number in range(20):
        tried(view, float(number))
    view.open()
    assert sorted(shown(view)) == list(range(20))


@pytest.mark.parametrize(("direction", "best"), [("minimize", {3, 4}), ("maximize", {58, 59})])
def test_of_a_long_one_the_best_are_seen_and_others_from_first_to_last(direction, best):
    view = SamplerView([direction], most=20)
    values = [9.0, 8.0, 7.0, 1.0, 2.0, *(3.0 + n / 100 for n in range(53)), 20.0, 21.0]
    for value in values:
        tried(view, value)
    view.open()
    found = shown(view)
    assert best <= found.keys()
    assert len(found) == 20
    gaps = [after - before for before, after in zip(sorted(found), sorted(found)[1:], strict=False)]
    assert max(gaps) <= 4
    assert all(value == values[number] for number, value in found.items())


def test_trials_that_run_are_seen_and_failed_ones_take_no_place():
    view = SamplerView(["minimize"], most=5)
    for number in range(12):
        tried(view, float(number))
    failed = tried(view, None, TrialState.FAIL)
    view.open()
    view.accept(POINT, keep_notes=False)
    view.open()
    trials = view.study.get_trials(deepcopy=False)
    assert [trial.number for trial in trials if trial.state == TrialState.RUNNING] == [13, 14]
    assert len([number for number in shown(view) if number != failed]) == 5


def test_a_failed_trial_that_was_run_again_is_counted_in_its_place():
    plain, again = SamplerView(["minimize"], most=5), SamplerView(["minimize"], most=5)
    for number in range(12):
        tried(plain, float(number))
        tried(again, float(number)) if number != 4 else tried(again, None, TrialState.FAIL)
    again.tell(4, TrialOutcome(TrialState.COMPLETE, (4.0,)))
    plain.open()
    again.open()
    assert shown(again) == shown(plain)


def test_the_pruner_of_a_trial_sees_all():
    view = SamplerView(["minimize"], most=5)
    for number in range(12):
        tried(view, float(number))
    view.open()
    assert [trial.number for trial in view.finished()] == list(range(12))


def test_with_several_objectives_all_is_seen():
    view = SamplerView(["minimize", "maximize"], most=2)
    assert view.most is None


@pytest.mark.slow
def test_a_long_sweep_comes_out_the_same_in_steps_and_with_workers(run_toy, monkeypatch):
    whole = run_toy("all seen", trials=14)
    monkeypatch.setattr(samplers, "MOST_SEEN", 6)
    at_once = run_toy("at once", trials=14)
    run_toy("in steps", trials=9)
    assert table(run_toy("in steps", trials=14, workers=2)) == table(at_once)
    assert table(at_once) != table(whole)
