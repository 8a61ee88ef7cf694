"""Handles tell no sizes that may differ, and the variables behind them stay Keras's."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def kernel():
    from digitexp.tensorflow_setup import set_up_tensorflow

    set_up_tensorflow()
    import keras

    layer = keras.layers.Dense(3)
    layer.build((None, 2))
    return layer.kernel


def sizes(variable):
    from digitexp.tensorflow_setup import handles_of

    (handle,) = handles_of([variable])
    (found,) = handle._handle_data.shape_and_type
    return [dim.size for dim in found.shape.dim]


def test_a_handle_tells_the_sizes_that_are_given(kernel):
    from digitexp.tensorflow_setup import open_sizes

    assert sizes(kernel) == [2, 3]
    open_sizes([kernel], [(2, None)])
    assert sizes(kernel) == [2, -1]
    open_sizes([kernel])
    assert sizes(kernel) == [-1, -1]
    assert tuple(kernel.shape) == (2, 3)
    with pytest.raises(ValueError, match="shape"):
        kernel.assign(np.ones((3, 2)))


def test_a_model_gets_its_variables_back_with_what_was_learned(kernel):
    from digitexp.tensorflow_setup import opened_sizes

    inner, before = kernel.value, kernel.numpy()
    with opened_sizes([kernel], [(None, None)]):
        assert sizes(kernel) == [-1, -1]
        assert (kernel.numpy() == before).all()
        kernel.assign(np.ones((2, 3)))
    assert kernel.value is inner
    assert (kernel.numpy() == 1).all()


def test_variables_can_be_made_with_open_sizes(kernel):
    import keras

    from digitexp.tensorflow_setup import open_sizes_inside

    with open_sizes_inside():
        layer = keras.layers.Dense(3)
        layer.build((None, 2))
    assert (sizes(layer.kernel), sizes(layer.bias)) == ([-1, -1], [-1])
    assert tuple(layer.kernel.shape) == (2, 3)
    assert layer.kernel.value.name == layer.bias.value.name  # that of a later one, too
    with pytest.raises(ValueError, match="shape"):
        layer.kernel.assign(np.ones((3, 2)))


def test_the_fused_engine_finds_its_variables_as_it_needs_them():
    from digitexp.config import TrialConfig
    from digitexp.models import build_model
    from digitexp.tensorflow_setup import open_sizes
    from digitexp.training.engines import load_engine

    with load_engine("fused").building():
        model = build_model(TrialConfig(units=(6, 5)), (2, 2), 3)
    adam = model.optimizer
    variables = [*model.trainable_variables, *adam._momentums, *adam._velocities]
    before = [one.value for one in variables]
    open_sizes(variables)
    assert all(one.value is inner for one, inner in zip(variables, before, strict=True))
