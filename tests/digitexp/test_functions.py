"""Each function against TensorFlow's, and where the one from probabilities fails."""

import numpy as np
import pytest

from digitexp import numpy_functions

RNG = np.random.default_rng(0)
VALUES = [
    np.array([0.0, -0.0, 1.0, -1.0, 30.0, -30.0, 1e3, -1e3]),
    RNG.normal(0, 5, (7, 10)),
    np.zeros((0, 3)),
]


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("z", VALUES, ids=["edges", "matrix", "empty"])
@pytest.mark.parametrize("name", ["relu", "sigmoid"])
def test_an_activation_is_that_of_tensorflow(name, z):
    import tensorflow as tf

    expected = {"relu": tf.nn.relu, "sigmoid": tf.nn.sigmoid}[name](z).numpy()
    np.testing.assert_allclose(getattr(numpy_functions, name)(z), expected, rtol=1e-13, atol=1e-300)


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(4,), (1, 4), (6, 10), (3, 1)])
@pytest.mark.parametrize("scale", [1.0, 1e3])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_softmax_is_that_of_tensorflow(shape, scale, temperature):
    import tensorflow as tf

    logits = scale * RNG.normal(size=shape)
    probabilities = numpy_functions.softmax(logits, temperature)
    np.testing.assert_allclose(
        probabilities, tf.nn.softmax(logits / temperature).numpy(), rtol=1e-11, atol=1e-300
    )
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(
        numpy_functions.log_softmax(logits, temperature),
        tf.nn.log_softmax(logits / temperature).numpy(),
        rtol=1e-11, atol=1e-12,
    )  # fmt: skip


@pytest.mark.tensorflow
def test_cross_entropies_are_those_of_keras_and_agree_with_each_other():
    import keras

    logits, labels = RNG.normal(0, 3, (50, 10)), RNG.integers(0, 10, 50)
    sparse = numpy_functions.sparse_cross_entropy(logits, labels)
    targets = np.eye(10)[labels]
    np.testing.assert_allclose(
        sparse,
        keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True),
        rtol=1e-5,
    )
    np.testing.assert_allclose(numpy_functions.one_hot_cross_entropy(logits, targets), sparse)
    assert targets.nbytes == 10 * labels.nbytes
    probabilities = numpy_functions.softmax(logits)
    np.testing.assert_allclose(
        numpy_functions.cross_entropy_from_probabilities(probabilities, labels), sparse
    )
    smoothed = targets * 0.9 + 0.01
    np.testing.assert_allclose(
        numpy_functions.one_hot_cross_entropy(logits, smoothed),
        keras.losses.categorical_crossentropy(
            targets, logits, from_logits=True, label_smoothing=0.1
        ),
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("logits", "temperature", "expected"),
    [
        ([1, 2, 3, 4], 1.0, [0.0321, 0.0871, 0.2369, 0.6439]),
        ([2.0, 1.0, 0.1], 0.5, [0.8638, 0.1169, 0.0193]),
        ([2.0, 1.0, 0.1], 1.0, [0.6590, 0.2424, 0.0986]),
        ([2.0, 1.0, 0.1], 2.0, [0.5017, 0.3043, 0.1940]),
    ],
)
def test_the_values_of_the_tutorial(logits, temperature, expected):
    # The tutorial prints 0.88, 0.12, 0.00 at T = 0.5 and 0.51, 0.31, 0.18 at T = 2: both are off.
    np.testing.assert_allclose(numpy_functions.softmax(logits, temperature), expected, atol=5e-5)


def test_softmax_then_log_fails_where_logits_do_not():
    logits = np.array([[0.0, 120.0]], np.float32)
    probabilities = numpy_functions.softmax(logits).astype(
        np.float32
    )  # what such a last layer gives
    assert numpy_functions.cross_entropy_from_probabilities(probabilities, [0])[0] == np.inf
    assert numpy_functions.sparse_cross_entropy(logits, [0])[0] == pytest.approx(120.0)


@pytest.mark.tensorflow
def test_from_a_softmax_layer_no_gradient_comes_and_from_logits_it_does():
    import tensorflow as tf

    logits = tf.constant([[0.0, 120.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        naive = -tf.math.log(tf.nn.softmax(logits)[0, 0])
        stable = tf.nn.sparse_softmax_cross_entropy_with_logits([0], logits)[0]
    assert not np.isfinite(tape.gradient(naive, logits)).all()
    np.testing.assert_allclose(tape.gradient(stable, logits), [[-1.0, 1.0]], atol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_is_above_zero(temperature):
    with pytest.raises(ValueError, match="give a number above 0"):
        numpy_functions.softmax([1.0, 2.0], temperature)


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        ([[1.0, 2.0]], [2], "integers from 0 to 1"),
        ([[1.0, 2.0]], [-1], "integers from 0 to 1"),
        ([[1.0, 2.0]], [0.5], "integers from 0 to 1"),
        ([[1.0, 2.0]], [0, 1], r"labels \(2,\)"),
        ([1.0, 2.0], [0], r"logits \(2,\)"),
    ],
)
def test_what_does_not_fit_is_refused(logits, labels, said):
    with pytest.raises(ValueError, match=said):
        numpy_functions.sparse_cross_entropy(logits, labels)
    with pytest.raises(ValueError, match="at least one"):
        numpy_functions.softmax([])
