"""A budget of time keeps enough for a confirmation, and the confirmation keeps to the budget."""

import math
import time
from dataclasses import replace
from importlib import import_module

import pytest
from typer.testing import CliRunner

import sweeps
from search_spaces.space import Confirming
from sweeps.cli import app
from sweeps.confirm.confirm import ConfirmOptions, confirm
from sweeps.confirm.planning import HowToTrain, Reservation
from sweeps.journal.events import Returned, Started
from tests.sweeps.factories import altered, make_record
from tests.sweeps.folding_experiment import SPACE

module = import_module("sweeps.confirm.confirm")


def reservation(top=5, folds=20, **changes):
    usual = {"has_baselines": True, "at_once": 2, "fewest": 15}
    return Reservation(Confirming(top, folds), "maximize", **{**usual, **changes})


def kept(says, most, records=(), each=10.0, left=None):
    left = most if left is None else left
    found = says(records, each=each, start_up=5.0, most=most, left=left)
    return found.finalists, found.folds, math.ceil(found.seconds - 1e-6)


def seconds(trainings, each=10.0, as_long=1.0):
    return math.ceil(1.7 * 5 + as_long * trainings * each / 2 - 1e-6)


def test_a_confirmation_that_fits_is_kept_whole_else_folds_are_saved_and_then_finalists():
    says = reservation()
    assert kept(says, 10_000) == (6, 20, seconds(84)), "six finalists, of which three go on"
    assert kept(says, seconds(84) - 1) == (5, 20, seconds(76))
    assert kept(says, seconds(40)) == (2, 20, seconds(40)), "the best and the baseline"
    assert kept(reservation(folds=40), seconds(108)) == (6, 28, seconds(108))
    assert kept(reservation(folds=8), seconds(6 * 8)) == (6, 8, seconds(6 * 8)), "as the space says"
    assert kept(says, 100, left=seconds(40)) == (2, 20, seconds(40)), "the least has more"
    assert kept(says, 100, left=seconds(40) - 1) == (0, 0, 0)
    small = says([], each=10.0, start_up=5.0, most=200, left=200)
    assert small.lacking == (
        "no confirmation: 2 finalists on 20 folds would take 3 min 28 s, and 3 min 20 s are left "
        "of the budget"
    )
    fewer = says([], each=10.0, start_up=5.0, most=seconds(80), left=1000).lacking
    assert fewer == (
        "it confirms 5 finalists on 8 folds and 3 of them on 20 in place of 6 finalists on 8 folds "
        "and 3 of them on 20"
    )


def test_it_takes_the_time_of_the_trials_that_lead_of_which_folds_stop_some_early():
    times = [10, 20, 30, 40]
    records = [
        make_record(
            trial,
            objective=trial / 10,
            started_at=0,
            finished_at=1000 * times[trial],
            origin="sampled",
        )
        for trial in range(4)
    ]
    says = reservation(top=2, has_baselines=False)
    assert kept(says, 10_000, records) == (2, 20, seconds(20, 40 + 30, as_long=0.8))
    one = seconds(20, 10 + 10, as_long=0.8)
    assert kept(says, 10_000, records[:1]) == (2, 20, one), "one of 10 s each"
    begun = {frozenset({"trial-3", "trial-2"}): 10}
    rest = reservation(top=2, has_baselines=False, begun=begun)
    left = seconds(20, 0.75 * (40 + 30), as_long=0.8)
    assert kept(rest, 10_000, records) == (2, 20, left)
    whole = [altered(r, result=replace(r.result, stop_reason="max_epochs")) for r in records]
    assert kept(says, 10_000, whole) == (2, 20, seconds(20, 40 + 30)), "none stopped early"
    one = reservation(top=1, has_baselines=False)
    assert kept(one, 10_000, records)[1] == 0, "one cannot be compared"


