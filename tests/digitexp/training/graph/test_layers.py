"""Layers as a trace has them, against Keras's and TensorFlow's own code: equal to the bit."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

ROWS, WIDTH, UNITS = 33, 50, 17
DTYPES = ["float32", "float64"]


def numbers(*shape, dtype="float32"):
    return np.random.default_rng(4).normal(size=shape).astype(dtype)


def with_gradients(function, *arrays):
    """Return a function's value and its gradients, traced with every size left open."""
    import tensorflow as tf

    def differentiated(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            found = function(*tensors)
        return [found, *tape.gradient(found, tensors, tf.cos(found))]

    specs = [tf.TensorSpec([None] * one.ndim, one.dtype) for one in arrays]
    traced = tf.function(differentiated, autograph=False, input_signature=specs)
    return [one.numpy() for one in traced(*arrays)]


def check_same_bits(function, own, *arrays):
    found, wanted = with_gradients(function, *arrays), with_gradients(own, *arrays)
    assert len(found) == len(arrays) + 1
    for one, other in zip(found, wanted, strict=True):
        assert one.any()
        np.testing.assert_array_equal(one, other, strict=True)


def scoped(variables, function):
    """Return a function of the variables' values."""
    from digitexp.training.graph import keras_internals as internals

    def called(x, *values):
        with internals.scope_of(list(zip(variables, values, strict=True))):
            return function(x)

    return called


@pytest.mark.parametrize("activation", ["relu", "linear"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dense_layer_of_any_width(activation, dtype):
    import keras

    from digitexp.training.graph import layers

    layer = keras.layers.Dense(UNITS, activation, dtype=dtype)
    layer.build((None, WIDTH))
    check_same_bits(
        scoped([layer.kernel, layer.bias], layers.dense_call(layer)),
        scoped([layer.kernel, layer.bias], layer.call),
        numbers(ROWS, WIDTH, dtype=dtype),
        numbers(WIDTH, UNITS, dtype=dtype),
        numbers(UNITS, dtype=dtype),
    )


@pytest.mark.parametrize("shape", [(ROWS, WIDTH), (ROWS, 4, WIDTH)])
def test_a_dense_layer_without_bias_or_of_more_dimensions_is_kerass(shape):
    import keras

    from digitexp.training.graph import layers

    layer = keras.layers.Dense(UNITS, use_bias=len(shape) > 2)
    layer.build((*shape[:-1], WIDTH))
    x = numbers(*shape)
    np.testing.assert_array_equal(layers.dense_call(layer)(x), layer(x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout(dtype):
    import keras
    import tensorflow as tf

    from digitexp.training.graph import layers

    layer, rate = keras.layers.Dropout(0.3, seed=9, dtype=dtype), tf.constant(0.3, tf.float64)
    drop = layers.dropout_call(layer, rate)

    def own(x):
        seed = tf.constant([9, 0], tf.int32)
        return tf.nn.experimental.stateless_dropout(x, rate=tf.cast(rate, x.dtype), seed=seed)

    x = numbers(ROWS, WIDTH, dtype=dtype)
    check_same_bits(scoped([], lambda x: drop(x, training=True)), own, x)
    assert drop(x) is x


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_l2_penalty(dtype):
    import keras
    import tensorflow as tf

    from digitexp.training.graph import layers

    regularizer = keras.regularizers.L2(0.01)
    regularizer.l2 = tf.constant(0.01, dtype)
    x = numbers(400, UNITS, dtype=dtype)
    check_same_bits(layers.l2_penalty(regularizer), regularizer, x)
