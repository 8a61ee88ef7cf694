"""The four recipes: the same work, tried for real, and how their figures are made."""

from __future__ import annotations

import optuna
import pytest

from benchmarks import throughput
from benchmarks.recipes.command import DIGITS, SAMPLERS, Search
from benchmarks.recipes.search import NumberedRandom, suggest
from sweeps.config.options import RunOptions
from sweeps.config.resolving import resolve
from tests.tools import need


def rows(*finished: float) -> list[dict]:
    return [{"finished": f, "epochs": 10, "accuracy": 0.5 + f / 1000} for f in finished]


def test_steady_state_leaves_out_the_first_quarter():
    ten_slow_then_fast = rows(*range(10, 101, 10), *range(101, 131))
    found = throughput.summary(ten_slow_then_fast, 1, started_at=2.0)
    assert found["trials"] == 40
    assert found["steady_trials"] == 30
    assert found["steady"] == pytest.approx(1.0)
    assert found["cold_start_seconds"] == pytest.approx(8.0)
    assert found["whole"] == pytest.approx(128 / 40)
    assert found["best_val_accuracy"] == pytest.approx(0.63)


def test_steady_state_leaves_out_two_trials_a_process():
    found = throughput.summary(rows(10, 20, 30, 40, 41, 42), 2, started_at=0.0)
    assert found["steady_trials"] == 2
    assert found["steady"] == pytest.approx(1.0)


def test_too_few_trials_have_no_steady_state():
    few = throughput.summary(rows(10, 20), 1, started_at=0.0)
    assert few["steady"] is None
    assert set(throughput.ratios({"ours": [few], "usual": [few]})["usual"]) == {"whole"}


def test_ratios_compare_round_by_round_and_the_smallest_leads():
    runs = {
        name: [{"steady": s, "whole": 2 * s, "trials": 80, "cold_start_seconds": 1.0,
                "cpu_seconds": 80.0, "peak_bytes": 1e9, "epochs_per_trial": 20.0,
                "best_val_accuracy": 0.94} for s in seconds]
        for name, seconds in {"ours": (1.0, 2.0, 1.0), "usual": (20.0, 30.0, 18.0)}.items()
    }  # fmt: skip
    ratios = throughput.ratios(runs)
    expected = {"min": 15.0, "median": 18.0, "max": 20.0}
    assert ratios == {"usual": {"steady": expected, "whole": expected}}
    result = {"trials": 80, "repeats": 3, "epochs": 40,
              "samplers": {"tpe": {"runs": runs, "ratios": ratios}}}  # fmt: skip
    text = throughput.table(result)
    assert "| tpe | s a trial, steady |" in text
    assert "two plots | 20.00 | 40.00 | 15.0 times | 15.0 times | 1.0 |" in text
    noted = [{**run, "rows": [1, 2]} for run in runs["ours"]]
    result["samplers"]["tpe"]["runs"] = {"ours": noted}
    assert throughput.summarized(result)["samplers"]["tpe"]["runs"]["ours"] == runs["ours"]


def test_every_recipe_with_optuna_tries_the_configurations_of_ours():
    sampler = "benchmarks.recipes.search.NumberedRandom"
    options = {"search_seed": 3}
    asked = RunOptions(str(throughput.SPACE), sampler=sampler, sampler_options=options)
    proposer = resolve(asked).proposer()
    proposed = [dict(proposer.propose().params) for _ in range(20)]
    study = optuna.create_study(sampler=NumberedRandom(3))
    trials = [study.ask() for _ in range(20)]
    for trial in reversed(trials):  # in whatever order processes come to them
        suggest(trial)
    assert [trial.params for trial in trials] == proposed
    assert {params["hidden_layers"] for params in proposed} == {2, 3}
    assert {params["batch_size"] for params in proposed} == {16, 32, 64, 128}


@pytest.mark.tensorflow
def test_the_network_of_the_peers_is_that_of_digitexp():
    from digitexp.config import TrialConfig
    from digitexp.models import build_model
    from digitexp.tensorflow_setup import set_up_tensorflow

    set_up_tensorflow()
    from benchmarks.recipes.network import build_network, make_callbacks

    stopping, plateau = make_callbacks()
    assert (stopping.patience, plateau.patience, plateau.factor) == (5, 3, 0.5)  # as digits.yaml
    params = {"units": [16, 32], "dropout": 0.25, "l2": 1e-3, "learning_rate": 2e-3}
    config = TrialConfig(units=(16, 32), dropout=0.25, l2=1e-3, learning_rate=2e-3)
    ours, theirs = build_model(config, (20, 20), 10), build_network(params)
    described = [
        [
            (type(layer).__name__, getattr(layer, "units", None), getattr(layer, "rate", None))
            for layer in model.layers
        ]
        for model in (ours, theirs)
    ]
    assert described[0] == described[1]
    theirs.set_weights(ours.get_weights())
    penalties = [sum(float(loss) for loss in model.losses) for model in (ours, theirs)]
    assert penalties[0] == pytest.approx(penalties[1])
    assert penalties[0] > 0
    assert ours.optimizer.get_config()["learning_rate"] == pytest.approx(
        theirs.optimizer.get_config()["learning_rate"]
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return throughput.save_digits(tmp_path_factory.mktemp("digits"))


@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_epoch_of_the_expert_is_that_of_fit(digits):
    """With all images in one batch the order does not matter; with no dropout, no other chance."""
    import keras
    import numpy as np
    import tensorflow as tf

    from benchmarks.recipes.expert import METRICS, epoch_function
    from benchmarks.recipes.network import build_network

    with np.load(digits) as arrays:
        parts = [arrays[name][:600] for name in DIGITS]
    keras.utils.set_random_seed(0)
    params = {"units": [16, 32], "dropout": 0.0, "l2": 1e-3, "learning_rate": 2e-3}
    theirs, fitted = build_network(params), build_network(params)
    fitted.set_weights(theirs.get_weights())
    epoch = epoch_function(theirs, tuple(map(tf.constant, parts)), 600)
    shown = np.array([[float(value) for value in epoch()] for _ in range(4)])
    history = fitted.fit(
        *parts[:2], batch_size=600, epochs=4, validation_data=tuple(parts[2:]),
        validation_batch_size=600, verbose=0,
    ).history  # fmt: skip
    expected = np.transpose([history[name] for name in METRICS])
    np.testing.assert_allclose(shown, expected, rtol=1e-4)
    keras.backend.clear_session()


@pytest.mark.nightly
@pytest.mark.tensorflow
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", throughput.RECIPES)
def test_a_recipe_trains_and_notes_its_trials(name, sampler, digits, tmp_path):
    if name.startswith("tuner"):
        need("keras_tuner")
    search = Search(4, 2, 0, digits, sampler, throughput.RECIPES[name])
    run = throughput.run_recipe(name, search, tmp_path / name)
    assert run["trials"] == 4
    assert run["epochs_per_trial"] == 2
    assert 0.3 < run["best_val_accuracy"] <= 1
    assert 0 < run["cold_start_seconds"] < run["wall_seconds"]
    assert run["cpu_seconds"] > 1
    assert run["peak_bytes"] > 100e6
