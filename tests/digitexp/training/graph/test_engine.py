"""The graph engine against `model.fit`: the same model, data order and dropout masks."""

import numpy as np
import pytest
from hypothesis import given

from tests.digitexp.training.graph.drawn import Case, build, cases, data, of_float64, sampled

pytestmark = pytest.mark.tensorflow


def courses(case, epochs=3):
    """Train by both engines; return weights and logs of each epoch, by engine."""
    import keras

    from digitexp.tensorflow_setup import known_warnings_ignored
    from digitexp.training.graph import engine

    class Course(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.logs, self.weights = [], []

        def on_epoch_end(self, epoch, logs=None):
            self.logs.append(dict(logs))
            self.weights.append(self.model.get_weights())

    found = {}
    with of_float64(), known_warnings_ignored():
        train, validation = data(case)
        for name in ("graph", "keras"):
            model, course = build(case), Course()
            common = {"batch_size": case.batch_size, "epochs": epochs, "callbacks": [course]}
            if name == "graph":
                engine.fit(model, train, validation, **common)
            else:
                x, y, *weight = train
                model.fit(
                    x, y, sample_weight=weight[0] if weight else None, shuffle=False,
                    validation_data=validation, verbose=0, **common,
                )  # fmt: skip
            found[name] = course
    return found["graph"], found["keras"]


DIVERGED = 1e6
"""A loss above it: weights are no longer compared, metrics are."""


def check_equal(case):
    graph, keras = courses(case)
    for of_graph, of_keras, logs in zip(graph.weights, keras.weights, keras.logs, strict=True):
        if not logs["loss"] < DIVERGED:
            break  # a gradient that is nothing but rounding is of any size now
        for one, other in zip(of_graph, of_keras, strict=True):
            if one.dtype.kind == "f":
                # A bias before a normalisation has no gradient but rounding.
                scale = max(np.abs(other).max(), 0.1)
                np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=1e-8)
            else:  # states of random generators
                np.testing.assert_array_equal(one, other)
    for of_graph, of_keras in zip(graph.logs, keras.logs, strict=True):
        assert [*of_graph] == [*of_keras]
        for name, value in of_keras.items():
            assert of_graph[name] == pytest.approx(value, rel=1e-8, abs=1e-10, nan_ok=True), name


@pytest.mark.slow
@sampled
@given(case=cases())
def test_it_computes_what_model_fit_computes(case):
    check_equal(case)


@pytest.mark.slow
def test_it_diverges_as_model_fit_does():
    drawn = (0.0, 0.32, 0.39, 0.9, 0.39, 0.32, 0.32, 0.65, 0.51, 0.5, 0.999, 0.0)
    case = Case("image", drawn, "sgd", "own", "none", batch_size=16, seed=392589)
    _, keras = courses(case)
    assert keras.logs[1]["loss"] > DIVERGED
    check_equal(case)


def plain(units=8, dropout=0.2, l2=0.01, rate=0.01, **compiled):
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(5)
    layers = [
        keras.layers.Input((6,)),
        keras.layers.Dense(units, "relu", kernel_regularizer=keras.regularizers.L2(l2)),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(3),
    ]
    model = keras.Sequential(layers)
    model.compile(**{
        "optimizer": keras.optimizers.Adam(rate),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "metrics": ["accuracy"],
    } | compiled)  # fmt: skip
    return model


def samples(n=64):
    generator = np.random.default_rng(1)
    return generator.normal(size=(n, 6)).astype("float32"), generator.integers(0, 3, n)


def fit(model, **options):
    from digitexp.training.graph import engine

    engine.fit(
        model, samples(), samples(20),
        **{"batch_size": 16, "epochs": 2, "callbacks": []} | options,
    )  # fmt: skip
    return model


@pytest.fixture
def traces(monkeypatch):
    """The traces that are made, none to begin with."""
    from collections import OrderedDict

    from digitexp.training.graph import engine

    found = OrderedDict()
    monkeypatch.setattr(engine, "_graphs", found)
    return found


@pytest.mark.slow
def test_widths_and_numbers_share_a_trace(traces):
    from digitexp.tensorflow_setup import known_warnings_ignored

    with of_float64(), known_warnings_ignored():
        for settings in ({}, {"units": 13}, {"dropout": 0.5, "l2": 0.1}, {"rate": 0.1}):
            model, other = fit(plain(**settings)), plain(**settings)
            other.fit(
                *samples(), validation_data=samples(20), batch_size=16, epochs=2, shuffle=False,
                verbose=0,
            )  # fmt: skip
            for one, again in zip(model.get_weights(), other.get_weights(), strict=True):
                np.testing.assert_allclose(one, again, rtol=1e-8, atol=1e-10)
    assert len(traces) == 1


