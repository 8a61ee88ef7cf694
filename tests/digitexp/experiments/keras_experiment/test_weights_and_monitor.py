"""Examples that count more, another metric than the loss that decides, and gaps in time order."""

from __future__ import annotations

import numpy as np
import pytest

from digitexp.keras_experiment import KerasExperiment
from digitexp.training.schedule import Schedule
from sweeps.experiment import TrialSpec
from tests.digitexp.experiments.keras_experiment.test_datasets import of, with_weights

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 3)).astype("float32")
Y = (X[:, 0] + RANDOM.normal(size=200) > 0).astype(int)
ENGINES = pytest.mark.parametrize("engine", ["compiled", "graph", "keras"])


def build(params):
    import keras

    layers = [keras.layers.Dense(4, "tanh"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.layers.Input((3,)), *layers])
    recall = keras.metrics.Recall(name="recall")
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy", recall])
    return model


def trained(experiment, data=None, **config):
    spec = TrialSpec("s", 0, 1, 7, {"epochs": 6, "batch_size": 20, **config})
    return experiment.train(spec, data or experiment.prepare(None, 0), lambda epoch, metrics: None)


@ENGINES
def test_weights_count_in_the_training_and_not_in_the_scores(engine):
    plain = trained(KerasExperiment(build, (X, Y), {}), engine=engine)
    ones = trained(KerasExperiment(build, (X, Y, np.ones(200)), {}), engine=engine)
    assert np.allclose(ones.history["val_loss"], plain.history["val_loss"], atol=1e-6)
    as_weights = trained(KerasExperiment(build, (X, Y, np.where(Y, 8.0, 1.0)), {}), engine=engine)
    as_classes = KerasExperiment(build, (X, Y), {}, class_weight={1: 8.0})
    as_classes = trained(as_classes, engine=engine)
    assert np.allclose(as_weights.history["val_loss"], as_classes.history["val_loss"], atol=1e-6)
    assert as_weights.history["val_recall"][-1] > plain.history["val_recall"][-1]


@ENGINES
def test_weights_of_examples_and_of_classes_are_multiplied(engine):
    both = KerasExperiment(build, (X, Y, np.full(200, 2.0)), {}, class_weight={1: 4.0})
    halved = KerasExperiment(build, (X, Y, np.where(Y, 8.0, 2.0)), {})
    both, halved = (trained(one, engine=engine).history["val_loss"] for one in (both, halved))
    assert np.allclose(both, halved, atol=1e-6)


def test_each_weight_stays_with_its_example_in_the_search_and_in_every_fold():
    numbers = np.arange(200)
    experiment = KerasExperiment(build, (numbers[:, None] * 1.0, numbers % 2, numbers), {})
    data = experiment.prepare(None, 0)
    parts = data.payload
    assert np.array_equal(parts.train[0][:, 0], parts.weights)
    assert np.array_equal(parts.validation[0][:, 0], parts.weights_of_validation)
    for fold in experiment.folds(data, 0, 4):
        own = fold.data.payload
        assert np.array_equal(own.train[0][:, 0], own.weights)
    other = KerasExperiment(build, (numbers[:, None] * 1.0, numbers % 2, numbers[::-1]), {})
    assert other.prepare(None, 0).digest != data.digest, "weights are data"


def test_parts_may_have_weights_each_and_so_may_datasets():
    train, validation = (X[:150], Y[:150], np.ones(150)), (X[150:], Y[150:])
    parts = KerasExperiment(build, (train, validation), {}).prepare(None, 0).payload
    assert len(parts.weights) == 150
    assert parts.weights_of_validation is None
    result = trained(of(with_weights), epochs=1)
    assert result.engine == "keras"
    assert np.isfinite(result.history["loss"]).all()


@ENGINES
def test_the_monitor_decides_which_epoch_is_best_and_when_to_stop(engine):
    options = {"metrics": {"recall": "maximize"}, "monitor": "val_recall"}
    experiment = KerasExperiment(build, (X, Y), {}, **options)
    result = trained(experiment, engine=engine, epochs=30, early_stopping_patience_epochs=4)
    recalls = result.history["val_recall"]
    best = int(np.argmax(recalls))
    assert result.metrics["best_epoch"] == best + 1
    assert result.metrics["best_val_recall"] == pytest.approx(max(recalls))
    assert result.stop_reason == "early_stopping"
    assert len(recalls) == best + 1 + 4


def test_a_plateau_and_a_value_that_is_no_number_follow_the_monitor():
    settings = {
        "early_stopping_patience_epochs": None, "epochs": 9, "learning_rate_schedule": "plateau",
        "learning_rate": 1.0, "plateau_patience_epochs": 2, "plateau_factor": 0.5,
        "min_learning_rate": 0.0, "plateau_monitor": "val_f1", "monitor": "val_f1",
        "monitor_sign": -1,
    }  # fmt: skip
    schedule, best, rates = Schedule(settings), [], []
    for epoch, value in enumerate([float("nan"), 0.1, 0.3, 0.2, 0.3, 0.4]):
        schedule.after_epoch(epoch, {"val_loss": -epoch, "val_f1": value})
        best.append(schedule.is_best)
        rates.append(schedule.rate)
    assert best == [True, True, True, False, False, True]
    assert rates == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"monitor": "val_f1"}, "monitor 'val_f1': is no metric of an epoch; there are val_acc"),
        ({"monitor": "best_val_loss"}, "there are val_accuracy, val_loss"),
        ({"gap": 3}, "gap 3: it is for ordered examples"),
        ({"gap": -1, "ordered": True}, "gap -1"),
    ],
)
def test_what_cannot_be_monitored_or_left_out_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        KerasExperiment(build, (X, Y), {}, **options)


def test_a_gap_lies_before_whatever_scores_or_stops_and_no_group_is_on_both_sides():
    numbers = np.arange(300)
    groups = numbers // 7
    experiment = KerasExperiment(
        build, (numbers[:, None] * 1.0, numbers % 2), {}, ordered=True, gap=5, groups=groups
    )
    data = experiment.prepare(None, 0)
    parts = data.payload
    assert parts.train[0].max() < parts.validation[0].min() - 5
    for seed in (0, 1):
        for fold in experiment.folds(data, seed, 4):
            own = fold.data.payload
            train, stopping, scoring = (
                one[0][:, 0].astype(int) for one in (own.train, own.validation, own.fold)
            )
            assert train.max() < stopping.min() - 5
            assert stopping.max() < scoring.min() - 5
            assert not {*groups[train]} & {*groups[stopping]}
            assert not {*groups[train], *groups[stopping]} & {*groups[scoring]}
            assert fold.groups is None, "one number a fold"
