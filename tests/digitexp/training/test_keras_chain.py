"""Which models of Keras are chains, what they are then, and why others are none."""

import numpy as np
import pytest

from digitexp.chain import Dense, Layer, Loss, Normalization

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def keras():
    from digitexp.tensorflow_setup import start_tensorflow

    start_tensorflow()
    import keras

    return keras


LABELS = np.arange(20) % 3


def chain_of(model, y=LABELS):
    from digitexp.training.keras_chain import chain_of

    return chain_of(model, y)


def compiled(keras, *layers, shape=(4,), loss=None, optimizer=None, metrics=(), **more):
    keras.backend.clear_session()
    model = keras.Sequential([keras.layers.Input(shape), *layers])
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or "adam", loss, metrics=list(metrics), **more)
    return model


def test_a_functional_model_is_a_chain_if_its_layers_are_one_after_the_other(keras):
    inputs = keras.layers.Input((4,))
    hidden = keras.layers.Dense(5, use_bias=False, name="hidden")(inputs)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    hidden = keras.layers.ReLU()(hidden)
    hidden = keras.layers.Dropout(0.25)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(3, name="output")(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(weight_decay=0.25), loss)
    found = chain_of(model)
    assert found.chain.layers == (
        Dense("hidden", 5, has_bias=False),
        Normalization("norm", 5, "relu", 0.25),
        Dense("output", 3),
    )
    assert (found.optimizer.name, found.optimizer.weight_decay) == ("adam", 0.25)
    assert [*found.variables] == [
        "hidden/kernel", "norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance",
        "output/kernel", "output/bias",
    ]  # fmt: skip


def test_weights_go_in_and_come_back(keras):
    model = compiled(keras, keras.layers.Dense(5, "relu"), keras.layers.Dense(3))
    found = chain_of(model)
    weights = found.weights()
    found.give_back({name: array + 1 for name, array in weights.items()})
    for name, array in chain_of(model).weights().items():
        np.testing.assert_array_equal(array, weights[name] + 1)


def test_activations_and_dropouts_of_their_own_are_those_of_the_layer_before(keras):
    layers = keras.layers
    model = compiled(
        keras, layers.Dropout(0.5, name="first"), layers.Dense(5, name="a"),
        layers.Activation("gelu"),
        layers.Dropout(0.25), layers.Activation("tanh", name="again"), layers.Dense(3, name="b"),
    )  # fmt: skip
    assert chain_of(model).chain.layers == (
        Layer("first", 4, dropout=0.5),
        Dense("a", 5, "gelu", 0.25),
        Layer("again", 5, "tanh"),
        Dense("b", 3),
    )


def test_what_comes_before_the_first_layer_is_applied_to_all_samples(keras):
    x = np.random.default_rng(0).integers(0, 256, (20, 2, 3)).astype("float32")
    normal = keras.layers.Normalization()
    normal.adapt(x / 255)
    model = compiled(
        keras, keras.layers.Rescaling(1 / 255), normal, keras.layers.Flatten(),
        keras.layers.Dense(3), shape=(2, 3),
    )  # fmt: skip
    found = chain_of(model)
    assert found.chain.features == 6
    samples = found.samples(x)
    weights = found.weights()
    ours = samples @ weights["dense/kernel"] + weights["dense/bias"]
    np.testing.assert_allclose(ours, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sparse_categorical_crossentropy", "sparse_categorical_crossentropy"),
        ("categorical_crossentropy", "categorical_crossentropy"),
        ("mse", "mean_squared_error"),
        ("MSE", "mean_squared_error"),
        ("mean_absolute_error", "mean_absolute_error"),
        ("huber", "huber"),
    ],
)
def test_losses_have_several_names(keras, given, expected):
    end = "softmax" if "cross" in given else "linear"
    model = compiled(keras, keras.layers.Dense(3, end), loss=given)
    assert chain_of(model).chain.loss == Loss(expected)


def test_metrics_have_the_values_that_keras_gives_them(keras):
    generator = np.random.default_rng(0)
    y = (generator.random((40, 1)) > 0.4).astype("float32")
    metrics = ["accuracy", "mae", keras.metrics.AUC(name="area"), keras.metrics.Precision(),
               keras.metrics.BinaryAccuracy(threshold=0.7, name="strict")]  # fmt: skip
    model = compiled(keras, keras.layers.Dense(1, "sigmoid"), loss="binary_crossentropy",
                     metrics=metrics)  # fmt: skip
    x = generator.normal(size=(40, 4)).astype("float32")
    found = chain_of(model, y)
    measured = found.measured(found.answers(y), model.predict(x, verbose=0))
    # Afterwards: the metrics are the model's own, and it does not begin with what they have seen.
    expected = model.evaluate(x, y, verbose=0, return_dict=True, batch_size=7)
    del expected["loss"]
    assert measured.keys() == expected.keys()
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize("one_hot", [True, False])
def test_accuracy_is_that_of_the_targets(keras, one_hot):
    y = np.eye(3)[LABELS] if one_hot else LABELS
    loss = keras.losses.CategoricalCrossentropy if one_hot else None
    model = compiled(keras, keras.layers.Dense(3), metrics=["accuracy"],
                     loss=loss and loss(from_logits=True))  # fmt: skip
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    found = chain_of(model, y)
    measured = found.measured(found.answers(y), model.predict(x, verbose=0))
    assert measured["accuracy"] == pytest.approx(model.evaluate(x, y, verbose=0)[1])


