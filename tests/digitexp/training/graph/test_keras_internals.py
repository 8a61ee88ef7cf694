"""Handles tell no sizes that may differ, and the variables behind them stay Keras's."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def kernel():
    import keras

    layer = keras.layers.Dense(3)
    layer.build((None, 2))
    return layer.kernel


def sizes(variable):
    from digitexp.training.graph.keras_internals import handles_of

    (handle,) = handles_of([variable])
    (found,) = handle._handle_data.shape_and_type
    return [dim.size for dim in found.shape.dim]


@pytest.mark.parametrize(
    ("shape", "told"), [((2, None), [2, -1]), ((None, None), [-1, -1]), ((2, 3), [2, 3])]
)
def test_a_handle_tells_the_sizes_that_are_given_and_keras_all_of_them(kernel, shape, told):
    from digitexp.training.graph.keras_internals import opened_sizes

    with opened_sizes([kernel], [shape]):
        assert sizes(kernel) == told
        assert tuple(kernel.shape) == (2, 3)
        with pytest.raises(ValueError, match="shape"):
            kernel.assign(np.ones((3, 2)))
    assert sizes(kernel) == [2, 3]


def test_a_model_gets_its_variables_back_with_what_was_learned(kernel):
    from digitexp.training.graph.keras_internals import opened_sizes

    inner, before = kernel.value, kernel.numpy()
    with opened_sizes([kernel], [(None, None)]):
        assert (kernel.numpy() == before).all()
        kernel.assign(np.ones((2, 3)))
    assert kernel.value is inner
    assert (kernel.numpy() == 1).all()
