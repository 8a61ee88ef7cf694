import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from digitexp.config import ConfigError, TrialConfig
from digitexp.metrics import accuracy, confusion_counts
from digitexp.models import count_parameters
from digitexp.training.outcome import EPOCH_METRICS, VAL_CROSS_ENTROPY, TrainingData
from digitexp.training.train import repeat_by_keras, train
from tests.digitexp.small_data import small_digits

BUSY = TrialConfig(
    units=(24, 12), dropout=0.2, l2=1e-3, learning_rate=0.02, epochs=25, clipnorm=1.0,
    early_stopping_patience_epochs=4, plateau_patience_epochs=1, seed=5,
)  # fmt: skip
"""Uses dropout, penalty, clipping, falling rates, early stopping; 600 / 32 leaves a rest."""


@pytest.fixture(scope="module")
def busy():
    return train(BUSY, small_digits())


def assert_equal_to_the_bit(first, second):
    assert first.history == second.history
    np.testing.assert_array_equal(first.arrays["confusion"], second.arrays["confusion"])
    np.testing.assert_array_equal(
        first.arrays["validation_logits"], second.arrays["validation_logits"]
    )
    for name, array in first.weights.items():
        np.testing.assert_array_equal(array, second.weights[name])


def test_the_same_seed_gives_the_same_bits_whatever_was_trained_before(busy):
    train(TrialConfig(units=(9,), dropout=0.5, epochs=2, seed=1), small_digits())
    assert_equal_to_the_bit(train(BUSY, small_digits()), busy)


def test_another_seed_gives_another_training(busy):
    other = train(replace(BUSY, seed=6, epochs=1), small_digits())
    assert other.history["loss"][0] != busy.history["loss"][0]


def test_every_epoch_has_all_metrics_and_counts(busy):
    epochs = len(busy.history["loss"])
    assert tuple(busy.history) == (*EPOCH_METRICS, VAL_CROSS_ENTROPY)
    assert {len(values) for values in busy.history.values()} == {epochs}
    assert busy.arrays["confusion"].shape == (epochs, 10, 10)
    np.testing.assert_array_equal(busy.arrays["confusion"].sum(axis=(1, 2)), [200] * epochs)
    shares = busy.arrays["confusion"].trace(axis1=1, axis2=2) / 200
    np.testing.assert_allclose(busy.history["val_accuracy"], shares)


def test_it_stopped_early_and_the_rate_fell_by_half(busy):
    assert (busy.outcome, busy.stop_reason) == ("complete", "early_stopping")
    best = int(np.argmin(busy.history["val_loss"]))
    assert len(busy.history["loss"]) == best + 1 + BUSY.early_stopping_patience_epochs
    rates = busy.history["learning_rate"]
    assert rates[0] == 0.02
    assert {round(b / a, 6) for a, b in pairwise(rates)} == {1.0, 0.5}


def test_headline_metrics_are_those_of_the_restored_best_weights(busy):
    labels, metrics = small_digits().validation_labels, busy.metrics
    best = int(np.argmin(busy.history["val_loss"]))
    assert metrics["best_epoch"] == best + 1
    assert metrics["best_val_loss"] == busy.history["val_loss"][best]
    assert metrics["best_val_cross_entropy"] == busy.history[VAL_CROSS_ENTROPY][best]
    assert metrics["best_val_accuracy"] == accuracy(busy.arrays["validation_logits"], labels)
    np.testing.assert_array_equal(
        busy.arrays["confusion"][best], confusion_counts(busy.arrays["validation_logits"], labels)
    )
    kernels = [array for name, array in busy.weights.items() if name.startswith("hidden")]
    penalty = BUSY.l2 * sum(np.sum(k.astype(float) ** 2) for k in kernels if k.ndim == 2)
    difference = metrics["best_val_loss"] - metrics["best_val_cross_entropy"]
    assert difference == pytest.approx(penalty, rel=1e-5)
    assert metrics["accuracy_gap"] == metrics["train_accuracy"] - metrics["best_val_accuracy"]
    assert metrics["best_val_accuracy"] > 0.8
    assert metrics["train_accuracy"] > 0.9
    assert metrics["parameters"] == 64 * 24 + 24 + 24 * 12 + 12 + 12 * 10 + 10
    assert {f"recall_{digit}" for digit in range(10)} < set(metrics)
    assert all(map(math.isfinite, metrics.values()))


@pytest.mark.tensorflow
def test_val_loss_and_logits_agree_with_keras_itself(busy):
    from digitexp.models import build_model, set_weights

    data = small_digits()
    model = build_model(BUSY, data.image_shape, data.n_classes)
    set_weights(model, busy.weights)
    loss, share = model.evaluate(data.validation_images, data.validation_labels, verbose=0)
    assert busy.metrics["best_val_loss"] == pytest.approx(loss, rel=1e-5)
    assert busy.metrics["best_val_accuracy"] == pytest.approx(share, abs=1e-6)