def own_metric(y, outputs):
    return outputs


def mean_squared_error(y, outputs):
    """It has a name of Keras's."""
    return outputs


def own_activation(z):
    return z


REFUSED = {
    "a layer of another kind": (
        lambda k: compiled(k, k.layers.GaussianNoise(0.1, name="noise"), k.layers.Dense(3)),
        "the layer noise is a GaussianNoise",
    ),
    "an activation of one's own": (
        lambda k: compiled(k, k.layers.Dense(3, own_activation, name="a")),
        "the activation own_activation of layer a is none of this engine",
    ),
    "another slope": (
        lambda k: compiled(k, k.layers.Dense(3), k.layers.LeakyReLU(0.3, name="leaky")),
        "the layer leaky has another negative_slope than this engine",
    ),
    "a penalty of the bias": (
        lambda k: compiled(k, k.layers.Dense(3, bias_regularizer="l2", name="a")),
        "the layer a has a bias_regularizer",
    ),
    "a penalty of activities": (
        lambda k: compiled(k, k.layers.Dense(3, activity_regularizer="l2", name="a")),
        "the layer a has an activity_regularizer",
    ),
    "another penalty": (
        lambda k: compiled(
            k,
            k.layers.Dense(3, kernel_regularizer=k.regularizers.OrthogonalRegularizer(), name="a"),
        ),
        "the layer a has the penalty OrthogonalRegularizer",
    ),
    "a constraint": (
        lambda k: compiled(k, k.layers.Dense(3, kernel_constraint="non_neg", name="a")),
        "has a constraint",
    ),
    "a normalisation that does not train": (
        lambda k: compiled(k, k.layers.BatchNormalization(trainable=False, name="norm"),
                           k.layers.Dense(3)),
        "the normalisation norm has another trainable than this engine",
    ),
    "a dropout of whole columns": (
        lambda k: compiled(k, k.layers.Dropout(0.5, noise_shape=(1, 4), name="d"),
                           k.layers.Dense(3)),
        "the layer d has a noise_shape",
    ),
    "a dropout of everything": (
        lambda k: compiled(k, k.layers.Dropout(1.0, name="d"), k.layers.Dense(3)),
        "the layer d drops everything",
    ),
    "a softmax within": (
        lambda k: compiled(k, k.layers.Dense(4, "softmax", name="a"), k.layers.Dense(3)),
        "the layer a is a softmax within the net",
    ),
    "inputs that are not flat": (
        lambda k: compiled(k, k.layers.Dense(3), shape=(2, 4)),
        "its inputs are of shape .None, 2, 4.; add a Flatten layer",
    ),
    "probabilities of no softmax": (
        lambda k: compiled(k, k.layers.Dense(3), loss="sparse_categorical_crossentropy"),
        "its loss takes probabilities, and no softmax gives them",
    ),
    "logits that are none": (
        lambda k: compiled(k, k.layers.Dense(3, "softmax")),
        "its loss takes logits, and a softmax gives probabilities",
    ),
    "a softmax before a difference": (
        lambda k: compiled(k, k.layers.Dense(3, "softmax"), loss="mse"),
        "a softmax comes before the loss mean_squared_error",
    ),
    "another loss": (
        lambda k: compiled(k, k.layers.Dense(3), loss="log_cosh"),
        "the loss log_cosh is none of this engine",
    ),
    "a loss of one's own": (
        lambda k: compiled(k, k.layers.Dense(3), loss=own_metric),
        "the loss own_metric is none of this engine",
    ),
    "a sum": (
        lambda k: compiled(k, k.layers.Dense(3),
                           loss=k.losses.MeanSquaredError(reduction="sum")),
        "its loss has the reduction sum",
    ),
    "a class that is ignored": (
        lambda k: compiled(k, k.layers.Dense(3), loss=k.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=1)),
        "its loss has an ignore_class",
    ),
    "a weight of the loss": (
        lambda k: compiled(k, k.layers.Dense(3), loss_weights=[2.0]),
        "its loss has a weight",
    ),
    "a schedule": (
        lambda k: compiled(k, k.layers.Dense(3), optimizer=k.optimizers.Adam(
            k.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))),
        "its learning rate follows a schedule",
    ),
    "another optimizer": (
        lambda k: compiled(k, k.layers.Dense(3), optimizer="nadam"),
        "the optimizer is Nadam",
    ),
    "a metric of one's own": (
        lambda k: compiled(k, k.layers.Dense(3), metrics=[own_metric]),
        "the metric own_metric is your own, and may be one of a batch",
    ),
    "a metric of one's own under a name of Keras's": (
        lambda k: compiled(k, k.layers.Dense(3), metrics=[mean_squared_error]),
        "the metric mean_squared_error is your own, and may be one of a batch",
    ),
    "metrics in a dict": (
        lambda k: compiled(k, k.layers.Dense(3, name="a"), metrics=[["accuracy"]]),
        "its metrics are no list",
    ),
    "weighted metrics": (
        lambda k: compiled(k, k.layers.Dense(3), weighted_metrics=["accuracy"]),
        "it has weighted_metrics",
    ),
    "two metrics of one name": (
        lambda k: compiled(k, k.layers.Dense(3), loss="mse", metrics=["mae", "mae"]),
        "two metrics have the name mae",
    ),
    "a metric of probabilities": (
        lambda k: compiled(k, k.layers.Dense(3, "softmax"), loss="sparse_categorical_crossentropy",
                           metrics=["sparse_categorical_crossentropy"]),
        "the metric sparse_categorical_crossentropy takes what comes before the last activation",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_chain_is_refused_with_its_reason(keras, case):
    from digitexp.training.keras_chain import NoChain

    make, reason = REFUSED[case]
    with pytest.raises(NoChain, match=reason):
        chain_of(make(keras))


def test_layers_that_are_shared_or_beside_each_other_are_no_chain(keras):
    from digitexp.training.keras_chain import NoChain

    inputs = keras.layers.Input((4,))
    layer = keras.layers.Dense(4)
    both = [layer(inputs), keras.layers.Dense(4)(inputs)]
    for outputs in (layer(layer(inputs)), keras.layers.Add()(both), both):
        model = keras.Model(inputs, outputs)
        model.compile("adam", "mse")
        with pytest.raises(NoChain, match="its layers are no chain"):
            chain_of(model)


def test_a_model_that_calls_its_layers_otherwise_is_no_chain(keras):
    from digitexp.training.keras_chain import NoChain

    class Doubling(keras.Sequential):
        def call(self, inputs, training=None):
            return 2 * super().call(inputs, training=training)

    model = Doubling([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(NoChain, match="the model is a Doubling, which may call its layers otherw"):
        chain_of(model)


def test_a_layer_that_gives_several_or_is_in_another_model_too_is_looked_at(keras):
    from digitexp.training.keras_chain import NoChain

    class Two(keras.layers.Layer):
        def call(self, inputs):
            return inputs, 2 * inputs

    inputs, layer = keras.layers.Input((4,)), keras.layers.Dense(3, name="both")
    layer(keras.layers.Input((4,)))
    shared = keras.Model(inputs, layer(inputs))
    shared.compile("adam", "mse")
    assert chain_of(shared, np.zeros((20, 3))).chain.layers == (Dense("both", 3),)
    several = keras.Model(inputs, keras.layers.Dense(3)(Two(name="two")(inputs)[1]))
    several.compile("adam", "mse")
    with pytest.raises(NoChain, match="the layer two is a Two"):
        chain_of(several)


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.zeros((20, 2, 4)), LABELS, r"its inputs are of shape \(20, 2, 4\)"),
        ({"a": np.zeros((20, 4))}, LABELS, "its inputs are no single array of numbers"),
        (np.zeros((20, 4)), np.eye(3)[LABELS], r"its labels are of shape \(20, 3\)"),
        (np.zeros((20, 4)), [LABELS], "its targets are no single array of numbers"),
    ],
)
def test_data_of_another_shape_are_refused(keras, x, y, reason):
    from digitexp.training.keras_chain import NoChain

    found = chain_of(compiled(keras, keras.layers.Dense(3)), y)
    with pytest.raises(NoChain, match=reason):
        (found.samples(x), found.answers(y))


def test_targets_of_one_output_may_be_flat(keras):
    from digitexp.training.keras_chain import NoChain

    found = chain_of(compiled(keras, keras.layers.Dense(1), loss="mse"), np.zeros(20))
    assert found.answers(np.zeros(20)).shape == (20, 1)
    with pytest.raises(NoChain, match=r"its targets are of shape \(20, 2\), its outputs 1"):
        found.answers(np.zeros((20, 2)))
