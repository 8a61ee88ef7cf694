"""Which engine trains a user's model, and that it is said."""

import numpy as np
import pytest

from digitexp.keras_experiment import KerasExperiment
from sweeps.executors.attempt import checked
from sweeps.experiment import TrialSpec

pytestmark = pytest.mark.tensorflow


def build(params):
    import keras

    layers = [keras.layers.Dense(params["units"], "relu"), keras.layers.Dense(2)]
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    adam = keras.optimizers.Adam(params["learning_rate"], amsgrad=params["amsgrad"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(adam, loss, metrics=["accuracy"])
    return model


def arrays():
    x = np.random.default_rng(0).normal(size=(80, 4)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int64")


PARAMETERS = {"units": 4, "learning_rate": 0.01, "amsgrad": False}


def trained(experiment=None, **config):
    experiment = experiment or KerasExperiment(build, arrays, PARAMETERS)
    data = experiment.prepare(None, 0)
    spec = TrialSpec("s", trial=0, attempt=1, seed=3, config={"epochs": 2, **config})
    return checked(experiment.train(spec, data, lambda epoch, metrics: None)), experiment, data


def test_the_graph_engine_trains_what_it_can_and_says_so():
    result, experiment, data = trained()
    assert (result.engine, len(result.history["val_loss"])) == ("graph", 2)
    assert "one call" in result.engine_reason
    assert experiment.plan({}, data).engine == "graph"


@pytest.mark.slow
def test_what_it_cannot_goes_to_model_fit_with_the_reason():
    result, _, _ = trained(amsgrad=True)
    assert (result.engine, result.engine_reason) == ("keras", "the optimizer has amsgrad")


def test_an_engine_can_be_asked_for():
    result, experiment, data = trained(engine="keras")
    assert (result.engine, result.engine_reason) == ("keras", "asked for")
    assert experiment.plan({"engine": "keras"}, data).engine == "keras"
    with pytest.raises(ValueError, match="graph cannot train this model: the optimizer has amsgr"):
        trained(amsgrad=True, engine="graph")


@pytest.mark.parametrize("engine", ["graph", "keras"])
def test_callbacks_of_the_users_run_in_every_engine(engine):
    import keras

    heard = []

    def callbacks(params):
        return [keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: heard.append([*logs]))]

    experiment = KerasExperiment(build, arrays, PARAMETERS, callbacks=callbacks)
    result, _, _ = trained(experiment, engine=engine)
    assert result.engine == engine
    assert len(heard) == 2
    assert {"loss", "val_accuracy", "learning_rate"} <= set(heard[0])


def of_keras(keras):
    return [keras.callbacks.EarlyStopping("val_accuracy", mode="min", patience=1)]


def of_the_user(keras):
    class Content(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    return [Content()]


def of_several(keras):
    return [keras.callbacks.LambdaCallback(), *of_the_user(keras)]


@pytest.mark.parametrize("engine", ["graph", pytest.param("keras", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (of_keras, "EarlyStopping(val_accuracy)"),
        (of_the_user, "Content"),
        (of_several, "callback"),
    ],
)
def test_a_callback_of_the_users_that_ends_a_training_is_named(make, reason, engine):
    import keras

    experiment = KerasExperiment(build, arrays, PARAMETERS, callbacks=lambda params: make(keras))
    result, _, _ = trained(experiment, engine=engine, epochs=30)
    assert (result.outcome, result.stop_reason) == ("complete", reason)
    assert len(result.history["loss"]) < 30


@pytest.mark.slow
def test_a_callback_that_looks_at_batches_hears_of_each():
    import keras

    heard = []

    class Batches(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            heard.append(batch)

    experiment = KerasExperiment(build, arrays, PARAMETERS, callbacks=lambda params: [Batches()])
    result, _, _ = trained(experiment, batch_size=16)
    assert (result.engine, result.engine_reason) == (
        "keras", "the callback Batches looks at batches"
    )  # fmt: skip
    assert heard == [0, 1, 2, 3] * 2
