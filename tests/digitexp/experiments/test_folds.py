"""What a training on a block gets wrong, from what was recorded of it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from digitexp.experiments.folds import experiment
from sweeps.experiment import TrialResult


@pytest.fixture(scope="module")
def data():
    return experiment.prepare("digits20", 0)


def result(metrics=None, **arrays):
    return TrialResult("complete", "max_epochs", metrics or {}, {}, arrays=arrays)


def logits_of(labels, wrong=0):
    """Return logits that are right but for the first few, each taken for the next class."""
    said = labels.copy()
    said[:wrong] = (said[:wrong] + 1) % 10
    return np.eye(10, dtype=np.float32)[said]


def test_the_images_of_its_block_are_examined(data):
    pool = data.payload
    images = pool.fold_of({"block": 2}).evaluation_indices
    logits = logits_of(pool.source.labels[images], wrong=3)
    arrays = {"block_images": images.astype(np.int32), "block_logits": logits}
    files = experiment.examine({"block": 2}, data, result({"train_accuracy": 0.9}, **arrays))
    found = json.loads(files["diagnostics.json"])
    assert (found["part"], found["images"], found["errors"]) == ("fold 2", 1000, 3)
    assert found["train_accuracy"] == 0.9
    assert {one["image_number"] for one in found["mistakes"]} == set(images[:3].tolist())


def test_one_that_was_trained_on_everything_is_refused(data):
    logits = logits_of(data.payload.source.labels[data.payload.split.validation_indices])
    with pytest.raises(ValueError, match="trained on everything"):
        experiment.examine({"refit_epochs": 9}, data, result(validation_logits=logits))


def test_finalists_keep_their_training_accuracy():
    assert "train_accuracy" in experiment.metrics


ON_A_FOLD = """
import sys
import numpy as np
from digitexp.experiments.folds import experiment
from sweeps.experiment import TrialSpec

data = experiment.prepare("sklearn-digits", 0)
spec = TrialSpec("s", 0, 1, 0, {"epochs": 4, "learning_rate": 0.01, "block": 1})
result = experiment.train(spec, data, lambda epoch, values: None)
assert result.engine == "compiled"
assert not {"tensorflow", "keras"} & set(sys.modules)
assert result.metrics["block_accuracy"] > 0.8
from digitexp.tensorflow_setup import set_up_tensorflow  # judged by Keras it is the same
set_up_tensorflow()
model = experiment.load_model(spec.config, result.weights, data.info)
for name, logits in experiment.recomputed(model, spec.config, data).items():
    np.testing.assert_allclose(result.arrays[name], logits, rtol=1e-4, atol=1e-4)
"""


@pytest.mark.slow
@pytest.mark.keras
def test_a_dense_net_is_trained_and_judged_on_a_fold_without_keras():
    subprocess.run([sys.executable, "-c", ON_A_FOLD], check=True, timeout=120)


def test_another_drawing_has_other_folds_and_seeds_of_the_same_images(data):
    pool = data.payload
    blocks = [pool.fold_of({"block": number, "fresh": 3}) for number in range(4)]
    images = np.concatenate([block.evaluation_indices for block in blocks])
    assert sorted(images) == list(pool.split.train_indices)
    first = [pool.fold_of({"block": number}) for number in range(4)]
    assert pool.fold_of({"block": 1, "fresh": 0}).seed == first[1].seed
    for block, other in zip(blocks, first, strict=True):
        assert block.seed != other.seed
        assert not np.array_equal(block.evaluation_indices, other.evaluation_indices)
