"""The engine `compiled` against Keras's `model.fit`: same weights, order and dropout masks."""

import os
from dataclasses import replace

import numpy as np
import pytest

from tests.digitexp.training.compiled.drawn import (
    EPOCHS,
    draw,
    keras_labels,
    keras_model,
    keras_weights,
)
from tests.digitexp.training.graph.drawn import of_float64

pytestmark = pytest.mark.tensorflow

EXAMPLES = int(os.environ.get("EQUALITY_EXAMPLES", "12"))
"""`make equality` asks for 200."""

CLOSE = 1e-8
"""Largest difference of anything, in float64, after three epochs."""

FLOAT32_STEPS = 50


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_it_computes_what_model_fit_computes(seed):
    case = draw(seed)
    images, labels, orders = case.data()
    net = case.net()
    with of_float64():
        model = keras_model(case)
        targets = keras_labels(case, labels)
        for order in orders:
            ours = net.train_epoch(images, labels, order, case.batch_size, case.rate)
            theirs = model.fit(
                images[order], targets[order], batch_size=case.batch_size, shuffle=False, verbose=0
            ).history
            # Dropped logits are 0 or -0, which only Keras's argmax tells apart.
            for name in ("loss",) if case.chain.layers[-1].dropout else ("loss", "accuracy"):
                assert ours[name] == pytest.approx(theirs[name][0], rel=CLOSE, abs=CLOSE), name
            weights = net.named_weights()
            for name, array in keras_weights(case, model).items():
                np.testing.assert_allclose(weights[name], array, rtol=0, atol=CLOSE, err_msg=name)
        logits, penalty = net.forward(images)
        np.testing.assert_allclose(logits, model.predict(images, verbose=0), rtol=0, atol=CLOSE)
        assert penalty == pytest.approx(float(sum(model.losses)), abs=CLOSE)
    assert net.step == EPOCHS * case.steps


def test_the_cases_have_every_option():
    cases = [draw(seed) for seed in range(200)]
    layers = [layer for case in cases for layer in case.chain.layers]
    hidden = [len(case.chain.layers) - 1 for case in cases]
    assert set(hidden) == set(range(5))
    assert min(hidden.count(depth) for depth in range(5)) >= 20
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        assert sum(getattr(case.adam, name) > 0 for case in cases) >= 20, name
    for name in ("l1", "l2", "dropout"):
        assert sum(getattr(layer, name) > 0 for layer in layers) >= 100, name
    assert sum(not case.chain.layers[0].trains for case in cases) >= 20
    assert sum(case.chain.label_smoothing > 0 for case in cases) >= 50
    assert sum(case.samples % case.batch_size > 0 for case in cases) >= 100
    assert sum(case.batch_size > case.samples for case in cases) >= 20


@pytest.mark.parametrize("seed", range(0, EXAMPLES, 4))
def test_in_float32_the_first_steps_err_by_rounding_as_those_of_keras_do(seed):
    case = replace(draw(seed), samples=FLOAT32_STEPS * 8, batch_size=8)
    # A weight goes through the kink of |w|, and rounding would decide at which step.
    layers = tuple(replace(layer, l1=0.0) for layer in case.chain.layers)
    case = replace(case, chain=replace(case.chain, layers=layers))
    images, labels, (order, *_) = case.data("float32")
    net = case.net("float32")
    with of_float64():  # which gives the type back
        model = keras_model(case, "float32")
        ours = net.train_epoch(images, labels, order, case.batch_size, case.rate)
        theirs = model.fit(
            images[order], keras_labels(case, labels)[order], batch_size=case.batch_size,
            shuffle=False, verbose=0,
        ).history  # fmt: skip
        found = keras_weights(case, model)
    exact = case.net("float64")
    exact.train_epoch(images.astype("f8"), labels, order, case.batch_size, case.rate)
    assert net.step == exact.step == FLOAT32_STEPS
    assert ours["loss"] == pytest.approx(theirs["loss"][0], rel=1e-6)
    weights, exact_weights = net.named_weights(), exact.named_weights()
    for name, array in found.items():
        # Each step rounds a weight. Where Adam divides by little that weighs more, in Keras, too.
        rounding = FLOAT32_STEPS * np.finfo("f4").eps * max(1, np.abs(array).max())
        of_keras = np.abs(array - exact_weights[name]).max()
        assert np.abs(weights[name] - exact_weights[name]).max() <= 2 * of_keras + rounding, name