def test_without_early_stopping_all_epochs_are_trained_and_the_best_is_restored():
    config = TrialConfig(
        units=(24,), learning_rate=0.1, epochs=12, early_stopping_patience_epochs=None,
        plateau_patience_epochs=None, seed=2,
    )  # fmt: skip
    data = small_digits()
    outcome = train(config, data)
    assert (outcome.stop_reason, len(outcome.history["loss"])) == ("max_epochs", 12)
    assert set(outcome.history["learning_rate"]) == {0.1}
    best = int(np.argmin(outcome.history["val_loss"]))
    assert best < 11, "the case is only telling when a later epoch is worse"
    assert outcome.history["val_accuracy"][best] == outcome.metrics["best_val_accuracy"]


def test_the_plateau_may_watch_the_training_loss():
    config = TrialConfig(
        units=(8,), learning_rate=1.0, epochs=6, plateau_monitor="loss", plateau_patience_epochs=1,
        plateau_factor=0.1, min_learning_rate=0.05, early_stopping_patience_epochs=None,
    )  # fmt: skip
    outcome = train(config, small_digits())
    losses, rates = outcome.history["loss"], outcome.history["learning_rate"]
    rises = [e for e in range(1, 6) if losses[e] >= min(losses[:e]) - 1e-4]
    assert rises, "the case is only telling when the training loss rises"
    assert rates[rises[0]] == 1.0
    assert rises[0] == 5 or rates[rises[0] + 1] == pytest.approx(0.1)
    assert min(rates) >= 0.05


def test_on_epoch_sees_each_epoch_and_can_stop():
    seen = []

    def ask(epoch, metrics):
        seen.append((epoch, dict(metrics)))
        return "pruned" if epoch == 2 else None

    outcome = train(TrialConfig(units=(8,)), small_digits(), ask)
    assert (outcome.outcome, outcome.stop_reason) == ("stopped", "pruned")
    assert [epoch for epoch, _ in seen] == [0, 1, 2]
    assert seen[1][1] == {name: values[1] for name, values in outcome.history.items()}
    assert outcome.metrics["epochs"] == 3


def test_an_error_in_on_epoch_comes_out():
    def fail(_epoch, _metrics):
        raise RuntimeError("from on_epoch")

    with pytest.raises(RuntimeError, match="from on_epoch"):
        train(TrialConfig(units=(4,), epochs=1), small_digits(), fail)


def test_overflow_in_the_first_epoch_is_diverged_without_a_number():
    data = small_digits()
    loud = TrainingData(
        data.train_images * np.float32(1e38), data.train_labels,
        data.validation_images * np.float32(1e38), data.validation_labels,
        data.class_names, data.image_shape,
    )  # fmt: skip
    calls = []
    config = TrialConfig(units=(8,), l2=1.0, epochs=4)
    outcome = train(config, loud, lambda *call: calls.append(call))
    assert (outcome.outcome, outcome.stop_reason) == ("diverged", "diverged")
    assert (outcome.metrics, outcome.weights, [*outcome.arrays]) == ({}, None, ["confusion"])
    assert math.isnan(outcome.history["loss"][0])
    assert math.isnan(outcome.history["val_loss"][0])
    assert len(outcome.arrays["confusion"]) == 1
    assert calls == []


def test_a_later_divergence_keeps_the_best_epoch_before_it():
    config = TrialConfig(
        units=(64,) * 10, activation="leaky_relu", learning_rate=10.0, batch_size=600,
        early_stopping_patience_epochs=None, plateau_patience_epochs=None,
    )  # fmt: skip
    calls = []
    outcome = train(config, small_digits(), lambda epoch, _metrics: calls.append(epoch))
    epochs = len(outcome.history["loss"])
    assert (outcome.outcome, outcome.stop_reason) == ("diverged", "diverged")
    assert 1 < epochs < config.epochs, "ten layers and a rate of 10 overflow within a few epochs"
    assert calls == list(range(epochs - 1))
    assert math.isnan(outcome.history["val_loss"][-1])
    assert all(map(math.isfinite, outcome.history["val_loss"][:-1]))
    assert outcome.metrics["best_epoch"] == np.nanargmin(outcome.history["val_loss"]) + 1
    assert all(map(math.isfinite, outcome.metrics.values()))
    assert all(np.isfinite(array).all() for array in outcome.weights.values())


