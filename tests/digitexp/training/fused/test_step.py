"""One step of the fused engine against automatic differentiation and Keras's Adam."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitexp.config import TrialConfig
from digitexp.parameters import ACTIVATIONS, RELU_LIKE, SATURATING
from tests.digitexp.small_data import small_digits
from tests.digitexp.training.fused.cases import build, configurations, floats, sampled

pytestmark = pytest.mark.tensorflow

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
"""Of each tensor's largest entry."""


def batch(config):
    data = small_digits()
    return data.train_images[: config.batch_size], data.train_labels[: config.batch_size]


def our_gradients(config, weights, dtype, masks=()):
    import tensorflow as tf

    from digitexp.training.fused import step
    from digitexp.training.fused.step import NetKind

    images, labels = batch(config)
    kind, l2 = NetKind.of(config, dtype), tf.constant(config.l2, dtype)
    masks = [tf.constant(mask) for mask in masks]

    @tf.function(autograph=False)
    def graph(weights):
        passed = step.forward(kind, weights, tf.constant(images, dtype), masks)
        one_hot = tf.one_hot(labels, small_digits().n_classes, dtype=dtype)
        delta = step.output_delta(passed.logits, one_hot, tf.constant(len(labels), dtype))
        return step.gradients(kind, weights, passed, delta, masks, l2)

    return [g.numpy() for g in graph([tf.constant(w) for w in weights])]


def assert_close(ours, theirs, tolerance):
    assert len(ours) == len(theirs)
    for our, their in zip(ours, map(np.asarray, theirs), strict=True):
        largest = max(np.abs(their).max(), np.finfo(their.dtype).tiny)
        assert np.abs(our - their).max() <= tolerance * largest


@pytest.mark.nightly
@sampled
@given(config=configurations(narrowest=4))  # one or two entries may cancel to nothing in float32
def test_gradients_are_those_of_automatic_differentiation_in_float32(config):
    assert_gradients_agree(config, "float32")


@pytest.mark.nightly
@sampled
@given(config=configurations())
def test_gradients_are_those_of_automatic_differentiation_in_float64(config):
    assert_gradients_agree(config, "float64")


def assert_gradients_agree(config, dtype):
    import tensorflow as tf

    model = build(config, dtype)
    images, labels = batch(config)
    with floats(dtype), tf.GradientTape() as tape:
        logits = model(tf.constant(images, dtype), training=True)
        ce = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        loss = tf.reduce_mean(ce) + (tf.add_n(model.losses) if model.losses else 0)
    theirs = tape.gradient(loss, [v.value for v in model.trainable_variables])
    weights = [v.numpy() for v in model.trainable_variables]
    assert_close(our_gradients(config, weights, dtype), theirs, TOLERANCE[dtype])


def test_every_activation_is_known_wherever_one_acts():
    from digitexp import trained
    from digitexp.training.fused.step import DIFFERENTIABLE

    assert DIFFERENTIABLE.keys() == trained._ACTIVATIONS.keys() == set(ACTIVATIONS)
    assert {*RELU_LIKE, *SATURATING, "selu"} == set(ACTIVATIONS), "advice on initial weights"


MORE_OF_THE_KIND = {"leaky_relu", "elu", "selu", "silu", "tanh"}


def tier_of(activation):
    if activation in MORE_OF_THE_KIND:
        return pytest.mark.nightly
    return () if activation == "relu" else pytest.mark.slow


@pytest.mark.parametrize(
    "activation", [pytest.param(name, marks=tier_of(name)) for name in ACTIVATIONS]
)
def test_gradients_are_right_under_dropout_masks(activation):
    import tensorflow as tf

    from digitexp.training.fused import step
    from digitexp.training.fused.engine import draw_masks
    from digitexp.training.fused.step import NetKind

    config = TrialConfig(
        units=(12, 9), dropout=(0.2, 0.6), l2=2**-7, activation=activation, batch_size=50
    )
    model, (images, labels) = build(config, "float64"), batch(config)
    masks = draw_masks(np.random.default_rng(1), config.dropout_rates, config.units, 50, "float64")
    kind = NetKind.of(config, "float64")
    values = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        weights = [tf.convert_to_tensor(v) for v in values]
        tape.watch(weights)
        logits = step.forward(kind, weights, tf.constant(images, tf.float64), masks).logits
        ce = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        loss = tf.reduce_mean(ce) + step.penalty(kind, weights, config.l2)
    theirs = tape.gradient(loss, weights)
    ours = our_gradients(config, [w.numpy() for w in weights], "float64", masks)
    assert_close(ours, theirs, 1e-10)


@pytest.mark.nightly
@sampled
@given(config=configurations(), steps=st.integers(1, 4), scale=st.floats(-3, 3))
def test_adam_updates_as_keras_does(config, steps, scale):
    import tensorflow as tf

    from digitexp.training.fused import step as ours
    from digitexp.training.fused.engine import _handles

    models, generator = [build(config), build(config)], np.random.default_rng(config.seed)
    adam = models[0].optimizer
    settings = ours.Adam(
        *[
            tf.constant(float(number), tf.float32)
            for number in (adam.learning_rate.numpy(), adam.beta_1, adam.beta_2, adam.epsilon)
        ]
    )
    handles = [
        _handles(variables)
        for variables in (models[0].trainable_variables, adam._momentums, adam._velocities)
    ]
    for number in range(1, steps + 1):
        before = [v.numpy().copy() for v in models[1].trainable_variables]
        found = [
            tf.constant(generator.normal(0, 10**scale, w.shape).astype(np.float32)) for w in before
        ]
        clipped = (
            found if config.clipnorm is None else [ours.clip(g, config.clipnorm) for g in found]
        )
        for mine, theirs in zip(models[0].trainable_variables, before, strict=True):
            mine.assign(theirs)  # the update alone is compared, not what rounding adds up to
        ours.apply_adam(handles, clipped, settings, tf.constant(float(number)))
        models[1].optimizer.apply(found, models[1].trainable_variables)
        after = [[v.numpy() for v in model.trainable_variables] for model in models]
        for start, mine, theirs in zip(before, *after, strict=True):
            largest = np.abs(theirs - start).max()
            # The sum is rounded to a float32 of the weight's size, whoever adds.
            rounding = 2 * np.spacing(np.abs(start).max())
            assert np.abs(mine - theirs).max() <= 1e-6 * largest + rounding
