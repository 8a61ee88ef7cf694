"""The nets of the accuracy table still reach on fresh folds what it says.

docs/evidence/accuracy.md has of each net its mean over 20 folds and the standard deviation of one
training. Here it is trained on the first of the same blocks, and the mean of these may lie three
of its standard errors below the table's. Blocks come in fours that judge each image once.
"""

import math
import statistics

import pytest

from benchmarks.accuracy import ATTACKED, AUGMENTED, TUTORIAL, WIDE
from digitexp.experiments.digits import experiment as searched
from sweeps.experiment import TrialSpec
from sweeps.experiments.folds import FoldExperiment

experiment = FoldExperiment(searched, "digits@folds")
pytestmark = [pytest.mark.tensorflow, pytest.mark.nightly]


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
    return experiment.train(spec, data, lambda epoch, values: None).metrics["best_val_accuracy"]
