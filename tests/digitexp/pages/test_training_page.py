"""The page of a training: what was recorded of every epoch, and what two of them differ in."""

import dataclasses

import numpy as np
import pytest

from digitexp.config import TrialConfig
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


def test_the_longer_of_two_trainings_says_how_many_epochs_there_are():
    data = data_of(training_page(make_trial(epochs=3), make_trial(0.02, epochs=8)))
    assert data["epochs"] == 8
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
    page = training_page(named, plotly="/plotly")
    assert hostile not in page
    assert "<i>" not in page
    assert data_of(page)["classes"] == [hostile, "<i>", "2"]


@pytest.mark.parametrize("place", [0, 1])
def test_a_trial_without_history_is_refused_by_name(place):
    trials = [make_trial(), make_trial()]
    trials[place] = dataclasses.replace(without_history(make_trial()), name="the silent one")
    with pytest.raises(ValueError, match="the silent one has no history"):
        training_page(*trials)
