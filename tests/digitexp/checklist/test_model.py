"""Rules on the trained model, with real Keras layers and real stored weights."""

import numpy as np
import pytest

from digitexp.checklist import check_last_layer, check_model
from tests.digitexp.checklist.runs import make_run

SHAPES = {
    "hidden_1/kernel": (400, 25), "hidden_1/bias": (25,), "hidden_2/kernel": (25, 15),
    "hidden_2/bias": (15,), "output/kernel": (15, 10), "output/bias": (10,),
}  # fmt: skip


def with_weights(shapes=SHAPES, **given):
    run = make_run(**given)
    weights = {name: np.full(shape, 0.1, "float32") for name, shape in shapes.items()}
    return type(run)(**{**run.__dict__, "weights": weights})


def verdicts(run):
    return {finding.name: finding.verdict for finding in check_model(run, None, None)}


@pytest.mark.tensorflow
def test_weights_of_the_right_shapes_are_sound():
    assert verdicts(with_weights()) == dict.fromkeys(["weights", "last layer"], "ok")


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "changed",
    [{"output/kernel": (15, 9), "output/bias": (9,)}, {"hidden_1/kernel": (784, 25)},
     {"hidden_2/bias": (16,)}],
)  # fmt: skip
def test_other_shapes_than_the_data_and_the_configuration_ask_for_fail(changed):
    found = verdicts(with_weights(SHAPES | changed))
    assert found == {"weights": "ok", "rebuilt": "fail"}


@pytest.mark.tensorflow
def test_weights_that_are_no_numbers_are_named():
    run = with_weights()
    run.weights["hidden_2/bias"][3] = np.nan
    finding = check_model(run, None, None)[0]
    assert (finding.verdict, finding.seen) == ("fail", "NaN or infinity in hidden_2/bias")


def test_a_training_without_weights_fails():
    assert verdicts(make_run()) == {"weights": "fail"}


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("units", "activation", "verdict"),
    [(10, None, "ok"), (10, "linear", "ok"), (10, "softmax", "fail"), (9, None, "fail")],
)
def test_the_last_layer_returns_a_logit_a_class(units, activation, verdict):
    import keras

    finding = check_last_layer(keras.layers.Dense(units, activation), 10)
    assert finding.verdict == verdict
    assert finding.seen.startswith(f"{units} outputs, activation {activation or 'linear'}")
