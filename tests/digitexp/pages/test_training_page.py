"""The page of a training: what was recorded of every epoch, and what two of them differ in."""

import base64
import dataclasses
import zlib

import numpy as np
import pytest

from digitexp.config import TrialConfig
from digitexp.data import load_source, split_source
from digitexp.pages.page import differences, training_page
from tests.digitexp.pages.factories import about, diverged, make_trial, without_history
from tests.digitexp.pages.pages import data_of, unpacked


def test_every_epoch_is_there_as_recorded():
    trial = make_trial()
    (course,) = data_of(training_page(trial))["trials"]
    np.testing.assert_array_equal(unpacked(course["confusion"]), trial.confusion)
    assert sorted(course["history"]) == sorted(trial.history)
    for name, values in trial.history.items():
        assert course["history"][name] == pytest.approx(list(values), rel=1e-6)
    assert course["best_epoch"] == trial.best_epoch


def test_counts_that_need_more_than_16_bits_are_kept():
    trial = make_trial()
    many = dataclasses.replace(trial, confusion=trial.confusion * 100_000)
    (course,) = data_of(training_page(many))["trials"]
    np.testing.assert_array_equal(unpacked(course["confusion"]), many.confusion)


def test_each_training_has_the_epochs_that_it_had():
    data = data_of(training_page(make_trial(epochs=3), make_trial(0.02, epochs=8)))
    assert [one["confusion"]["shape"][0] for one in data["trials"]] == [3, 8]
    assert [trial["name"] for trial in data["trials"]] == ["mlp at 0.003", "mlp at 0.02"]


def test_a_loss_that_is_not_a_number_is_null():
    (course,) = data_of(training_page(diverged(make_trial(), 4)))["trials"]
    assert course["history"]["loss"][-1] is None
    assert None not in course["history"]["loss"][:-1]
    (course,) = data_of(training_page(diverged(make_trial(), 1)))["trials"]
    assert course["history"]["val_loss"] == [None]
    assert course["best_epoch"] is None


def configured(**params):
    return dataclasses.replace(make_trial(), config=TrialConfig.from_params(params))


def test_the_learning_rate_stands_first_and_the_seed_last():
    one = configured(seed=1, dropout=0.1, learning_rate=0.00118345678)
    other = configured(
        seed=2, learning_rate=0.05, hidden_layers=3, units_1=25, units_2=15, units_3=9
    )
    assert differences(one, other) == [
        {"name": "learning_rate", "values": ["0.001183", "0.05"]},
        {"name": "hidden_layers", "values": ["2", "3"]},
        {"name": "units_3", "values": [None, "9"]},
        {"name": "dropout", "values": ["0.1", "0"]},
        {"name": "seed", "values": ["1", "2"]},
    ]


def test_values_that_look_alike_are_told_apart():
    (row,) = differences(configured(l2=0.00123456), configured(l2=0.00123457))
    assert row["name"] == "l2"
    assert [float(value) for value in row["values"]] == [0.00123456, 0.00123457]


def test_equal_configurations_differ_in_nothing_and_the_page_says_so():
    assert differences(configured(), configured()) == []
    assert "the configurations are the same" in training_page(configured(), configured())


def test_names_cannot_end_the_script_or_make_tags():
    hostile = "</script><script>alert(1)</script>"
    trial = make_trial(n_classes=3)
    named = dataclasses.replace(trial, name=hostile, **about((hostile, "<i>", "2")))
    page = training_page(named)
    assert hostile not in page
    assert "<i>" not in page
    assert data_of(page)["classes"] == [hostile, "<i>", "2"]


def test_a_trial_without_history_is_left_out():
    silent = without_history(make_trial())
    assert data_of(training_page(silent))["trials"] == []
    alone = training_page(make_trial())
    assert training_page(make_trial(), silent) == alone
    assert [one["name"] for one in data_of(alone)["trials"]] == [make_trial().name]


def test_the_embedded_digits_come_along_with_their_attribution_and_without_the_test_set():
    page = training_page(make_trial())
    digits = data_of(page)["digits"]
    ink = np.frombuffer(zlib.decompress(base64.b64decode(digits["ink"])), np.uint8)
    source = load_source("digits20")
    split = split_source(source)
    order = np.concatenate([split.train_indices, split.validation_indices])
    expected = np.rint(source.images[order] * 255).astype(np.uint8)
    np.testing.assert_array_equal(ink.reshape(expected.shape), expected)
    np.testing.assert_array_equal(unpacked(digits["labels"]), source.labels[order])
    assert digits["train"] == len(split.train_indices) == 4000
    assert "Yann LeCun" in page
    assert "https://creativecommons.org/licenses/by-sa/3.0/" in page


def test_what_is_trained_at_first_is_what_the_page_can_train():
    settings = data_of(training_page(make_trial(units=(40, 30, 20, 10))))["settings"]
    assert (settings["units"], settings["rates"]) == ([40, 30, 20], [0.003, 0.03])
    fast = dataclasses.replace(make_trial(), config=TrialConfig(units=(500,), learning_rate=0.05))
    settings = data_of(training_page(fast))["settings"]
    assert (settings["units"], settings["rates"]) == ([25, 15], [0.05, 0.005])
