"""What is advised, and that every command advised is one that `digitexp train` takes."""

import shlex

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from digitexp.activations import ACTIVATIONS
from digitexp.checklist import advise, check_training, training_command
from digitexp.cli.train import merged_settings
from digitexp.config import TrialConfig
from digitexp.parameters import INITIALIZERS
from tests.digitexp.checklist.runs import history_of, make_run


def advice(**given):
    run = make_run(**given)
    return advise(run, check_training(run))


def config_of(command):
    """The configuration a command trains, read as the command line reads it."""
    words = shlex.split(command)
    assert words[:3] == ["digitexp", "train", "--output"]
    settings_, rest = [], words[4:]
    for option, text in zip(rest[::2], rest[1::2], strict=True):
        name = option.removeprefix("--").replace("-", "_")
        if name == "set":
            settings_.append(text)
    return TrialConfig.from_params(merged_settings({}, settings_))


def test_a_sound_training_gets_no_advice():
    assert advice() == []


def test_a_rate_of_ten_is_lowered_and_then_gradients_are_bounded():
    flat = history_of([27993.0, 3.2, 2.4], [10.0] * 3, val_loss=[3.0, 2.9, 2.5])
    given = advice(rights=(10,) * 10, history=flat, learning_rate=10.0)
    assert {one.name for one in given} == {"loss does not fall"}
    assert {one.verdict for one in given} == {"fail"}
    first, second = (config_of(one.command) for one in given)
    assert (first.learning_rate, first.clipnorm) == (0.001, None)
    assert (second.learning_rate, second.clipnorm) == (0.001, 1.0)


@pytest.mark.parametrize(
    ("params", "name", "value"),
    [({"learning_rate": 1e-7, "min_learning_rate": 0.0}, "learning_rate", 0.001),
     ({}, "kernel_initializer", "he_normal"),
     ({"activation": "sigmoid"}, "activation", "relu")],
)  # fmt: skip
def test_a_loss_that_stays_is_traced_to_what_the_run_shows(params, name, value):
    flat = history_of([2.31, 2.32], val_loss=[2.31, 2.32])
    first = advice(rights=(10,) * 10, history=flat, **params)[0]
    assert getattr(config_of(first.command), name) == value


def test_a_training_that_diverged_at_once_gets_advice_without_metrics():
    nothing = history_of([np.nan], val_loss=[np.nan])
    run = make_run(history=nothing, outcome="diverged", stop_reason="diverged", learning_rate=3.0)
    run = type(run)(**{**run.__dict__, "metrics": {}, "counts": None})
    given = advise(run, check_training(run))
    assert [config_of(one.command).clipnorm for one in given] == [None, 1.0]
    assert "No loss was finite" in given[1].advice


def test_over_fitting_is_answered_by_what_is_not_used_yet():
    history = history_of([1, 0.5, 0.1], val_loss=[0.9, 0.5, 0.8])
    given = advice(
        train_accuracy=0.999, history=history, units_1=512, units_2=64,
        early_stopping_patience_epochs=None,
    )  # fmt: skip
    changed = [config_of(one.command) for one in given if one.command]
    assert any(config.l2 == 0.001 for config in changed)
    assert any(config.dropout == 0.3 for config in changed)
    assert any(config.early_stopping_patience_epochs == 5 for config in changed)
    assert all(config.units == (512, 64) for config in changed)
    assert "gap 6.9 points, more than its noise of 1.6" in given[0].seen
    assert "the best epoch was 2" in " ".join(one.advice for one in given)
    assert given[-1].command == ""


def test_what_is_used_already_is_not_advised_again():
    used = {"units_1": 512, "dropout": 0.4, "l2": 0.01, "rotation": 5.0}
    assert [one.command for one in advice(train_accuracy=0.999, **used)] == [""]


def test_narrow_layers_are_not_told_to_drop_neurons():
    assert not any("dropout" in one.command for one in advice(train_accuracy=0.999))


def test_for_a_poor_class_all_images_are_augmented_first_and_then_its_own():
    given = advice(rights=(95, 70, *[95] * 8), train_accuracy=0.999)
    (over_fitting,) = (
        one for one in given if "rotation" in one.command and one.name == "over-fitting"
    )
    assert config_of(over_fitting.command).augment_worst_classes is None
    whole, worst = (
        config_of(one.command) for one in given if one.name == "one class is poor" and one.command
    )
    assert (whole.rotation, whole.shift, whole.zoom) == (10, 0.1, 0.1)
    assert (whole.augment_worst_classes, worst.augment_worst_classes) == (None, 1)
    assert (worst.rotation, worst.shift, worst.zoom) == (10, 0.1, 0.1)


def test_a_command_repeats_data_and_split_into_a_new_folder(tmp_path):
    run = make_run(folder=tmp_path / "a run", source="my data.npz", split_seed=3, units_1=9)
    words = shlex.split(training_command(run, {"l2": 0.5}))
    assert words[3:] == [
        str(tmp_path / "a run-2"), "--data", "my data.npz", "--split-seed", "3",
        "--set", "units_1=9", "--set", "l2=0.5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "words"),
    [({"filters_1": 8, "batch_norm": True}, 6), ({}, 2), ({"filters_1": 32, "filters_2": 8}, 6),
     ({"kernel_size": 5, "units_1": 30}, 6)],
)  # fmt: skip
def test_a_convolutional_net_is_repeated_whole_and_no_default_is_named(params, words):
    run = make_run(architecture="cnn", **params)
    command = training_command(run, {})
    assert config_of(command) == run.config
    assert len(shlex.split(command)) == 4 + words


@settings(phases=[Phase.generate], max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 4096), max_size=10),
    st.floats(1e-6, 10.0),
    st.sampled_from(ACTIVATIONS),
    st.sampled_from(INITIALIZERS),
    st.floats(0, 0.95),
    st.one_of(st.none(), st.floats(0.1, 5.0)),
)
def test_a_command_without_changes_trains_the_same_configuration(
    units, rate, activation, initializer, dropout, clipnorm
):
    params = {f"units_{i}": value for i, value in enumerate(units, 1)}
    run = make_run(
        hidden_layers=len(units), learning_rate=rate, activation=activation, dropout=dropout,
        kernel_initializer=initializer, clipnorm=clipnorm, **params,
    )  # fmt: skip
    assert config_of(training_command(run, {})) == run.config