@pytest.mark.slow
def test_what_makes_another_graph_has_a_trace_of_its_own(traces):
    import keras

    fit(plain())
    for number, settings in enumerate([
        {"dropout": 0.0},
        {"optimizer": keras.optimizers.Adam(0.01, clipnorm=1.0)},
        {"optimizer": keras.optimizers.SGD(0.01)},
        {"metrics": []},
    ]):  # fmt: skip
        fit(plain(**settings))
        assert len(traces) == number + 2, settings


def test_a_number_of_a_loss_that_its_configuration_does_not_tell_is_seen(traces):
    """Keras's Huber has a delta, which `get_config` leaves out."""
    import keras

    losses, (x, y) = [], samples()
    for delta in (10.0, 0.1):
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.0), keras.losses.Huber(delta))
        losses.append(fit_on(model, (x, 5.0 * y)))
        assert losses[-1] == pytest.approx(model.evaluate(x, 5.0 * y, verbose=0), rel=1e-5)
    assert losses[0] > 2 * losses[1]


def fit_on(model, data):
    """Train an epoch, and return its loss."""
    import keras

    from digitexp.training.graph import engine

    history = keras.callbacks.History()
    engine.fit(model, data, None, batch_size=16, epochs=1, callbacks=[history])
    return history.history["loss"][0]


def test_sizes_that_a_layer_has_in_its_code_are_part_of_the_structure(traces):
    import keras

    for units in (8, 13):
        keras.backend.clear_session()
        layers = [keras.layers.Dense(units), keras.layers.BatchNormalization()]
        model = keras.Sequential([keras.layers.Input((6,)), *layers, keras.layers.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss)
        fit(model)
    assert len(traces) == 2


def test_code_of_the_users_is_traced_for_each_model(traces):
    def own(y, outputs):
        from keras import ops

        return ops.sum(ops.square(outputs), axis=-1)

    fit(plain(loss=own))
    assert not traces


def test_traces_are_kept_for_the_structures_used_last(traces, monkeypatch):
    from digitexp.training.graph import engine

    monkeypatch.setattr(engine, "KEPT", 1)
    fit(plain())
    fit(plain(metrics=[]))
    assert len(traces) == 1


def test_the_same_order_and_seed_give_the_same_bits():
    def trained(seed):
        generator = np.random.default_rng(seed)
        return fit(plain(), order=lambda _: generator.permutation(64)).get_weights()

    first, again, other = trained(1), trained(1), trained(2)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first[0], other[0])


def test_predictions_are_those_of_the_model():
    from digitexp.training.graph import engine

    model, (x, _) = fit(plain()), samples(1100)
    np.testing.assert_allclose(engine.predict(model, x), model(x), rtol=1e-5, atol=1e-6)


def reasons():
    import keras

    class OwnMetric(keras.metrics.MeanSquaredError):
        pass

    optimizers = keras.optimizers
    return {
        "optimizer is Lion": {"optimizer": optimizers.Lion()},
        "has amsgrad": {"optimizer": optimizers.Adam(amsgrad=True)},
        "has use_ema": {"optimizer": optimizers.SGD(use_ema=True)},
        "has gradient_accumulation_steps": {
            "optimizer": optimizers.Adam(gradient_accumulation_steps=2)
        },
        "run_eagerly": {"run_eagerly": True},
        "metric mine is a class of your own": {"metrics": [OwnMetric("mine")]},
        "learning rate is a function": {"optimizer": optimizers.Adam(lambda: 0.01)},
    }


@pytest.mark.parametrize("reason", [
    "optimizer is Lion", "has amsgrad", "has use_ema", "has gradient_accumulation_steps",
    "run_eagerly", "metric mine is a class of your own", "learning rate is a function",
])  # fmt: skip
def test_what_cannot_be_traced_safely_is_refused_with_its_reason(reason):
    from digitexp.training.graph import engine

    model = plain(**reasons()[reason])
    with pytest.raises(engine.Untraceable, match=reason):
        fit(model)


