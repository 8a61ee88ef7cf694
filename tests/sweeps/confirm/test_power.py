"""The differences that a confirmation will see, planned from the variances of earlier ones."""

import dataclasses
import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.finalists import simulated
from sweeps.cli import app
from sweeps.confirm.best import LOOKS
from sweeps.confirm.comparison import decide
from sweeps.confirm.finalists import Finalist
from sweeps.confirm.intervals import Outcomes
from sweeps.confirm.planning import SHIPPED, PowerPlan, detectable
from sweeps.records.conclusions import Components
from tests.chance import at_least, at_most
from tests.sweeps.voting_experiment import SPACE


def finalists(count):
    return [Finalist(f"trial-{n}", n, {"x": n}, 0.95, n + 1) for n in range(count)]


def test_more_folds_see_less_down_to_what_samples_allow():
    seen = [detectable(SHIPPED, folds) for folds in (*LOOKS, math.inf)]
    assert seen == sorted(seen, reverse=True)
    assert 0.001 < seen[-1] < seen[0] < 0.01
    four_times = Components(SHIPPED.fixed / 4, SHIPPED.by_folds, SHIPPED.level)
    assert detectable(four_times, math.inf) == pytest.approx(seen[-1] / 2)


def test_a_finalist_that_fails_altogether_does_not_plan_the_next_confirmation():
    outcomes = simulated(np.random.default_rng(4), 0.5, 3, 20)
    as_it_is = decide(outcomes, finalists(3), {}).components
    scores = outcomes.scores.copy()
    scores[2] &= np.random.default_rng(5).random(scores[2].shape) < 0.1
    failing = decide(dataclasses.replace(outcomes, scores=scores), finalists(3), {}).components
    assert failing.fixed <= as_it_is.fixed * 1.5
    assert failing.by_folds <= as_it_is.by_folds * 1.5


def test_what_one_number_a_fold_would_cost_is_planned_from_the_spread_of_folds():
    outcomes = simulated(np.random.default_rng(4), 0.5, 2, 20)
    by_sample = decide(outcomes, finalists(2), {}).components
    numbers = Outcomes(outcomes.by_fold[:, :, None], None)
    by_fold = decide(numbers, finalists(2), {}).components
    assert by_fold.numbers is None
    assert by_sample.numbers == pytest.approx(by_fold.by_folds)
    plan = PowerPlan([], by_sample, "share")
    alone = dataclasses.replace(plan, components=by_fold)
    assert plan.by_numbers == pytest.approx(alone.seen)
    assert plan.by_numbers[20] > 1.5 * plan.seen[20]
    assert alone.by_numbers == {}


@pytest.mark.nightly
def test_a_lead_of_that_size_is_seen_in_eight_of_ten_confirmations():
    random, draws = np.random.default_rng(4), 300
    found = [decide(simulated(random, 1.0, 4, 20), finalists(4), {}).components for _ in range(60)]
    mean = Components(*np.mean([(c.fixed, c.by_folds, c.level) for c in found], axis=0))
    points = 100 * detectable(mean, 20)
    verdicts = [decide(simulated(random, points, 4, 20), finalists(4), {}) for _ in range(draws)]
    of_second = [next(s for s in v.standings if s.trial == 1) for v in verdicts]
    seen = sum(not standing.may_be_best for standing in of_second)
    # A little less than 0.8 as a rule, for a confirmation estimates its errors.
    assert at_least(0.75, draws) <= seen <= at_most(0.85, draws)


@pytest.mark.slow
def test_what_a_home_confirmed_on_the_same_data_is_planned_with(tmp_path, make_home):
    space = tmp_path / "one.yaml"
    space.write_text(SPACE)

    def call(*words):
        return CliRunner().invoke(app, [*map(str, words), "--home", str(make_home())])

    first = json.loads(call("plan", space, "--power", "--json").stdout)
    assert first["confirmations"] == []
    assert [row["folds"] for row in first["seen"]] == list(LOOKS)
    said = call("plan", space, "--power")
    assert "only a first guess" in " ".join(said.stdout.split())
    assert max(map(len, said.stdout.splitlines())) <= 80
    assert not (make_home() / "sweeps").exists(), "nothing was created"
    assert call("run", space, "--workers", 0).exit_code == 0
    assert call("confirm", "one", "--top", 2, "--folds", 8, "--workers", 0).exit_code == 0
    then = json.loads(call("plan", space, "--power", "--json").stdout)
    assert then["confirmations"] == ["one-confirmation"]
    assert then["seen"][0]["difference"] > then["at_best"]
    assert then["seen"][0]["by_numbers"] > then["seen"][0]["difference"]
    assert "one number a fold" in call("plan", space, "--power").stdout
    others = call("plan", space, "--power", "--json", "--name", "two", "--data", "others")
    assert json.loads(others.stdout)["confirmations"] == []
