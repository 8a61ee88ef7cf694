"""An objective function of Optuna as an experiment: what it may ask, return and raise."""

from __future__ import annotations

import functools
import math
import os
import random
import subprocess
import sys

import numpy as np
import optuna
import pytest

import sweeps
from search_spaces.objectives import ObjectiveFunction
from sweeps.errors import TrialsError, UsageError
from sweeps.experiment import OpenParameters, Stop, TrialSpec
from sweeps.experiments.objective import ObjectiveExperiment


def bowl(trial):
    x = trial.suggest_float("x", -10, 10)
    kind = trial.suggest_categorical("kind", ["plain", "shifted", None])
    return (x - 2) ** 2 + (trial.suggest_float("shift", 0, 1) if kind == "shifted" else 0.0)


def steps(trial):
    x = trial.suggest_float("x", -10, 10)
    for step in range(5):
        trial.report(x**2 + 5 - step, 10 * step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return x**2


def ranged(trial):
    most = trial.suggest_int("a", 1, 5)
    return sum(trial.suggest_int(f"b{n}", 1, most) for n in range(most))


def drawn(trial):  # from generators that are seeded
    return trial.suggest_float("x", 0, 1) + random.random() + np.random.normal()


def half_failing(trial):
    if (x := trial.suggest_float("x", 0, 1)) > 0.5:
        raise RuntimeError("bad luck")
    return x


def two(trial):
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return x + y, x * y


def noted(trial):
    trial.set_user_attr("size", 3)
    trial.set_user_attr("note", {"of": ["this", 1]})
    return trial.suggest_float("x", 0, 1)


def folded(trial, fold=0):
    return trial.suggest_float("x", 0, 1) + fold


def times(trial, factor):
    return factor * trial.suggest_float("x", 0, 1)


class Times:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, trial):
        return times(trial, self.factor)


def made(factor):
    def closure(trial):
        return times(trial, factor)

    return closure


@pytest.fixture
def run(make_home):
    """Run an objective function quietly, in this process if no workers are given."""

    def run(function, home="home", **options):
        options = {"workers": 0, "trials": 6, "progress": "quiet"} | options
        return sweeps.run(function, home=make_home(home), **options)

    return run


@pytest.fixture
def table(make_home):
    return lambda name, home="home": sweeps.trials(name, make_home(home)).drop(columns="seconds")


def open_spec(guesses=None, seed=1):
    return TrialSpec("sweep", 3, 1, seed, {}, open=OpenParameters(guesses or {}))


def result_of(function, directions=("minimize",), spec=None, stop_at=None):
    """Call a function once, as a worker does."""
    experiment = ObjectiveExperiment(ObjectiveFunction("here:function", directions), function)
    data = experiment.prepare(None, 0)
    stops = {stop_at: Stop("pruned")}
    return experiment.train(spec or open_spec(), data, lambda epoch, metrics: stops.get(epoch))


# What a trial asks.


def test_what_is_proposed_is_taken_and_what_is_new_follows_from_the_seed():
    asked = []
    for seed in (1, 1, 2):
        spec = open_spec({"known": 0.25}, seed)
        result_of(
            lambda t: t.suggest_float("known", 0, 1) * t.suggest_float("new", 0, 1), spec=spec
        )
        asked.append({name: value for name, (value, _) in spec.open.asked.items()})
    assert asked[0] == asked[1] != asked[2]
    assert [one["known"] for one in asked] == [0.25] * 3


@pytest.mark.parametrize("guess", [7.0, "no number", None])
def test_a_proposal_that_the_range_does_not_hold_is_drawn_anew(guess):
    spec = open_spec({"x": guess})
    assert 0 <= result_of(lambda t: t.suggest_float("x", 0, 1), spec=spec).metrics["value"] <= 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda t: t.suggest_float("x", 0, 1) + t.suggest_float("x", 0, 2), "asked for twice"),
        (lambda t: t.suggest_categorical("kind", [dict, list]), "is type, which no record can"),
        (lambda t: t.suggest_categorical("size", [(1,), (2,)]), "is tuple, which no record can"),
        (lambda t: t.report(1.0, -1), "a step from 0 on"),
    ],
)
def test_what_cannot_be_asked_is_a_mistake_that_says_so(function, said):
    with pytest.raises(ValueError, match=said):
        result_of(function)


