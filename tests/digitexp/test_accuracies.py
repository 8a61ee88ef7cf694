"""The nets of the accuracy table still reach on fresh folds what it says.

docs/networks.md has of each net its mean over 20 folds and the standard deviation of one training
(under the table). Here it is trained on the first of the same blocks, and the mean of these may lie
three of its standard errors below the table's. Blocks come in fours that judge each image once.
"""

import math
import statistics

import pytest

from digitexp.experiments.folds import experiment
from sweeps.experiment import TrialSpec

pytestmark = [pytest.mark.tensorflow, pytest.mark.nightly]

TUTORIAL = {
    "hidden_layers": 2, "units_1": 25, "units_2": 15, "dropout_1": 0.2, "dropout_2": 0.0,
    "learning_rate": 0.001, "batch_size": 32, "epochs": 40,
    "early_stopping_patience_epochs": None, "plateau_patience_epochs": None,
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
    ("config", "mean", "deviation", "blocks"),
    [
        pytest.param(TUTORIAL, 0.922, 0.0075, 20, id="the tutorial's net"),
        pytest.param(WIDE, 0.960, 0.0064, 20, id="the best dense net"),
        pytest.param(ATTACKED, 0.958, 0.0083, 20, id="trained on attacked images"),
        # A training takes more than a minute of CPU time, those above one to five seconds.
        pytest.param(AUGMENTED, 0.986, 0.0026, 4, id="convolutions and augmentation"),
    ],
)
def test_a_net_reaches_what_the_table_says(config, mean, deviation, blocks, data):
    reached = statistics.mean(accuracy(config, block, data) for block in range(blocks))
    assert reached >= mean - 3 * deviation / math.sqrt(blocks)


def accuracy(config, block, data):
    spec = TrialSpec("accuracies", block, 1, 0, {**config, "block": block})
    return experiment.train(spec, data, lambda epoch, values: None).metrics["block_accuracy"]