@pytest.fixture
def call(tmp_path, make_home, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    space = SPACE.replace("METRIC", "mae").replace("DIRECTION", "minimize")
    space = space.replace("pruner: none", "pruner: none, confirm: {top: 1, folds: 20}")
    (tmp_path / "one.yaml").write_text(space)

    def call(*words):
        words = [str(tmp_path / "one.yaml") if word == "one.yaml" else word for word in words]
        where = ("--workers", 0, "--home", make_home())
        return CliRunner().invoke(app, [*map(str, words), *map(str, where)])

    return call


@pytest.mark.slow
def test_a_sweep_with_a_budget_is_confirmed_within_it(call, make_home):
    words = ("run", "one.yaml", "--trials", 3, "--budget", "10m", "--confirm")
    ran = call(*words)
    assert ran.exit_code == 0, ran.output
    assert "kept to confirm 2 finalists on 20 folds" in ran.output
    assert "Best of the two? " in ran.stdout
    assert " of 10 min 00 s used by all starts" in ran.stdout.splitlines()[-1]
    sweep = sweeps.load("one", make_home())
    assert len(starts_of(sweep)) == 2, "of the trials, and of the confirmation"
    set_used(sweep, 600.0)
    again = call(*words, "--trials", 9)
    assert (again.exit_code, "no confirmation" in again.stdout) == (0, False), "there is one"
    assert "3 of 3 trials: 3 COMPLETE; stopped by budget" in again.output


@pytest.mark.slow
def test_what_a_budget_does_not_pay_for_is_said_and_not_done(call, make_home):
    assert call("run", "one.yaml", "--no-confirm").exit_code == 0
    sweep = sweeps.load("one", make_home())
    set_used(sweep, 620.0)
    planned = call("plan", "one.yaml", "--budget", "10m").stdout
    assert "budget: earlier starts took 10 min 20 s of 10 min 00 s" in planned
    again = call("run", "one.yaml", "--budget", "10m", "--confirm")
    assert again.exit_code == 0, again.output
    assert "no confirmation: 2 finalists on 20 folds would take 14 s, and " in again.stdout
    assert "`sweeps confirm one --home" in again.stdout
    assert not list((make_home() / "sweeps").glob("*/finalists-*"))
    assert "used by all starts" in again.stdout.splitlines()[-1]


@pytest.mark.slow
def test_a_space_whose_points_were_all_tried_is_confirmed_before_the_budget_ends(call):
    ran = call("run", "one.yaml", "--budget", "10m", "--confirm")
    assert ran.exit_code == 0, ran.output
    assert "6 of 6 trials: 6 COMPLETE; stopped by exhausted" in ran.output
    assert "Best of the " in ran.stdout


def starts_of(sweep):
    return sweep.home.store(sweep.info.id).state().starts


def set_used(sweep, seconds):
    """Record one more start, after which all have taken so long."""
    used = sum(start.seconds for start in starts_of(sweep))
    took = Returned(began_at=1, seconds=seconds - used)
    sweep.home.store(sweep.info.id).append(Started(began_at=1), took)


@pytest.mark.slow
def test_a_confirmation_without_time_left_takes_the_folds_that_it_has(call, make_home):
    assert call("run", "one.yaml", "--no-confirm").exit_code == 0
    sweep = sweeps.load("one", make_home())
    how = HowToTrain(workers=0, progress="quiet")
    late = HowToTrain(workers=0, progress="quiet", stop_by=time.monotonic())
    none = confirm(sweep.home, sweep.info, ConfirmOptions(top=1, folds=20, how=late))
    assert (none.stopped_by, len(none.conclusions)) == ("timeout", 0)
    confirm(sweep.home, sweep.info, ConfirmOptions(top=1, folds=12, how=how))
    some = confirm(sweep.home, sweep.info, ConfirmOptions(top=1, folds=20, how=late))
    assert (some.stopped_by, len(some.comparison.folds)) == (None, 12)
    assert some.failure is None


@pytest.mark.slow
def test_the_answer_of_a_confirmation_does_not_wait_for_mlflow(call, monkeypatch):
    send = module.show_conclusions

    def spy(*arguments):
        print("MLflow gets the rest")
        return send(*arguments)

    monkeypatch.setattr(module, "show_conclusions", spy)
    ran = call("run", "one.yaml", "--trials", 3, "--confirm")
    assert ran.stdout.count("Best of the ") == ran.stdout.count("MLflow gets the rest") == 1
    assert ran.stdout.index("Best of the ") < ran.stdout.index("MLflow gets the rest")
    again = call("confirm", "one", "--details")
    assert again.stdout.count("Best of the ") == 1
    assert again.stdout.index("Best of the ") < again.stdout.index("MLflow gets the rest")
