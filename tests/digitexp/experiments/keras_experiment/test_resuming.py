"""A trial of a user's model goes on from its checkpoint, whatever engine and callbacks it has."""

import itertools
import random

import numpy as np
import pytest

from digitexp.keras_experiment import KerasExperiment
from sweeps.executors.attempt import run_attempt
from sweeps.executors.checkpoint import CheckpointPlace
from sweeps.experiment import TrialSpec
from sweeps.runner.replaying import digest_of
from tests.digitexp.experiments.keras_experiment.own import build_cnn, images, shuffled

pytestmark = pytest.mark.tensorflow


def build(params):
    import keras

    layers = [
        keras.layers.Dense(12, "relu"),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(2),
    ]
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    optimizer = {
        "adam": lambda: keras.optimizers.Adam(0.02),
        "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
        "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        "amsgrad": lambda: keras.optimizers.Adam(0.02, amsgrad=True),
    }[params["optimizer"]]()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def arrays():
    x = np.random.default_rng(0).normal(size=(80, 4)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int64")


def decaying(params):
    """Callbacks with a state: a class of Keras's, one of plain attributes, one with methods."""
    import keras

    class Momentary(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.best = None

        def on_epoch_end(self, epoch, logs=None):
            self.best = min(logs["val_loss"], self.best or 9.0)
            rate = 0.05 * min(1.0, self.best) * random.uniform(0.9, 1.0)
            self.model.optimizer.learning_rate = rate

    class WithMethods(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.set_state({"epochs": 0})

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += 1
            rate = self.model.optimizer.learning_rate
            self.model.optimizer.learning_rate = rate * (1 + 0.1 * next(self.factors))

        def get_state(self):
            return {"epochs": self.epochs}

        def set_state(self, state):
            self.epochs = state["epochs"]
            self.factors = itertools.cycle([1, -1, 2, -2])
            self.factors = itertools.islice(self.factors, self.epochs, None)

    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    return [schedule, Momentary(), WithMethods()]


def holding(params):
    import keras

    class Holding(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.log = [object()]

    return [Holding()]


PARAMETERS = {"optimizer": "adam"}
SMALL = KerasExperiment(build, arrays, PARAMETERS)
CALLED = KerasExperiment(build, arrays, PARAMETERS, callbacks=decaying)
HELD = KerasExperiment(build, arrays, PARAMETERS, callbacks=holding)
BASIC = {"epochs": 6, "batch_size": 16, "early_stopping_patience_epochs": 4}


def attempt(experiment, config, place=None, last=None):
    """Train until an epoch has ended, then raise, as if the process had been killed there."""
    reported = []

    def on_epoch(epoch, metrics):
        reported.append((epoch, metrics["val_loss"]))
        if epoch == last:
            raise SystemExit

    spec = TrialSpec("s", trial=0, attempt=1, seed=3, config=config)
    data = experiment.prepare(None, 0)
    return run_attempt(experiment, spec, data, on_epoch, None, None, place), reported


def assert_same(experiment, config, tmp_path, kills=None):
    kills = kills or ((1, 2, 4) if config.get("engine") in {"graph", "compiled"} else (2,))
    place = CheckpointPlace(tmp_path / "0000", "mine", 0.0)
    alone, _ = attempt(experiment, config)
    for last in kills:
        attempt(experiment, config, place, last)
    again, reported = attempt(experiment, config, place)
    assert (again.error, again.unsaved, again.resumed_from) == (None, None, kills[-1])
    assert again.result.engine == alone.result.engine
    assert again.result.history == alone.result.history
    assert reported == list(enumerate(alone.result.history["val_loss"]))
    assert digest_of(again.result) == digest_of(alone.result)
    for name, value in alone.result.metrics.items():
        assert name.endswith("_seconds") or again.result.metrics[name] == value
    return alone.result


@pytest.mark.parametrize(
    ("optimizer", "engine"),
    [
        ("adam", "compiled"),
        ("rmsprop", "compiled"),
        ("nesterov", "compiled"),
        ("adam", "graph"),
        pytest.param("rmsprop", "graph", marks=pytest.mark.slow),
        pytest.param("nesterov", "keras", marks=pytest.mark.nightly),
        pytest.param("amsgrad", "keras", marks=pytest.mark.nightly),
    ],
)
def test_every_engine_goes_on_to_the_bit(optimizer, engine, tmp_path):
    config = {**BASIC, "optimizer": optimizer}
    if optimizer != "amsgrad":  # which no graph can have
        config["engine"] = engine
    assert assert_same(SMALL, config, tmp_path).engine == engine


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["graph", pytest.param("keras", marks=pytest.mark.nightly)])
def test_callbacks_with_a_state_go_on_to_the_bit(engine, tmp_path):
    found = assert_same(CALLED, {**BASIC, "engine": engine}, tmp_path)
    assert len(set(found.history["learning_rate"])) > 4


@pytest.mark.slow
def test_shuffled_datasets_are_read_again_up_to_the_epoch(tmp_path):
    assert assert_same(shuffled, {"epochs": 5, "filters": 2}, tmp_path, (2, 3)).engine == "keras"


@pytest.mark.slow
def test_a_callback_that_looks_at_batches_goes_on_with_those_that_it_has_seen(tmp_path):
    def counting(params):
        import keras

        class Counting(keras.callbacks.Callback):
            seen = 0

            def on_train_batch_end(self, batch, logs=None):
                self.seen += 1
                self.model.optimizer.learning_rate = 0.05 / self.seen

        return [Counting()]

    experiment = KerasExperiment(build, arrays, PARAMETERS, callbacks=counting)
    found = assert_same(experiment, {**BASIC, "epochs": 5}, tmp_path)
    assert found.history["learning_rate"][4] == pytest.approx(0.05 / 20)  # 4 batches an epoch


@pytest.mark.parametrize("engine", ["graph", pytest.param("keras", marks=pytest.mark.slow)])
def test_a_callback_that_cannot_be_saved_lets_the_trial_begin_anew_and_it_is_said(engine, tmp_path):
    place = CheckpointPlace(tmp_path / "0000", "mine", 0.0)
    config = {**BASIC, "engine": engine, "epochs": 3}
    alone, _ = attempt(HELD, config)
    killed, _ = attempt(HELD, config, place, last=1)
    why = "the state of callback Holding cannot be saved, for its attribute log (object)"
    assert killed.unsaved.startswith(why)
    assert place.said().startswith(f"begins anew: {why}")
    again, reported = attempt(HELD, config, place)
    assert (again.resumed_from, len(reported)) == (None, 3)
    assert again.result.history == alone.result.history


@pytest.mark.parametrize("experiments", [(SMALL, CALLED), (CALLED, SMALL)])
def test_a_state_of_another_engine_lets_the_trial_begin_anew(experiments, tmp_path):
    """A callback was added, or taken away: the model is trained by another engine than before."""
    place = CheckpointPlace(tmp_path / "0000", "mine", 0.0)
    before, now = experiments
    attempt(before, BASIC, place, last=2)
    again, reported = attempt(now, BASIC, place)
    assert (again.error, again.resumed_from, reported[0][0]) == (None, None, 0)
    assert again.result.history == attempt(now, BASIC)[0].result.history


@pytest.mark.slow
def test_a_step_that_draws_what_nobody_can_read_is_not_saved(tmp_path):
    import keras
    import tensorflow as tf

    class Noise(keras.layers.Layer):
        def call(self, inputs, training=False):
            return inputs + tf.random.normal(tf.shape(inputs)) if training else inputs

    def noisy(params):
        model = keras.Sequential([keras.layers.Input((4,)), Noise(), keras.layers.Dense(2)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"])
        return model

    place = CheckpointPlace(tmp_path / "0000", "mine", 0.0)
    experiment = KerasExperiment(noisy, arrays, {})
    for engine in ("keras", "auto"):
        found, _ = attempt(experiment, {**BASIC, "engine": engine, "epochs": 3}, place)
        drawn = "its step has the operation RandomStandardNormal, whose state is unknown"
        assert (found.error, found.unsaved) == (None, drawn)


@pytest.mark.slow
def test_a_model_with_layers_of_images_goes_on(tmp_path):
    def few():
        x, y = images()
        return x[:100], y[:100]

    experiment = KerasExperiment(build_cnn, few, {"filters": 2, "learning_rate": 1e-2})
    assert_same(experiment, {"epochs": 5}, tmp_path, (2,))


def decayed(params):
    """A model whose optimizer knows the number of epochs."""
    import keras

    model = build(params)
    rate = keras.optimizers.schedules.CosineDecay(0.02, decay_steps=4 * params["epochs"])
    model.compile(keras.optimizers.Adam(rate), model.loss, metrics=["accuracy"])
    return model


DECAYED = KerasExperiment(decayed, arrays, PARAMETERS)


@pytest.mark.parametrize(
    ("experiment", "engine", "went_on"),
    [
        (SMALL, "compiled", 3),
        (SMALL, "graph", 3),
        pytest.param(SMALL, "keras", 3, marks=pytest.mark.nightly),
        pytest.param(DECAYED, "graph", None, marks=pytest.mark.slow),
        # who knows what a callback of the user's knows
        pytest.param(CALLED, "graph", None, marks=pytest.mark.slow),
    ],
    ids=["compiled", "graph", "keras", "schedule", "callbacks"],
)
def test_more_epochs_go_on_where_their_number_decided_none_before(
    experiment, engine, went_on, tmp_path
):
    last = tmp_path / "0000.last"
    few = {**BASIC, "engine": engine, "epochs": 3, "early_stopping_patience_epochs": None}
    many = {**few, "epochs": 5}
    attempt(experiment, few, CheckpointPlace(tmp_path / "0000", "mine", 0.0, last))
    again, _ = attempt(experiment, many, CheckpointPlace(last, "mine", 0.0))
    alone, _ = attempt(experiment, many)
    assert (again.error, again.resumed_from) == (None, went_on)
    assert digest_of(again.result) == digest_of(alone.result)
