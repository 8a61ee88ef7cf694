"""Sweeps of the toy experiment, each in a home of its own."""

from pathlib import Path

import pytest

import sweeps

TOY = """
description: the toy experiment of the framework's tests
experiment: tests.sweeps.toy_experiment:experiment
objective: {metric: score, direction: maximize}
parameters:
  x: {type: float, low: -1, high: 1}
  layers: {type: int, low: 0, high: 2}
  kind: {type: categorical, choices: [a, b, c]}
  y: {type: float, low: 0, high: 1, repeat: layers}
fixed: {epochs: 3}
baselines:
  first: {x: 0.5, layers: 0, kind: a}
constraints: ["size <= 20"]
defaults: {trials: 6, sampler: tpe, pruner: none, ask_ahead: 4}
"""


@pytest.fixture
def toy_space(tmp_path) -> Path:
    file = tmp_path / "toy.yaml"
    file.write_text(TOY)
    return file


@pytest.fixture
def run_toy(toy_space, make_home):
    """Run the toy sweep quietly in the home of the given name."""

    def run(home="home", **options):
        return sweeps.run(str(toy_space), home=make_home(home), progress="quiet", **options)

    return run


def table(sweep):
    """Return the trial table without what depends on the clock and on interruptions."""
    return [
        (r.slot, r.state, r.reason, r.origin, r.seed, dict(r.params), r.objective)
        for r in sweep.rows()
    ]