def test_models_and_weights_with_code_or_limits_of_their_own_are_refused():
    import keras

    from digitexp.training.graph.structure import why_not

    class OwnStep(keras.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    layers = [keras.layers.Input((6,)), keras.layers.Dense(3)]
    own = OwnStep(layers)
    own.compile("adam", "mse")
    assert why_not(own) == "the model has its own train_step"
    limited = keras.Sequential([layers[0], keras.layers.Dense(3, kernel_constraint="non_neg")])
    limited.compile("adam", "mse")
    assert "has a constraint" in why_not(limited)


def test_a_release_of_keras_that_nobody_has_looked_at_is_refused(monkeypatch):
    import keras

    from digitexp.training.graph import keras_internals

    model = plain()
    assert keras_internals.missing(model) is None
    monkeypatch.setattr(keras, "__version__", "3.99.0")
    assert "3.99.0 is not known" in keras_internals.missing(model)


def test_a_layer_with_state_that_keras_does_not_know_of_is_refused_and_unchanged():
    import keras
    import tensorflow as tf

    from digitexp.training.graph import engine

    class Hidden(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.__dict__["counter"] = tf.Variable(2.0)

        def call(self, inputs):
            return inputs * self.counter

    model = keras.Sequential([keras.layers.Input((6,)), Hidden(), keras.layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.get_weights()
    with pytest.raises(engine.Untraceable, match="does not know of"):
        fit(model)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def same_as_by_keras(make):
    """Check that models of both engines are alike after two epochs, in float64."""
    from digitexp.tensorflow_setup import known_warnings_ignored

    with of_float64(), known_warnings_ignored():
        model, other = fit(make()), make()
        other.fit(*samples(), batch_size=16, epochs=2, shuffle=False, verbose=0)
    for one, again in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, again, rtol=1e-8, atol=1e-10)


def compiled(layers, **options):
    import keras

    keras.backend.clear_session()
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.layers.Input((6,)), *layers(keras), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(options.get("optimizer") or "adam", loss)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("layers", [
    lambda keras, n: [
        keras.layers.Dense(4, activity_regularizer=keras.regularizers.L2(10.0 ** -n))
    ],
    lambda keras, n: [
        keras.layers.Dense(4), keras.layers.Dropout(n / 8, noise_shape=(None, 1)),
    ],
    lambda keras, n: [keras.layers.Dense(4), keras.layers.Activation(lambda x: x * n)],
], ids=["activity", "noise shape", "lambda"])  # fmt: skip
def test_a_number_that_is_no_input_is_never_that_of_another_model(traces, layers):
    for number in (1, 3):
        same_as_by_keras(lambda n=number: compiled(lambda keras: layers(keras, n)))


@pytest.mark.slow
def test_penalties_that_weights_share_are_another_structure(traces):
    def layers(keras, pattern):
        penalties = [keras.regularizers.L2(0.1), keras.regularizers.L2(0.001)]
        return [keras.layers.Dense(4, kernel_regularizer=penalties[k]) for k in pattern]

    for pattern in ((0, 0, 1), (0, 1, 1)):
        same_as_by_keras(lambda p=pattern: compiled(lambda keras: layers(keras, p)))
    assert len(traces) == 2


@pytest.mark.slow
def test_a_decay_of_zero_is_none(traces):
    import keras

    same_as_by_keras(
        lambda: compiled(
            lambda keras: [keras.layers.Dense(4)],
            optimizer=keras.optimizers.SGD(0.1, weight_decay=0.0),
        )
    )
    assert len(traces) == 1


@pytest.mark.slow
def test_a_layer_that_does_not_say_what_it_is_made_of_is_traced_for_its_model(traces):
    import keras

    class Scaled(keras.layers.Layer):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def call(self, inputs):
            return inputs * self.factor

    same_as_by_keras(lambda: compiled(lambda keras: [Scaled(3.0), keras.layers.Dense(4)]))
    assert not traces


@pytest.mark.slow
def test_a_mask_counts_in_metrics():
    import keras

    from digitexp.training.graph import engine

    def build_masked():
        keras.backend.clear_session()
        keras.utils.set_random_seed(5)
        layers = [keras.layers.Embedding(5, 3, mask_zero=True), keras.layers.Dense(2)]
        model = keras.Sequential([keras.layers.Input((4,), dtype="int32"), *layers])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics=["accuracy"])
        return model

    generator = np.random.default_rng(2)
    x, y = generator.integers(0, 5, (40, 4)), generator.integers(0, 2, (40, 4))
    heard = []
    hear = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: heard.append(logs))
    common = {"batch_size": 16, "epochs": 2, "callbacks": [hear]}
    engine.fit(build_masked(), (x, y), (x, y), **common)
    build_masked().fit(x, y, validation_data=(x, y), shuffle=False, verbose=0, **common)
    for one, other in zip(heard[:2], heard[2:], strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_a_validation_part_of_another_kind_is_refused_before_the_first_epoch():
    from digitexp.training.graph import engine

    x, y = samples()
    with pytest.raises(engine.Untraceable, match="validation part has other types"):
        engine.fit(plain(), (x, y), (x, y.astype("int32")), batch_size=16, epochs=1, callbacks=[])
