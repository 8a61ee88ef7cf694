"""Seconds until a recipe has chosen a good net."""

from __future__ import annotations

import optuna
import pytest

from benchmarks import quality
from benchmarks.recipes.command import Search
from benchmarks.recipes.search import suggest
from benchmarks.tables import digits20
from benchmarks.throughput import run_recipe, save_digits
from tests.tools import need

POINT = {"learning_rate": 1e-3, "batch_size": 32, "hidden_layers": 1, "units_1": 20,
         "dropout": 0.1, "l2": 1e-5}  # fmt: skip


def row(finished: float, value: float, **params) -> dict:
    return {"finished": finished, "value": value, "params": {**POINT, **params}}


def test_what_is_chosen_is_the_best_of_what_has_finished_by_then():
    rows = [row(30, 0.9, units_1=30), row(12, 0.8), row(20, 0.7, units_1=40)]
    found = quality.choices(rows, started_at=10)
    assert [(one["seconds"], one["params"]["units_1"]) for one in found] == [(2, 20), (20, 30)]


def test_layers_that_a_net_has_not_do_not_count():
    noted = {**POINT, "units_2": 50, "units_3": 60, "tuner/epochs": 3}
    assert quality.active(noted) == POINT


def test_a_number_one_beyond_its_range_counts_as_the_largest():
    assert quality.active({**POINT, "units_1": 129})["units_1"] == 128


def test_a_recipe_has_arrived_when_its_choice_is_good_and_stays_so():
    fresh = [(5, 0.90), (8, 0.95), (9, 0.93), (20, 0.95), (30, 0.96)]
    found = [{"seconds": seconds, "fresh": worth} for seconds, worth in fresh]
    assert quality.arrived(found, 0.94) == 20
    assert quality.arrived(found, 0.89) == 5
    assert quality.arrived(found, 0.97) is None


def test_who_does_not_arrive_counts_with_all_its_seconds():
    def run(arrived, lasted=300.0):
        return {"arrived": arrived, "lasted": lasted, "choices": [{"seconds": 5.0, "fresh": 0.9}]}

    rounds = [{"ours": run(10.0), "usual-2": run(None)}, {"ours": run(20.0), "usual-2": run(200.0)}]
    found = quality.summed_up("usual-2", rounds)
    assert found["ratios"] == [30, 10]
    assert (found["ratio"], found["missed"]) == (20, 1)
    rows = [quality.summed_up(name, rounds) for name in ("ours", "usual-2")]
    text = quality.table({"repeats": 2, "judged": 3, "best": 0.95, "folds": 8, "rows": rows})
    assert "| 300, 200 | 1 | 20.0 times | 25 times | 90.00, 90.00 |" in text


def test_what_is_chosen_after_some_seconds_is_a_mean_of_the_rounds():
    def run(*choices):
        found = [{"seconds": seconds, "fresh": fresh} for seconds, fresh in choices]
        return {"ours": {"choices": found, "lasted": 30.0}}

    rounds = [run((5.0, 0.75), (20.0, 0.5)), run((10.0, 0.25))]
    found = [quality.mean_at(rounds, "ours", seconds) for seconds in (9, 10, 20, 31)]
    assert found == [None, 0.5, 0.375, None], "the last one is after its end"


def test_peers_search_the_space_that_ships():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(30):
        trial = study.ask()
        suggest(trial, "mlp")
        digits20.space().configuration(trial.params)
    ends = [
        {k: d.high for k, d in trial.distributions.items() if k != "batch_size"}
        for trial in study.trials
    ]
    widest = max(ends, key=len)

    def highest(name, domain):
        assert name == "batch_size" or domain.high == widest[name]
        return domain.choices[0] if name == "batch_size" else domain.high

    digits20.space().walk(highest)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["ours", "expert", "usual-2", "tuner-2"])
def test_each_recipe_notes_what_it_tried(name, tmp_path):
    if name == "tuner-2":
        need("keras_tuner")
    search = Search(3, 2, 0, save_digits(tmp_path), "tpe", 2, "mlp")
    found = run_recipe(name, search, tmp_path / name)
    assert len(found["rows"]) >= 3
    for one in quality.choices(found["rows"], found["started_at"]):
        assert one["seconds"] > 0
        digits20.space().configuration(one["params"])
