"""The graph engine against `model.fit`: the same model, data order and dropout masks."""

import numpy as np
import pytest
from hypothesis import given

from tests.digitexp.training.graph.drawn import build, cases, data, of_float64, sampled

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


def check_equal(case):
    graph, keras = courses(case)
    for of_graph, of_keras in zip(graph.weights, keras.weights, strict=True):
        for one, other in zip(of_graph, of_keras, strict=True):
            if one.dtype.kind == "f":
                scale = np.abs(other).max() + 1e-3
                np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=1e-8)
            else:  # states of random generators
                np.testing.assert_array_equal(one, other)
    for of_graph, of_keras in zip(graph.logs, keras.logs, strict=True):
        assert [*of_graph] == [*of_keras]
        for name, value in of_keras.items():
            assert of_graph[name] == pytest.approx(value, rel=1e-8, abs=1e-10), name


@pytest.mark.slow
@sampled
@given(case=cases())
def test_it_computes_what_model_fit_computes(case):
    check_equal(case)