CNN = TrialConfig(architecture="cnn", filters=(6, 8), units=(16,), epochs=2, batch_size=50, seed=4)
VARIANTS = {
    "cnn": CNN,
    "normalised": replace(CNN, batch_norm=True, conv_dropout=0.1, convs_per_block=2),
    "augmented": replace(CNN, rotation=10.0, shift=0.1, zoom=0.1),
    "attacked": TrialConfig(units=(16,), adversarial_epsilon=0.1, epochs=2, seed=4),
    "mixed_bfloat16": TrialConfig(units=(16,), precision="mixed_bfloat16", epochs=2, seed=4),
    "mixed_float16": TrialConfig(units=(16,), precision="mixed_float16", epochs=2, seed=4),
    "tf_data": TrialConfig(units=(16,), input_pipeline="tf_data", epochs=2, seed=4),
    "smoothed": TrialConfig(units=(16,), label_smoothing=0.1, epochs=2, seed=4),
}
ALIKE = {"cnn", "mixed_float16"}
"""Those that go the way of another one: of `normalised`, and of `mixed_bfloat16`."""


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.nightly) if name in ALIKE else name for name in VARIANTS],
)
def test_every_kind_of_training_learns_and_has_a_seed_that_decides_it(name):
    config, data = replace(VARIANTS[name], learning_rate=0.01), small_digits()
    outcome = train(replace(config, epochs=6), data)
    assert outcome.engine == ("compiled" if name == "smoothed" else "keras")
    assert outcome.metrics["best_val_accuracy"] > 0.7
    shape = (data.image_shape, data.n_classes)
    assert outcome.metrics["parameters"] == count_parameters(config, *shape)
    again = train(config, data)
    for metric, values in again.history.items():
        assert values == outcome.history[metric][:2]


@pytest.mark.parametrize(
    "engine",
    ["compiled", pytest.param("keras", marks=[pytest.mark.slow, pytest.mark.tensorflow])],
)
def test_the_rate_follows_its_schedule(engine):
    config = TrialConfig(units=(8,), epochs=5, engine=engine, final_learning_rate_share=0.01)
    cosine, exponential = (
        train(replace(config, learning_rate_schedule=name), small_digits()).history["learning_rate"]
        for name in ("cosine", "exponential")
    )
    turns = [0.5 * (1 + math.cos(math.pi * epoch / 4)) for epoch in range(5)]
    expected = [0.001 * (0.01 + 0.99 * turn) for turn in turns]
    np.testing.assert_allclose(cosine, expected, rtol=1e-5)
    np.testing.assert_allclose(exponential, [1e-3 * 0.01 ** (e / 4) for e in range(5)], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_targeted_augmentation_is_for_the_classes_that_were_recognised_worst():
    config = TrialConfig(
        units=(12,), epochs=6, seed=1, rotation=10.0, shift=0.1, augment_worst_classes=2
    )
    outcome, data = train(config, small_digits()), small_digits()
    plain = train(replace(config, rotation=0.0, shift=0.0, augment_worst_classes=None), data)
    table = outcome.info["targeted"]
    before = np.array(table["right_before"])
    assert (
        before.tolist()
        == np.diag(plain.arrays["confusion"][int(plain.metrics["best_epoch"]) - 1]).tolist()
    )
    recalls = before / np.array(table["images"])
    assert sorted(recalls[[int(name) for name in table["classes"]]]) == sorted(recalls)[:2]
    best = int(outcome.metrics["best_epoch"]) - 1
    assert table["right_after"] == np.diag(outcome.arrays["confusion"][best]).tolist()
    assert outcome.metrics["train_seconds"] == outcome.timings["train_seconds"]
    assert outcome.timings["train_seconds"] > plain.timings["train_seconds"]  # that of both
    everywhere = train(replace(config, augment_worst_classes=None), data)
    assert everywhere.history != outcome.history


@pytest.mark.tensorflow
def test_where_nothing_is_learnt_at_first_no_class_is_called_worst():
    data = small_digits()
    loud = replace(data, train_images=data.train_images * np.float32(1e38))
    config = TrialConfig(units=(8,), l2=1.0, epochs=3, rotation=5.0, augment_worst_classes=1)
    outcome = train(config, loud)
    assert (outcome.outcome, outcome.info, len(outcome.history["loss"])) == ("diverged", {}, 1)


@pytest.mark.tensorflow
def test_keras_trains_the_same_net_from_the_same_weights_in_the_same_order():
    config = replace(BUSY, dropout=0.0, epochs=6)
    ours, keras = train(config, small_digits()), repeat_by_keras(config, small_digits())
    assert (ours.engine, keras.engine) == ("compiled", "keras")
    assert keras.stop_reason == ours.stop_reason
    for name in EPOCH_METRICS:
        np.testing.assert_allclose(keras.history[name], ours.history[name], rtol=1e-3, err_msg=name)
    for name, array in ours.weights.items():
        np.testing.assert_allclose(keras.weights[name], array, atol=1e-3, err_msg=name)


@pytest.mark.tensorflow
def test_keras_stops_where_it_is_told_to():
    stopped = repeat_by_keras(
        replace(BUSY, epochs=6), small_digits(), lambda epoch, _: "enough" if epoch == 2 else None
    )
    assert (stopped.outcome, stopped.stop_reason) == ("stopped", "enough")
    assert len(stopped.history["loss"]) == 3


def test_what_keras_has_trained_it_does_not_repeat():
    with pytest.raises(ConfigError, match="engine keras trained it"):
        repeat_by_keras(TrialConfig(engine="keras"), small_digits())