def test_a_trial_has_what_optunas_has():
    def function(trial):
        trial.set_user_attr("size", 3)
        answers = (
            trial.suggest_uniform("u", 0, 1), trial.suggest_loguniform("l", 0.1, 1),
            trial.suggest_discrete_uniform("d", 0, 1, 0.5), trial.suggest_int("i", 2, 8, step=3),
        )  # fmt: skip
        assert trial.params == dict(zip("uldi", answers, strict=True))
        assert trial.params["i"] == trial.suggest_int("i", 2, 8, step=3) in {2, 5, 8}
        assert trial.distributions.keys() == trial.params.keys()
        assert trial.user_attrs == {"size": 3}
        assert trial.datetime_start is not None
        return trial.number

    assert result_of(function).metrics == {"value": 3.0, "size": 3.0}


@pytest.mark.parametrize(
    ("function", "ways", "said"),
    [
        (lambda t: t.study.best_value, 1, "the study is where the sweep was begun"),
        (lambda t: t.set_constraint("c", 1.0), 1, "raise TrialPruned"),
        (lambda t: t.report(1.0, 0), 2, "several objectives"),
        (lambda t: t.should_prune(), 2, "several objectives"),
    ],
)
def test_what_has_no_answer_in_a_worker_is_refused(function, ways, said):
    with pytest.raises((AttributeError, NotImplementedError), match=said):
        result_of(function, ("minimize",) * ways)


# What it reports, returns and raises.


def test_reports_are_counted_in_their_order_each_step_once_and_finite():
    def function(trial):
        for step, value in [(10, 5.0), (20, 4.0), (20, 9.0), (30, math.nan), (40, 3.0)]:
            trial.report(value, step)
        return 1.0

    assert result_of(function).history == {"value": [5.0, 4.0, 3.0]}


def test_a_stop_is_told_by_should_prune():
    pruned = result_of(steps, stop_at=2)
    assert (pruned.outcome, pruned.stop_reason) == ("stopped", "pruned")
    assert len(pruned.history["value"]) == 3
    assert pruned.metrics == {}


@pytest.mark.parametrize("value", [1, 2.5, np.float32(0.5), np.int64(3), np.array(2.0)])
def test_any_number_is_a_value(value):
    assert result_of(lambda t: value).metrics == {"value": float(value)}


@pytest.mark.parametrize(
    ("returned", "ways", "said"),
    [
        (None, 1, "returned NoneType None; a number is needed"),
        ({"x": 1}, 1, "returned dict .*; a number is needed.*decorate"),
        ("0.5", 1, "returned str"),
        ((1.0, 2.0), 1, "returned tuple .*; a number is needed"),
        (1.0, 2, "returned float 1.0; 2 numbers"),
        ((1.0, 2.0, 3.0), 2, "returned tuple .*; 2 numbers"),
        ((1.0, None), 2, "returned tuple .*; 2 numbers"),
    ],
)
def test_what_is_no_value_is_a_mistake_that_says_so(returned, ways, said):
    with pytest.raises(ValueError, match=said):
        result_of(lambda t: returned, ("minimize",) * ways)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_a_diverged_trial(value):
    assert result_of(lambda t: value).outcome == "diverged"
    assert result_of(lambda t: (1.0, value), ("minimize",) * 2).outcome == "diverged"


@pytest.mark.parametrize("function", [folded, lambda trial, number: number])
def test_a_function_that_takes_a_fold_has_numbered_folds(function):
    experiment = ObjectiveExperiment(ObjectiveFunction("here:f", ("minimize",)), function)
    data = experiment.prepare(None, 0)
    numbers = [[fold.data.info["fold"] for fold in experiment.folds(data, n, 4)] for n in (0, 1)]
    assert numbers == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("function", "workers"),
    [(bowl, 1), (bowl, 2), (steps, 2), (ranged, 2), (drawn, 1), (half_failing, 2), (two, 2)],
)
def test_neither_workers_nor_a_break_change_a_trial(run, table, function, workers):
    options = {"direction": ["minimize", "maximize"]} if function is two else {}
    options |= {"max_failures_in_row": 0, "name": "f"}
    run(function, home="whole", trials=14, **options)
    for trials in (5, 14):
        run(function, home="parts", trials=trials, workers=workers, **options)
    assert table("f", "parts").equals(table("f", "whole"))


SLOW = """
import time
import optuna
def crawl(trial):
    x = trial.suggest_float("x", -10, 10)
    for step in range(3):
        time.sleep(0.04)
        trial.report(x**2 - step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return x**2 + (trial.suggest_float("shift", 0, 1) if x > 0 else 0)
"""


