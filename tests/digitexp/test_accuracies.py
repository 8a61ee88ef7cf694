"""What the nets of the accuracy table reach, so that it is noticed if they no longer do.

A bound is the mean over 20 fresh blocks minus three standard deviations of a single training's
accuracy on one (docs/networks.md); here the first block is trained on.
"""

import pytest

from digitexp.on_blocks import experiment
from sweeps.experiment import TrialSpec

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

TUTORIAL = {
    "hidden_layers": 2, "units_1": 25, "units_2": 15, "learning_rate": 0.001, "batch_size": 32,
    "epochs": 40, "early_stopping_patience_epochs": None, "plateau_patience_epochs": None,
}  # fmt: skip
WIDE = {
    "hidden_layers": 2, "units_1": 365, "units_2": 263, "learning_rate": 0.0014536839234074754,
    "batch_size": 64, "dropout": 0.3331923884926788, "l2": 3.561728334754913e-05,
    "label_smoothing": 0.03183346367062114, "epochs": 60, "early_stopping_patience_epochs": 8,
    "plateau_patience_epochs": 3,
}  # fmt: skip
ATTACKED = {
    "hidden_layers": 2, "units_1": 105, "units_2": 176, "learning_rate": 0.0022594250500532105,
    "batch_size": 64, "dropout": 0.05352352602252808, "adversarial_epsilon": 0.07209322495002894,
    "epochs": 60, "early_stopping_patience_epochs": 8, "plateau_patience_epochs": 3,
}  # fmt: skip
AUGMENTED = {
    "architecture": "cnn", "conv_blocks": 2, "filters_1": 32, "filters_2": 64, "kernel_size": 3,
    "hidden_layers": 1, "units_1": 128, "learning_rate": 0.003827987226831979, "batch_size": 64,
    "learning_rate_schedule": "cosine", "rotation": 1.344003159059537, "shift": 0.0931773140209407,
    "zoom": 0.18720986600088368, "conv_dropout": 0.04773064959313729,
    "dropout": 0.43183804993150515, "label_smoothing": 0.06925199628616656, "epochs": 40,
    "early_stopping_patience_epochs": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def data():
    return experiment.prepare(None, 0)


@pytest.mark.parametrize(
    ("config", "bound"),
    [
        pytest.param(TUTORIAL, 0.8908, id="the tutorial's net"),
        pytest.param(WIDE, 0.9422, id="the best dense net"),
        pytest.param(ATTACKED, 0.9327, id="trained on attacked images"),
        pytest.param(AUGMENTED, 0.9772, id="convolutions and augmentation"),
    ],
)
def test_a_net_reaches_what_the_table_says(config, bound, data):
    spec = TrialSpec("accuracies", 0, 1, 0, {**config, "block": 0})
    result = experiment.train(spec, data, lambda epoch, values: None)
    assert result.metrics["block_accuracy"] >= bound
