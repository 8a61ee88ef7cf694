"""Which engine trains a user's model, and that it is said."""

import json

import numpy as np
import pytest

from digitexp.keras_experiment import KerasExperiment
from sweeps.executors.attempt import checked
from sweeps.experiment import MetricInfo, TrialSpec

pytestmark = pytest.mark.tensorflow


def build(params):
    import keras

    layers = [keras.layers.Dense(params["units"], "relu"), keras.layers.Dense(2)]
    if params["noise"]:
        layers.insert(0, keras.layers.GaussianNoise(params["noise"]))
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    adam = keras.optimizers.Adam(params["learning_rate"], amsgrad=params["amsgrad"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(adam, loss, metrics=["accuracy"])
    return model


def arrays():
    x = np.random.default_rng(0).normal(size=(80, 4)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int64")


PARAMETERS = {"units": 4, "learning_rate": 0.01, "amsgrad": False, "noise": 0.0}


def trained(experiment=None, **config):
    experiment = experiment or KerasExperiment(build, arrays, PARAMETERS)
    data = experiment.prepare(None, 0)
    spec = TrialSpec("s", trial=0, attempt=1, seed=3, config={"epochs": 2, **config})
    return checked(experiment.train(spec, data, lambda epoch, metrics: None)), experiment, data


def test_a_chain_of_dense_layers_is_compiled_and_it_is_said():
    result, experiment, data = trained()
    assert (result.engine, len(result.history["val_loss"])) == ("compiled", 2)
    assert "one call of machine code" in result.engine_reason
    assert "compiled if the model is a chain of dense layers" in experiment.plan({}, data).reason


def test_what_is_no_chain_goes_to_the_graph_engine_with_the_reason():
    result, _, _ = trained(noise=0.1)
    assert result.engine == "graph"
    assert "not compiled, for the layer gaussian_noise is a GaussianNoise" in result.engine_reason


def test_both_train_alike():
    """From the same seed they take other orders: what comes out is as good."""
    found = {engine: trained(engine=engine, epochs=40)[0] for engine in ("compiled", "graph")}
    for name, result in found.items():
        assert result.engine == name
    one, other = (found[name] for name in ("compiled", "graph"))
    assert one.history.keys() == other.history.keys()
    assert one.metrics.keys() == other.metrics.keys()
    assert {k: v.shape for k, v in one.weights.items()} == {
        k: v.shape for k, v in other.weights.items()
    }
    assert {k: (v.shape, v.dtype) for k, v in one.arrays.items()} == {
        k: (v.shape, v.dtype) for k, v in other.arrays.items()
    }
    assert one.metrics["best_val_accuracy"] > 0.8 < other.metrics["best_val_accuracy"]


def test_a_compiled_model_answers_in_keras_as_it_was_recorded():
    result, experiment, data = trained(epochs=10)
    model = experiment.load_model({}, result.weights, result.info)
    for name, array in experiment.recomputed(model, {}, data).items():
        np.testing.assert_allclose(array, result.arrays[name], atol=1e-6)


def test_callbacks_may_look_at_the_model():
    import keras

    experiment = KerasExperiment(
        build, arrays, PARAMETERS, callbacks=lambda params: of_keras(keras)
    )
    result, _, _ = trained(experiment)
    assert result.engine == "graph"
    assert "not compiled, for a callback may look at the model" in result.engine_reason


def one_more(params):
    import keras

    return [keras.callbacks.Callback()]


@pytest.mark.parametrize("callbacks", [None, one_more])
@pytest.mark.parametrize("config", [{}, {"noise": 0.1}, {"amsgrad": True}])
def test_a_plan_names_the_engine_that_trains_and_its_reason(config, callbacks):
    experiment = KerasExperiment(build, arrays, PARAMETERS, callbacks=callbacks)
    result, _, data = trained(experiment, **config)
    plan = experiment.recognise(config, data)
    assert plan.engine == result.engine
    assert plan.reason == f"{result.engine_reason}; compile it with: accuracy"


def test_a_plan_names_the_engine_that_was_asked_for_and_refuses_what_is_no_model():
    experiment = KerasExperiment(build, arrays, PARAMETERS)
    data = experiment.prepare(None, 0)
    asked = {"engine": "graph"}
    assert experiment.recognise(asked, data) == experiment.plan(asked, data)
    with pytest.raises(ValueError, match="returned list, not"):
        KerasExperiment(lambda params: [], arrays, PARAMETERS).recognise({}, data)


@pytest.mark.slow
def test_what_it_cannot_goes_to_model_fit_with_the_reason():
    result, _, _ = trained(amsgrad=True)
    assert (result.engine, result.engine_reason) == ("keras", "the optimizer has amsgrad")


def test_an_engine_can_be_asked_for():
    result, experiment, data = trained(engine="keras")
    assert (result.engine, result.engine_reason) == ("keras", "asked for")
    assert experiment.plan({"engine": "keras"}, data).engine == "keras"
    assert trained(engine="graph")[0].engine_reason.startswith("an epoch is one call, a structure")
    for engine in ("graph", "compiled"):
        with pytest.raises(ValueError, match=f"{engine} cannot train this model: the optimizer ha"):
            trained(amsgrad=True, engine=engine)


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


@pytest.mark.parametrize(
    "engine", ["compiled", "graph", pytest.param("keras", marks=pytest.mark.slow)]
)
def test_a_class_that_does_not_count_is_told_less_often(engine):
    parameters, told = {**PARAMETERS, "weight": 1.0}, []
    experiment = KerasExperiment(
        build, arrays, parameters, class_weight=lambda params: {0: params["weight"]}
    )
    for weight in (1.0, 0.0):
        result, _, _ = trained(experiment, engine=engine, weight=weight, epochs=60)
        assert result.engine == engine
        told.append(result.arrays["confusion"][0][:, 0].sum())
    assert told[0] > told[1]
    by_default = trained(engine=engine, epochs=60)[0]
    assert by_default.history["val_loss"] != result.history["val_loss"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({2: 1.0}, "class_weight: 2: 1.0; give finite numbers from 0 for the classes 0 to 1"),
        ({0: -1.0}, "class_weight: 0: -1.0; give finite"),
        ({1: np.nan}, "class_weight: 1: nan; give finite"),
    ],
)
def test_a_class_weight_that_is_none_is_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        trained(KerasExperiment(build, arrays, PARAMETERS, class_weight=weights))


def test_class_weights_are_for_classes():
    with pytest.raises(ValueError, match="class_weight: it is for a single output that is a class"):
        KerasExperiment(build, arrays, PARAMETERS, task="regression", class_weight={0: 1.0})


def test_classes_have_names_and_recalls():
    experiment = KerasExperiment(build, arrays, PARAMETERS, class_names=["not it", "it"])
    assert experiment.metrics["recall_it"] == MetricInfo(
        "maximize", None, "share of it recognised", shown=False
    )
    result, _, data = trained(experiment)
    (counts,) = result.arrays["confusion"]
    found = [result.metrics[name] for name in ("recall_not_it", "recall_it")]
    assert found == (np.diag(counts) / counts.sum(axis=1)).tolist()
    assert result.info["class_names"] == data.info["class_names"] == ["not it", "it"]
    files = experiment.draw(TrialSpec("s", 0, 1, 0, {}), result)
    assert json.loads(files["confusion_matrix.json"])["labels"] == ["not it", "it"]


def test_names_that_fit_no_classes_are_refused():
    with pytest.raises(ValueError, match="3 names, but the examples have 2 classes"):
        KerasExperiment(build, arrays, PARAMETERS, class_names="abc").prepare(None, 0)
    with pytest.raises(ValueError, match="class_names: they are for a single output that is a cl"):
        KerasExperiment(build, arrays, PARAMETERS, task="regression", class_names=["a"])