@pytest.mark.slow
def test_a_sweep_that_was_killed_ends_with_the_same_trials(run, table, tmp_path, make_home):
    from tests.sweeps.launching import Launched  # no worker of the other tests is to import it

    file = tmp_path / "crawling.py"
    file.write_text(SLOW)
    options = ["--trials", "12", "--workers", "2", "--verbose"]
    words = ["run", f"{file}:crawl", *options, "--home", str(make_home("killed"))]
    for ended in (2, 6):
        running = Launched(words)
        running.until_said(f"[{ended}/12]")
        running.kill()
    running = Launched(words)
    assert running.wait() == 0, running.stderr()
    run(f"{file}:crawl", home="alone", trials=12)
    killed, whole = table("crawl", "killed"), table("crawl", "alone")
    assert killed.pop("attempts").max() > whole.pop("attempts").max() == 1
    assert killed.equals(whole)


def test_parameters_and_ranges_may_follow_from_other_parameters(run, table):
    for function in (bowl, ranged):
        run(function, trials=15)
    bowls, ranges = table("bowl"), table("ranged")
    assert set(bowls["shift"].notna()) == {True, False}
    assert (bowls["shift"].notna() == (bowls["kind"] == "shifted")).all()
    assert (ranges["b0"] <= ranges["a"]).all()
    assert (ranges["b3"].notna() == (ranges["a"] > 3)).all()


def test_the_median_pruner_prunes_and_none_does_not(run, table):
    study = run(steps, trials=20)
    assert {t.state.name for t in study.trials} == {"COMPLETE", "PRUNED"}
    assert {len(t.intermediate_values) for t in study.trials if t.value is not None} == {5}
    run(steps, trials=20, pruner="none", name="unpruned")
    assert set(table("unpruned")["state"]) == {"COMPLETE"}


def test_a_trial_may_prune_itself_and_nan_diverges(run, table):
    def function(trial):
        if (x := trial.suggest_float("x", 0, 1)) > 0.5:
            raise optuna.TrialPruned
        return x if x > 0.3 else math.nan

    run(function, trials=12)
    trials = table("function")
    assert set(trials["state"][trials["x"] > 0.5]) == {"PRUNED"}
    assert set(trials["reason"][trials["x"] <= 0.3]) == {"diverged"}
    assert trials["value"].notna().equals(trials["x"].between(0.3, 0.5))


def test_a_failed_trial_keeps_what_it_had_asked_for_and_the_others_go_on(run, table):
    states = [t.state.name for t in run(half_failing, trials=8, max_failures_in_row=0).trials]
    failed = table("half_failing").query("x > 0.5")
    assert 0 < len(failed) < 8
    assert (set(failed["state"]), set(failed["attempts"])) == ({"FAILED"}, {2})
    assert set(failed["error"]) == {"RuntimeError: bad luck"}
    assert [number for number in range(8) if states[number] == "FAIL"] == list(failed["trial"])


def test_failures_in_a_row_end_the_sweep_with_their_cause(run):
    with pytest.raises(TrialsError, match=r"5 trials in a row failed .*returned NoneType None"):
        run(lambda trial: None, trials=8, name="nothing")


def test_several_objectives_have_a_front(run):
    study = run(two, trials=10, direction=["minimize", "maximize"])
    front = {trial.number for trial in study.sweep.pareto_front()}
    assert 1 < len(front) < 10
    assert {trial.number for trial in study.best_trials} == front


def test_user_attributes_come_back_and_numbers_are_metrics(run, table):
    study = run(noted, trials=2)
    assert study.trials[0].user_attrs == {"size": 3, "note": {"of": ["this", 1]}}
    assert list(table("noted")["size"]) == [3.0, 3.0]


