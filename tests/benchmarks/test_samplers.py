"""The benchmark of samplers: who is compared with whom, and what its tables say."""

import argparse

import numpy as np
import pytest

from benchmarks import samplers
from benchmarks.tables import digits20, files
from sweeps.config.sweep import ASK_AHEAD
from sweeps.study.samplers import START_UP


def test_the_default_that_is_measured_is_the_one_that_ships():
    policy = samplers.ON_DIGITS[samplers.AFTER]
    assert (policy.ask_ahead, policy.sampler.options) == (
        ASK_AHEAD,
        {"n_startup_trials": START_UP},
    )


def test_ways_are_compared_seed_by_seed_by_a_training_on_another_split(tmp_path):
    table = digits20.published()
    for name in samplers.ON_DIGITS:
        plain = name.replace(",", "").replace("'", "").replace(" ", "-")
        for seed in range(3):
            rows = [5, 7] if name == samplers.BEFORE else [5, 11 + seed]
            path = tmp_path / "sweeps" / f"digits/{plain}-{seed:03d}.npz"
            files.save(path, {"rows": np.array(rows)})
    rows = samplers.on_digits(tmp_path, 3)
    found = {(row["way"], row["trials"], row["measure"]): row for row in rows}
    assert found[samplers.AFTER, 20, "accuracy"]["difference"] == 0
    expected = np.mean([samplers.judged(table, 11 + n)[1] for n in range(3)])
    after = found[samplers.AFTER, 50, "cross_entropy"]
    assert after["mean"] == pytest.approx(expected)
    assert after["difference"] == pytest.approx(expected - samplers.judged(table, 7)[1])
    columns, *lines = samplers.digits_table(rows)
    assert len(lines) == 2 * len(samplers.ON_DIGITS)
    assert all(len(line) == len(columns) for line in lines)


def test_its_options_are_those_of_the_page():
    parser = argparse.ArgumentParser()
    samplers.add_arguments(parser)
    assert parser.parse_args([]).seeds == 200
    with pytest.raises(SystemExit):
        parser.parse_args(["--only", "both"])
