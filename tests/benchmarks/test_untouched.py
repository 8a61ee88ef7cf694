import argparse

import numpy as np
import pytest

from benchmarks import untouched


def test_a_pool_is_searched_confirmed_and_judged_by_every_design(tmp_path):
    asked = argparse.Namespace(repetitions=1, data=["countries"], cache=tmp_path)
    result = untouched.run(asked)
    rows = {row["design"]: row for row in result["rows"]}
    assert list(rows) == [*untouched.DESIGNS, "search's best"]
    trainings = [row["trainings"] for row in rows.values()]
    assert trainings in ([84, 72, 120, 0], [72, 56, 120, 0]), "the baseline may be a best one"
    assert {row["regret"] >= 0 for row in result["rows"]} == {True}
    assert len({row["width"] > 0 for row in result["rows"] if "width" in row}) == 1
    assert untouched.table(result).count("| countries |") == 4
    assert untouched.run(asked) == result
    assert len(list(tmp_path.iterdir())) == 1, "it goes on where it was interrupted"


@pytest.mark.parametrize("name", untouched.TASKS)
def test_its_learners_learn_and_the_metric_is_the_mean_over_samples(name):
    task, random = untouched.TASKS[name], np.random.default_rng(0)
    x, y = task.draw(random, 400)
    is_value = task.scored.metric.endswith("mae")
    targets = y[:, None] if is_value else np.eye(int(y.max()) + 1)[y.astype(int)]
    rest, own = np.arange(300), np.arange(300, 400)
    constant = np.tile(targets[rest].mean(axis=0), (len(own), 1))
    for config in untouched.configurations()[:3]:
        fit = untouched.learner(config, x, targets)
        answers = fit(rest, own, 1)
        learnt = untouched.values_of(task, y[own], answers)
        assert learnt.shape == own.shape
        assert learnt.mean() > untouched.values_of(task, y[own], constant).mean()
        is_seeded = config["kind"] != "neighbours"
        assert np.array_equal(answers, fit(rest, own, 2)) != is_seeded


def test_a_claim_is_false_if_another_is_worth_more(tmp_path):
    task = untouched.TASKS["drawn classes"]
    drawn = untouched.drawn(task, np.random.default_rng(3), 0)
    places = np.array([finalist.trial for finalist in drawn.finalists])
    ahead = drawn.outcomes.scores.copy()
    ahead[0] = 1.0
    ahead[1:] *= np.random.default_rng(0).random(ahead[1:].shape) > 0.5
    one = untouched.Drawn(
        drawn.sampled, drawn.finalists, untouched.replace(drawn.outcomes, scores=ahead), drawn.worth
    )
    for best, is_false in ((places[0], False), (0, True)):
        worth = np.zeros(untouched.CONFIGURATIONS)
        worth[best] = 1.0
        found = untouched.judged(task, one, untouched.FIRST, worth)
        assert found["settled"]
        assert (found["false"], found["false beats"]) == (is_false, is_false)
        assert found["regret"] == is_false
        assert found["covered"] != is_false


def test_it_fails_where_claims_are_false_or_intervals_do_not_hold():
    row = {"data": "pixels", "design": "default", "false": 0.0, "false beats": 0.0, "missed": 0.0}
    found = {"repetitions": 200, "rows": [{**row, "covered": 0.95}]}
    assert not untouched.failures(found)
    found["rows"][0] |= {"false beats": 0.2, "covered": 0.8}
    assert untouched.failures(found) == [
        "pixels, default: false beats 0.2", "pixels, default: covered 0.8",
    ]  # fmt: skip
