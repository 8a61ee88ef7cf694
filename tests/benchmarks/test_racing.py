import argparse

import numpy as np

from benchmarks import racing
from benchmarks.finalists import simulated


def test_a_race_takes_fewer_trainings_and_keeps_who_is_far_ahead():
    before, trainings = 0, 0
    for count, folds in racing.RACE:
        trainings += count * (folds - before)
        before = folds
    assert trainings == 108 < racing.CONFIRMED * racing.FOLDS
    outcomes = simulated(np.random.default_rng(0), [0.0, 0.0, 5.0], 12, 20)
    left = racing.raced(outcomes)
    assert (len(left), left[0]) == (3, 2)


def test_the_table_has_what_the_race_gains():
    result = racing.run(argparse.Namespace(seeds=3, trials=[12], equals=2))
    (row,) = result["rows"]
    assert 0 <= row["raced"] < 0.1
    assert "| 12 | " in racing.table(result)
