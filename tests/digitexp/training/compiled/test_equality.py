"""The engine `compiled` against Keras's `model.fit`: same weights, order and dropout masks."""

import os
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from digitexp.chain import Dense, Layer
from digitexp.training.compiled.losses import LOSSES
from digitexp.training.compiled.net import Data
from tests.digitexp.training.compiled.drawn import (
    EPOCHS,
    draw,
    keras_answers,
    keras_model,
    keras_weights,
)
from tests.digitexp.training.graph.drawn import of_float64

with suppress(ImportError):  # without Keras, these tests are left out
    from digitexp.training.keras_chain import chain_of

pytestmark = pytest.mark.tensorflow

EXAMPLES = int(os.environ.get("EQUALITY_EXAMPLES", "12"))
"""`make equality` asks for 200."""

CLOSE = 1e-8
"""Largest difference of anything, in float64, after three epochs."""

FLOAT32_STEPS = 50


CHEAP = (1, 4, 11)
"""They take half of what the others do, too dear for the first tier on a slow machine."""


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=() if seed in CHEAP else pytest.mark.slow)
        for seed in range(EXAMPLES)
    ],
)
def test_it_computes_what_model_fit_computes(seed):
    case = draw(seed)
    samples, answers, orders = case.data()
    net, counts = case.net(), case.counts()
    with of_float64():
        model = keras_model(case)
        targets = keras_answers(case, answers)
        for order in orders:
            loss, outputs = net.train_epoch(case.whole(), order, case.batch_size, case.rate)
            theirs = model.fit(
                samples[order], targets[order], batch_size=case.batch_size, shuffle=False,
                sample_weight=None if counts is None else counts[order], verbose=0,
            ).history  # fmt: skip
            found = {"loss": loss, **measured(case, answers[order], outputs)}
            # Dropped logits are 0 or -0, which only Keras's argmax tells apart.
            names = {"loss"} if case.chain.layers[-1].dropout else {*found}
            for name in names:
                assert found[name] == pytest.approx(theirs[name][0], rel=CLOSE, abs=CLOSE), name
            weights = net.named_weights()
            for name, array in keras_weights(case, model).items():
                np.testing.assert_allclose(weights[name], array, rtol=0, atol=CLOSE, err_msg=name)
        given, penalty = net.forward(samples)
        np.testing.assert_allclose(given, model.predict(samples, verbose=0), rtol=0, atol=CLOSE)
        assert penalty == pytest.approx(float(sum(model.losses)), abs=CLOSE)
        whole = model.evaluate(samples, targets, batch_size=len(samples), verbose=0)
        loss, outputs = net.evaluate(case.whole())
        assert loss == pytest.approx(whole[0], rel=CLOSE, abs=CLOSE)
        np.testing.assert_array_equal(outputs, given)
    assert net.step == EPOCHS * case.steps


def measured(case, answers, outputs):
    """Return the metrics of an epoch as a user's model has them."""
    with_metrics = chain_of(keras_model(case, is_masked=False), keras_answers(case, answers))
    return with_metrics.measured(keras_answers(case, answers), outputs)


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_a_keras_model_is_seen_to_be_the_chain_that_it_is(seed):
    case = draw(seed)
    _, answers, _ = case.data()
    with of_float64():
        found = chain_of(keras_model(case, is_masked=False), keras_answers(case, answers))
    loss = case.chain.loss
    if loss.smoothing and answers.ndim == 1:  # Keras has none of labels
        loss = replace(loss, name="categorical_crossentropy")
    assert found.chain == replace(case.chain, loss=loss)
    assert found.optimizer == case.optimizer
    assert found.dtype == "float64"
    weights = case.weights()
    assert found.weights().keys() == weights.keys()
    for name, array in found.weights().items():
        np.testing.assert_array_equal(array, weights[name])


def test_the_cases_have_every_option():
    cases = [draw(seed) for seed in range(200)]
    layers = [layer for case in cases for layer in case.chain.layers]
    hidden = [sum(isinstance(one, Dense) for one in case.chain.layers) - 1 for case in cases]
    assert set(hidden) == set(range(5))
    assert min(hidden.count(depth) for depth in range(5)) >= 20
    for name in ("clipnorm", "clipvalue", "global_clipnorm", "weight_decay", "momentum"):
        assert sum(getattr(case.optimizer, name) > 0 for case in cases) >= 20, name
    for name in ("adam", "sgd", "rmsprop"):
        assert sum(case.optimizer.name == name for case in cases) >= 30, name
    assert sum(case.optimizer.nesterov for case in cases) >= 10
    for name in ("l1", "l2", "dropout"):
        assert sum(getattr(layer, name, 0) > 0 for layer in layers) >= 100, name
    for over in ("batch", "layer"):
        assert sum(getattr(layer, "over", "") == over for layer in layers) >= 30, over
    assert sum(type(layer) is Layer for layer in layers) >= 30
    assert sum(not getattr(layer, "has_bias", True) for layer in layers) >= 30
    for name in LOSSES:
        assert sum(case.chain.loss.name == name for case in cases) >= 15, name
    for end in ("softmax", "sigmoid"):
        assert sum(case.chain.layers[-1].activation == end for case in cases) >= 15, end
    assert sum(not all(layer.trains for layer in case.chain.layers) for case in cases) >= 20
    assert sum(case.chain.loss.smoothing > 0 for case in cases) >= 40
    assert sum(case.is_weighted for case in cases) >= 40
    assert sum(case.samples % case.batch_size > 0 for case in cases) >= 100
    assert sum(case.batch_size > case.samples for case in cases) >= 20


@pytest.mark.parametrize("seed", range(0, EXAMPLES, 4))
def test_in_float32_the_first_steps_err_by_rounding_as_those_of_keras_do(seed):
    """Rounding of one array goes on to the others, so the largest error of a net counts."""
    case = replace(draw(seed), samples=FLOAT32_STEPS * 8, batch_size=8)
    # A weight goes through the kink of |w|, and rounding would decide at which step.
    layers = tuple(replace(one, l1=0.0) if isinstance(one, Dense) else one
                   for one in case.chain.layers)  # fmt: skip
    case = replace(case, chain=replace(case.chain, layers=layers))
    samples, answers, (order, *_) = case.data("float32")
    net, counts = case.net("float32"), case.counts()
    with of_float64():  # which gives the type back
        model = keras_model(case, "float32")
        loss, _ = net.train_epoch(case.whole("float32"), order, case.batch_size, case.rate)
        theirs = model.fit(
            samples[order], keras_answers(case, answers)[order], batch_size=case.batch_size,
            sample_weight=None if counts is None else counts[order], shuffle=False, verbose=0,
        ).history  # fmt: skip
        found = keras_weights(case, model)
    exact, data = case.net("float64"), case.whole("float32")
    exact.train_epoch(
        Data(*(one.astype("f8") if one.dtype == "f4" else one for one in data)),
        order, case.batch_size, case.rate,
    )  # fmt: skip
    assert net.step == exact.step == FLOAT32_STEPS
    assert loss == pytest.approx(theirs["loss"][0], rel=1e-6)
    exactly = exact.named_weights()
    ours, theirs = (
        max(np.abs(array - exactly[name]).max() for name, array in weights.items())
        for weights in (net.named_weights(), found)
    )
    # Each step rounds a weight. Where Adam divides by little that weighs more, in Keras, too.
    rounding = FLOAT32_STEPS * np.finfo("f4").eps * max(np.abs(one).max() for one in found.values())
    assert ours <= 2 * theirs + rounding
