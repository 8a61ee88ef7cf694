"""What is advised, and that every command advised is one that `digitexp train` takes."""

import shlex

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from digitexp.apps.advice import advise, training_command
from digitexp.apps.checklist import check_training
from digitexp.cli.train import _series, merged_settings, parse_value
from digitexp.config import TrialConfig
from digitexp.parameters import ACTIVATIONS, INITIALIZERS
from tests.digitexp.apps.checklist.runs import history_of, make_run

EVEN = [400] * 10


def advice(train_sizes=EVEN, **given):
    run = make_run(**given)
    return advise(run, check_training(run), train_sizes)


def config_of(command):
    """The configuration a command trains, read as the command line reads it."""
    words = shlex.split(command)
    assert words[:3] == ["digitexp", "train", "--output"]
    params, settings_, rest = {}, [], words[4:]
    for option, text in zip(rest[::2], rest[1::2], strict=True):
        name = option.removeprefix("--").replace("-", "_")
        if name == "set":
            settings_.append(text)
        elif name in {"units", "dropout"}:
            params |= _series(name, text)
        elif name not in {"data", "split_seed"}:
            params[name] = parse_value(text)
    return TrialConfig.from_params(merged_settings(params, settings_))


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
     ({"dropout": 0.9}, "dropout", 0.3),
     ({"dropout_1": 0.9, "dropout_2": 0.0, "units_1": 9, "units_2": 8}, "dropout", 0.3),
     ({}, "kernel_initializer", "he_normal"),
     ({"activation": "sigmoid"}, "activation", "relu")],
)  # fmt: skip
def test_a_loss_that_stays_is_traced_to_what_the_run_shows(params, name, value):
    flat = history_of([2.31, 2.32], val_loss=[2.31, 2.32])
    first = advice(rights=(10,) * 10, history=flat, **params)[0]
    assert getattr(config_of(first.command), name) == value


def test_a_penalty_that_is_most_of_the_loss_is_lowered():
    history = history_of([9.0, 9.1], val_loss=[9.0, 9.1])
    metrics = {"best_val_cross_entropy": 2.3}
    (only,) = advice(rights=(10,) * 10, history=history, metrics=metrics, l2=1.0)
    assert only.advice == "The L2 penalty is 74% of the loss. Lower l2, now 1."
    assert config_of(only.command).l2 == 0.01


def test_a_training_that_diverged_at_once_gets_advice_without_metrics():
    nothing = history_of([np.nan], val_loss=[np.nan])
    run = make_run(history=nothing, outcome="diverged", stop_reason="diverged", learning_rate=3.0)
    run = type(run)(**{**run.__dict__, "metrics": {}, "counts": None})
    given = advise(run, check_training(run), EVEN)
    assert [config_of(one.command).clipnorm for one in given] == [None, 1.0]
    assert "No loss was finite" in given[1].advice


@pytest.mark.parametrize(
    ("val_loss", "epochs", "rate"), [([1, 0.5, 0.3, 0.2], 12, 0.001), ([1, 2, 3, 4], 4, 0.0001)]
)
def test_a_best_epoch_at_an_end_is_moved_inside(val_loss, epochs, rate):
    history = history_of([1.0, 0.8, 0.7, 0.6], val_loss=val_loss)
    (only,) = advice(history=history, stop_reason="max_epochs", epochs=4)
    config = config_of(only.command)
    assert (config.epochs, config.learning_rate) == (epochs, rate)


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
    assert "1.60 times its best, of epoch 2" in " ".join(one.advice for one in given)
    assert "More than the 4000 images" in given[-1].advice


def test_what_is_used_already_is_not_advised_again():
    used = {"units_1": 512, "dropout": 0.4, "l2": 0.01, "rotation": 5.0}
    assert advice(train_accuracy=0.999, train_sizes=[], **used) == []


def test_narrow_layers_are_not_told_to_drop_neurons():
    assert not any("dropout" in one.command for one in advice(train_accuracy=0.999))


def test_a_poor_class_with_few_images_is_told_to_grow():
    sizes = [400, 20, *[400] * 8]
    given = advice(rights=(93, 60, *[93] * 8), train_accuracy=0.9, train_sizes=sizes)
    assert {one.name for one in given} == {"one class is poor"}
    assert given[0].advice.startswith("20 images of 1 were trained on, 362 of a class on average")
    assert "40 of 40 mistakes where 1 was taken for 3" in given[-1].advice


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
    (tmp_path / "a run").mkdir()
    (tmp_path / "a run-2").mkdir()
    run = make_run(folder=tmp_path / "a run", source="my data.npz", split_seed=3, units_1=9)
    words = shlex.split(training_command(run, {"l2": 0.5}))
    assert words[3:] == [
        str(tmp_path / "a run-3"), "--data", "my data.npz", "--split-seed", "3", "--units", "9",
        "--l2", "0.5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "words"),
    [({"filters_1": 8, "batch_norm": True}, 8), ({}, 2), ({"filters_1": 32, "filters_2": 8}, 8),
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
