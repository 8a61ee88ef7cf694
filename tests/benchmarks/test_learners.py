import argparse

import numpy as np
import pytest

from benchmarks import learners

ASKED = argparse.Namespace(draws=4, learners=["linear"], samples=[60])


def test_it_compares_by_every_metric_and_prints_limits():
    result = learners.run(ASKED)
    assert [row["metric"] for row in result["rows"]] == [
        metric for own in learners.METRICS.values() for metric in own
    ]
    assert all(0.2 < row["spread"] < 4 and row["false"] <= 0.5 for row in result["rows"])
    assert learners.table(result).count("| linear | 60 | 4 |") == 1


@pytest.mark.parametrize("learner", learners.LEARNERS)
@pytest.mark.parametrize("task", learners.METRICS)
def test_each_learner_learns(learner, task):
    inputs, target = learners.drawn(np.random.default_rng(1), 400, task)
    rest, own = np.arange(300), np.arange(300, 400)
    answers = learners.LEARNERS[learner](inputs[0], target)(rest, own, 5)
    assert np.corrcoef(answers, target[own])[0, 1] > 0.2


def test_it_fails_where_a_learner_errs_more_than_promised():
    row = {"learner": "neighbours", "samples": 200, "metric": "auc", "false": 0.08, "draws": 2000}
    assert learners.failures({"rows": [row]}) == ["neighbours, 200 samples, auc: 0.08"]
    assert learners.failures({"rows": [{**row, "learner": "linear"}]})
    assert not learners.failures({"rows": [{**row, "false": 0.05}]})
