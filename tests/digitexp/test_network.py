"""What NumPy says of images is what Keras says."""

import numpy as np
import pytest

from digitexp.activations import ACTIVATIONS
from digitexp.config import TrialConfig
from digitexp.models import build_model, model_weights, set_weights
from digitexp.trained import Network

pytestmark = pytest.mark.tensorflow

NETS = {
    "tutorial": {},
    **{name: {"activation": name} for name in ACTIVATIONS},
    "deep": {"hidden_layers": 4, "units_1": 30, "units_2": 20, "units_3": 10, "units_4": 7},
    "cnn": {"architecture": "cnn", "conv_blocks": 2, "filters_1": 6, "filters_2": 5},
    "cnn, normalised": {
        "architecture": "cnn", "conv_blocks": 3, "filters_1": 4, "filters_2": 5, "filters_3": 6,
        "convs_per_block": 2, "batch_norm": True, "kernel_size": 5, "conv_dropout": 0.3,
    },
    "cnn, half precision": {"architecture": "cnn", "precision": "mixed_float16"},
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("image_shape", [(20, 20), (9, 7)])
def test_logits_are_those_of_keras(name, image_shape):
    config = TrialConfig.from_params({**NETS[name], "dropout": 0.2, "seed": 0})
    model = build_model(config, image_shape, 10)
    random = np.random.default_rng(5)
    weights = {
        name: (random.normal(size=array.shape) * (0.3 / np.sqrt(array.shape[0]))).astype(np.float32)
        + (1.0 if "variance" in name or "gamma" in name else 0.0)
        for name, array in model_weights(model).items()
    }
    set_weights(model, weights)
    images = random.random((300, *image_shape), np.float32)
    expected = np.asarray(model(images.reshape(300, -1), training=False))
    network = Network(config, image_shape, weights)
    bound = 5e-3 if config.precision == "mixed_float16" else 2e-5
    np.testing.assert_allclose(network.logits(images), expected, atol=bound, rtol=bound)
    assert np.ptp(expected) > 0.05  # else they would be alike whatever the formulas
    hidden = network.hidden(images)
    assert hidden.shape == (300, config.units[-1])
    np.testing.assert_array_equal(network.head(hidden), network.logits(images))


def test_no_image_gets_no_logits():
    model = build_model(TrialConfig(), (20, 20), 10)
    network = Network(TrialConfig(), (20, 20), model_weights(model))
    assert network.logits(np.zeros((0, 20, 20), np.float32)).shape == (0, 10)
