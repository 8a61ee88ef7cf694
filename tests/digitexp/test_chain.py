import math

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest, truncnorm, uniform

from digitexp.chain import Chain, Dense
from digitexp.parameters import INITIALIZERS

CHAIN = Chain(300, (
    Dense("hidden_1", 200, "relu", dropout=0.25, l2=0.01),
    Dense("hidden_2", 120, "tanh", trains=False),
    Dense("output", 50),
))  # fmt: skip


def test_shapes_are_those_of_kernels_and_biases_in_order():
    assert CHAIN.widths == [300, 200, 120, 50]
    assert [*CHAIN.shapes().items()] == [
        ("hidden_1/kernel", (300, 200)), ("hidden_1/bias", (200,)),
        ("hidden_2/kernel", (200, 120)), ("hidden_2/bias", (120,)),
        ("output/kernel", (120, 50)), ("output/bias", (50,)),
    ]  # fmt: skip


def variance(initializer, inputs, outputs):
    """Return that of the law's own paper."""
    return {
        "glorot": 2 / (inputs + outputs), "he": 2 / inputs, "lecun": 1 / inputs
    }[initializer.split("_")[0]]  # fmt: skip


def kernels(initializer, seed=1):
    """Return pairs of a kernel and the standard deviation it is to have."""
    for name, array in CHAIN.initial_weights(initializer, seed).items():
        if array.ndim == 2:
            yield name, array, math.sqrt(variance(initializer, *array.shape))


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_kernels_follow_the_law_and_keep_its_limits(initializer):
    for name, array, deviation in kernels(initializer):
        assert array.dtype == np.float32
        if initializer.endswith("uniform"):
            limit = math.sqrt(3) * deviation
            law = uniform(-limit, 2 * limit)
        else:
            own = deviation / truncnorm(-2, 2).std()
            limit, law = 2 * own, truncnorm(-2, 2, scale=own)
        largest = np.abs(array).max()
        assert 0.99 * limit < largest <= np.float32(limit), name
        count = array.size
        assert abs(array.mean()) < 4 * deviation / math.sqrt(count), name
        assert array.std() == pytest.approx(deviation, rel=4 / math.sqrt(2 * count)), name
        assert kstest(array.ravel(), law.cdf).pvalue > 1e-3, name


@pytest.mark.tensorflow
@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_the_law_is_that_of_keras(initializer):
    import keras

    for name, array, _ in kernels(initializer):
        draw = keras.initializers.deserialize(
            {"class_name": initializer, "config": {"seed": 3}}
        )  # fmt: skip
        theirs = np.asarray(draw(array.shape))
        assert np.abs(array).max() == pytest.approx(np.abs(theirs).max(), rel=0.01), name
        for moment in (2, 4):
            ours, other = ((one.astype(float) ** moment).mean() for one in (array, theirs))
            assert ours == pytest.approx(other, rel=10 / math.sqrt(array.size)), name
        assert ks_2samp(array.ravel(), theirs.ravel()).pvalue > 1e-3, name


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_biases_are_0(initializer):
    found = CHAIN.initial_weights(initializer, 1)
    assert found.keys() == CHAIN.shapes().keys()
    for name, shape in CHAIN.shapes().items():
        assert found[name].shape == shape
        if name.endswith("bias"):
            assert (found[name] == 0).all()


@pytest.mark.parametrize("initializer", ["glorot_uniform", "he_normal"])
def test_numbers_follow_from_the_seed_and_the_place_of_the_layer(initializer):
    first, again, other = (CHAIN.initial_weights(initializer, seed) for seed in (1, 1, 2))
    longer = Chain(300, (*CHAIN.layers[:2], Dense("hidden_3", 7), Dense("output", 50)))
    for name in ("hidden_1/kernel", "hidden_2/kernel"):
        np.testing.assert_array_equal(first[name], again[name])
        np.testing.assert_array_equal(first[name], longer.initial_weights(initializer, 1)[name])
        assert (first[name] != other[name]).mean() > 0.99
        correlation = np.corrcoef(first[name].ravel(), other[name].ravel())[0, 1]
        assert abs(correlation) < 4 / math.sqrt(first[name].size)
    twice = Chain(20, (Dense("hidden_1", 20), Dense("hidden_2", 20)))
    one, two = (array for array in twice.initial_weights(initializer, 1).values() if array.ndim > 1)
    assert (one != two).mean() > 0.99


def test_the_table_counts_weights_and_says_what_is_frozen_and_dropped():
    assert CHAIN.table().splitlines() == [
        "layer             activation  output  weights",
        "hidden_1 (Dense)  relu        200     60200",
        "  Dropout                     200     rate 0.25",
        "hidden_2 (Dense)  tanh        120     24120 (frozen)",
        "output (Dense)    linear      50      6050",
        "in all                                90370",
    ]
