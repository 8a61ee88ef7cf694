"""A recorded trial trained again: the same to the bit, or loudly not."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from sweeps.experiment import TrialResult
from sweeps.runner.replaying import ReplayDifference, compare, replay, replay_recorded
from tests.sweeps import toy_experiment
from tests.sweeps.confusing_experiment import SPACE
from tests.sweeps.factories import altered, make_record


@pytest.fixture
def toy(finished_toy):
    return finished_toy(trials=4)


def again(record, **changes):
    data = toy_experiment.experiment.prepare(None, 0)
    return replay(altered(record, **changes), toy_experiment.experiment, data)


def test_every_trial_comes_out_the_same_to_the_bit(toy):
    for trial in range(4):
        replayed = again(toy.trial(trial).record)
        assert (replayed.is_bit_equal, replayed.succeeded) == (True, True)
        assert replayed.surroundings == []


def test_an_engine_that_the_experiment_does_not_have_is_refused(toy, call):
    ran = call("replay", "toy", 0, "--engine", "keras")
    assert ran.exit_code == 2
    assert "--engine keras: experiment toy repeats a training by none" in ran.stderr


def test_one_number_in_one_epoch_is_noticed_and_fails(toy):
    record = toy.trial(1).record
    history = {name: list(values) for name, values in record.result.history.items()}
    name = next(iter(history))
    history[name][1] += 1e-12
    replayed = again(record, result=dataclasses.replace(record.result, history=history))
    assert [d.what for d in replayed.differences] == [f"{name}, epoch 2"]
    assert not replayed.succeeded, "nothing around it has changed"


@pytest.mark.parametrize(("off", "succeeded"), [(1e-3, True), (0.2, False)])
def test_with_other_versions_a_tolerance_holds_and_what_changed_is_named(toy, off, succeeded):
    record = toy.trial(1).record
    metrics = {**record.result.metrics}
    name = next(n for n in metrics if not n.endswith("_seconds"))
    metrics[name] += off
    elsewhere = {**record.environment, "python": "3.1.0"}
    changed = dataclasses.replace(record.result, metrics=metrics)
    replayed = again(record, result=changed, environment=elsewhere)
    assert "Python 3.1.0 then" in replayed.surroundings[0]
    assert replayed.succeeded == succeeded


@pytest.mark.slow
def test_another_seed_is_another_trial(toy):
    record = toy.trial(2).record
    assert not again(record, seed=record.seed + 1).is_bit_equal


@pytest.mark.slow
def test_pruned_and_diverged_trials_are_replayed_to_where_they_ended(make_home, tmp_path, call):
    space = tmp_path / "confusing.yaml"
    space.write_text(SPACE)
    assert call("run", space, "--trials", 40, "--workers", 0, "--quiet").exit_code == 0
    rows = json.loads(call("trials", "confusing", "--json").stdout)
    chosen = {row["state"]: row["trial"] for row in rows if row["epochs"]}
    assert {"COMPLETE", "PRUNED"} <= chosen.keys()
    for trial in chosen.values():
        result = call("replay", "confusing", trial)
        assert result.exit_code == 0, result.output
        assert "the same to the bit" in result.stdout


def test_a_run_of_mlflow_leads_to_its_trial(toy, call, make_home):
    from sweeps.tracking.store import close_client, open_client

    client = open_client(f"sqlite:///{make_home() / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    (run,) = client.search_runs([experiment.experiment_id], "tags.trial_number = '3'")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
    close_client(client)
    told = json.loads(call("replay", run.info.run_id, "--json").stdout)
    assert (told["trial"], told["bit_equal"]) == (3, True)
    refused = call("replay", parent.info.run_id)
    assert (refused.exit_code, "is no trial" in refused.stderr) == (2, True)
    absent = call("replay", "0" * 32)
    assert (absent.exit_code, "0" * 32 in absent.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [(["toy"], "which trial?"), (["toy", 9], "has no trial 9"), (["tyo", 1], "did you mean")],
)
def test_what_cannot_be_replayed_is_said(toy, call, words, said):
    result = call("replay", *words)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_what_differs_is_a_number_in_json(toy, call, monkeypatch):
    differs = [ReplayDifference("score, epoch 1", 0.25, 0.5), ReplayDifference("an array")]
    monkeypatch.setattr("sweeps.runner.replaying.compare", lambda record, result: differs)
    told = json.loads(call("replay", "toy", 2, "--json").stdout)
    assert told["differences"] == [
        {"what": "score, epoch 1", "recorded": 0.25, "now": 0.5},
        {"what": "an array", "recorded": None, "now": None},
    ]


def test_weights_that_were_dropped_can_be_had_again(toy, call):
    store = toy.home.store(toy.info.id)
    record = toy.trial(2).record
    before = store.weights(record)
    store.drop_weights(record.key)
    assert "kept again" in call("replay", "toy", 2, "--restore").stdout
    after = store.weights(record)
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)


def test_weights_are_kept_if_that_is_asked_for_and_they_are_the_same_only(toy, call):
    store, record = toy.home.store(toy.info.id), toy.trial(2).record
    file = store.weights_path(record.key)
    store.drop_weights(record.key)
    assert call("replay", "toy", 2).exit_code == 0
    assert not file.exists(), "nobody asked"
    other = altered(record, weights_sha256="0" * 64)
    replayed = replay_recorded(store, toy.info, other, restore=True)
    assert [difference.what for difference in replayed.differences] == ["weights"]
    assert (replayed.succeeded, replayed.is_restored) == (False, False)
    assert not file.exists()


def test_a_failed_trial_has_nothing_to_compare(finished_toy, call):
    finished_toy(trials=1, overrides=("mode=raise",))
    result = call("replay", "toy", 0)
    assert (result.exit_code, "no epoch to be compared" in result.stderr) == (2, True)


def test_arrays_of_texts_are_compared_too():
    words, numbers = np.array(["a", "b"]), np.array([1.0, np.nan])
    result = TrialResult("complete", "max_epochs", {}, {}, {"words": words, "numbers": numbers})
    record = make_record(result=result)
    other = dataclasses.replace(result, arrays={"words": words[::-1], "numbers": words})
    assert compare(record, result) == []
    assert [one.what for one in compare(record, other)] == ["words", "numbers"]
