"""What a served model of one's own takes and answers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.digitexp.experiments.keras_experiment.own import cnn, regression, streamed

SHAPES = [(cnn, "float32", (8, 8, 1)), (regression, "float32", (10,))]


@pytest.mark.parametrize(("experiment", "dtype", "shape"), SHAPES)
def test_the_signature_is_that_of_the_data(experiment, dtype, shape):
    signature = experiment.signature(experiment.prepare(None, split_seed=0).info)
    assert (signature.example.dtype, signature.example.shape) == (dtype, (1, *shape))
    assert signature.output_shape == (-1,)


@pytest.mark.tensorflow
def test_the_signature_of_datasets_is_that_of_their_examples():
    signature = streamed.signature(streamed.prepare(None, split_seed=0).info)
    assert signature.example.shape == (1, 8, 8, 1)


@pytest.mark.parametrize("info", [{}, {"inputs": {"shape": [3], "dtype": "<U5"}}])
def test_what_is_unknown_or_no_numbers_has_no_signature(info):
    assert cnn.signature(info) is None


@pytest.mark.tensorflow
def test_a_model_answers_its_inputs_and_refuses_others():
    from digitexp.tensorflow_setup import start_tensorflow

    start_tensorflow()
    model = regression._build({"units": 4, "learning_rate": 1e-2})
    inputs = np.linspace(-1, 1, 30, dtype=np.float32).reshape(3, 10)
    answer = regression.predict(model, inputs)
    assert np.allclose(answer, model.predict(inputs, verbose=0))
    assert answer.shape == (3, 1)
    for shape in ((3, 9), (10,), (3, 10, 1)):
        with pytest.raises(ValueError, match=r"inputs of shape .*; give \('n', 10\)"):
            regression.predict(model, np.zeros(shape, np.float32))
    for bad in (np.full((1, 10), np.nan), np.full((1, 10), np.inf), np.full((1, 10), "a")):
        with pytest.raises(ValueError, match="give finite numbers"):
            regression.predict(model, bad)