def test_a_point_is_enqueued_and_one_that_cannot_be_tried_fails_alone(run, table, make_home):
    run(bowl, trials=2)
    for point in ({"x": 1.5, "kind": "plain"}, {"x": 99}, {"X": 0.5}):
        sweeps.enqueue("bowl", point, home=make_home())
    study = run(bowl, trials=6)
    assert study.trials[2].params == {"x": 1.5, "kind": "plain"}
    assert study.trials[2].value == 0.25
    trials = table("bowl")
    assert list(trials["state"]) == ["COMPLETE"] * 3 + ["FAILED"] * 2 + ["COMPLETE"]
    assert "x=99 was given, and allowed is FloatDistribution" in trials["error"][3]
    assert "X=0.5 was given, and the function did not ask for it; did" in trials["error"][4]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("FUNCTION --direction up", "give minimize or maximize"),
        ("mlp --direction maximize", "'mlp' says itself what it optimises"),
        ("FUNCTION --set x=1", "what an objective function asks for stands in the function"),
        ("FUNCTION --sampler gp", "needs the ranges of all parameters before the first trial"),
        ("FUNCTION --sampler grid", "names its parameters only while it runs"),
        ("FUNCTION --data here", "loads its data by itself"),
        ("FUNCTION --direction minimize,minimize --pruner median", "no pruning for several"),
    ],
)
def test_what_no_objective_function_can_have_is_refused_and_nothing_is_created(
    call, make_home, words, said
):
    home = make_home()
    ran = call("run", *words.replace("FUNCTION", f"{__name__}:bowl").split())
    assert (ran.exit_code, said in " ".join(ran.stderr.split())) == (2, True), ran.output
    assert [path.name for path in home.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize(
    "function",
    [made(3), Times(3), functools.partial(times, factor=3), lambda trial: times(trial, 3)],
    ids=["closure", "object", "partial", "lambda"],
)
def test_what_no_worker_can_import_is_handed_over_by_value(run, table, function):
    study = run(function, workers=2, name="by-value")
    assert [t.value for t in study.trials] == [3 * t.params["x"] for t in study.trials]
    run(lambda trial: times(trial, 3), home="other", name="by-value")
    assert table("by-value").equals(table("by-value", "other"))


@pytest.mark.parametrize("make", [made, Times, lambda n: functools.partial(times, factor=n)])
def test_another_value_that_it_holds_is_an_edit(run, table, make):
    for trials in (2, 3):
        run(make(2), name="held", trials=trials)
    said = r"factor:\s+-factor = 2\s+\+factor = 3\s+.*ways out: undo the edit"
    with pytest.raises(UsageError, match=said):
        run(make(3), name="held", trials=4)
    assert len(table("held")) == 3
    run(make(3), name="held", trials=4, extend=True)
    assert len(table("held")) == 4


SCRIPT = """
import sweeps
OFFSET = 3
def helper(x):
    return (x - OFFSET) ** 2
def objective(trial):
    return helper(trial.suggest_float("x", -10, 10))
study = sweeps.run(objective, trials=6, workers=2, progress="quiet", home="home")
print(study.best_value == helper(study.best_params["x"]))
"""


@pytest.mark.slow
def test_a_script_needs_no_guard(tmp_path, make_home, table):
    make_home()
    (tmp_path / "search.py").write_text(SCRIPT)
    for _ in range(2):  # the second one finds the same code, and has nothing left to do
        ran = subprocess.run(
            [sys.executable, "search.py"],
            cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stdout) == (0, "True\n"), ran.stderr
    assert len(table("objective")) == 6


def test_the_study_is_one_of_optuna_for_reading(run):
    study = run(bowl, trials=12)
    assert study.best_value == min(trial.value for trial in study.trials)
    assert study.best_params == study.best_trial.params
    assert list(study.trials_dataframe()["params_x"]) == [t.params["x"] for t in study.trials]
    assert optuna.importance.get_param_importances(study).keys() <= {"x", "kind", "shift"}
    assert "12 COMPLETE" in study._repr_html_()
    with pytest.raises(UsageError, match=r"call `sweeps.run` again"):
        study.optimize(bowl, n_trials=1)


def test_the_best_are_confirmed_on_numbered_folds(run, table):
    study = run(folded, trials=6)
    assert [t.value for t in study.trials] == [t.params["x"] for t in study.trials]
    conclusions = study.sweep.confirm(folds=8, top=2, workers=0, progress="quiet")
    assert "confirmed" in {one.anchor for one in conclusions}
    xs = sorted(trial.params["x"] for trial in study.trials)[:2]
    values = sorted(table("folded-confirmation")["value"])
    assert values == pytest.approx(sorted(x + fold for x in xs for fold in range(1, 9)))


def test_a_trial_that_is_replayed_is_the_same_to_the_bit(run):
    for function in (drawn, bowl, steps):
        study = run(function, trials=12)
        for number in (0, 11):
            assert sweeps.replay(study.sweep, number, workers=0).is_bit_equal
