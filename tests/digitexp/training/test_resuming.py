"""A training that is cut off goes on from its checkpoint, and comes out the same to the bit."""

from dataclasses import replace

import numpy as np
import pytest

from digitexp.config import TrialConfig
from digitexp.training.train import train
from sweeps.executors.checkpoint import CheckpointFile, CheckpointPlace
from tests.digitexp.small_data import small_digits
from tests.digitexp.training.test_train import BUSY, assert_equal_to_the_bit

CNN = TrialConfig(
    architecture="cnn", filters=(3,), units=(8,), dropout=0.3, conv_dropout=0.2, batch_norm=True,
    learning_rate_schedule="cosine", rotation=20.0, shift=0.1, epochs=6, seed=3,
    early_stopping_patience_epochs=3, engine="keras",
)  # fmt: skip
"""Uses all that is random in `model.fit`: order, dropout, augmentation; and running means."""
CASES = {
    "compiled": BUSY,
    "compiled, a schedule": replace(BUSY, learning_rate_schedule="exponential", epochs=8),
    "keras": replace(BUSY, engine="keras", epochs=5),
    "keras, augmented": CNN,
    "keras, a pipeline": replace(BUSY, engine="keras", epochs=6, input_pipeline="tf_data"),
}
IN_KERAS = {
    "keras": [pytest.mark.tensorflow, pytest.mark.slow],
    "keras, augmented": [pytest.mark.tensorflow, pytest.mark.nightly],
    "keras, a pipeline": [pytest.mark.tensorflow, pytest.mark.nightly],
}


class Killed(BaseException):
    """Ends a training between two of its epochs, as a kill would."""


def attempt(config, place, last=None):
    """Train until an epoch has ended; return the outcome, the first epoch, and those reported."""
    reported = []

    def on_epoch(epoch, metrics):
        checkpoint.note(metrics)
        reported.append((epoch, dict(metrics)))
        if epoch == last:
            raise Killed

    checkpoint = CheckpointFile(place, on_epoch)
    try:
        return train(config, small_digits(), on_epoch, checkpoint), checkpoint, reported
    except Killed:
        return None, checkpoint, reported


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=IN_KERAS.get(case, ())) for case in CASES]
)
def test_it_goes_on_from_its_checkpoint_and_comes_out_the_same_to_the_bit(case, tmp_path):
    config, place = CASES[case], CheckpointPlace(tmp_path / "0000", "mine", 0.0)
    undisturbed = train(config, small_digits())
    last = len(undisturbed.history["loss"]) - 1  # best weights are from before, if it stopped early
    kills = (2, 3) if config.engine == "keras" else (1, 2, last - 1, last)
    for killed in kills:
        attempt(config, place, killed)
    outcome, checkpoint, reported = attempt(config, place)
    assert checkpoint.resumed_from == kills[-1]
    assert_equal_to_the_bit(outcome, undisturbed)
    assert [epoch for epoch, _ in reported] == list(range(len(undisturbed.history["loss"])))
    losses = [metrics["loss"] for _, metrics in reported]
    np.testing.assert_array_equal(losses, undisturbed.history["loss"])
    different = {
        name
        for name, value in undisturbed.metrics.items()
        if outcome.metrics[name] != value and not name.endswith("_seconds")
    }
    assert not different


@pytest.mark.parametrize(
    ("case", "goes_on"),
    [
        ("compiled", True),
        ("compiled, a schedule", False),  # its rates would have been others
        pytest.param("keras", True, marks=IN_KERAS["keras"]),
        pytest.param("keras, a pipeline", True, marks=IN_KERAS["keras, a pipeline"]),
    ],
)
def test_more_epochs_go_on_from_the_last_one_and_come_out_as_if_they_had_been_there_at_once(
    case, goes_on, tmp_path
):
    few, last = replace(CASES[case], epochs=3), tmp_path / "0000.last"
    many = replace(few, epochs=5)
    attempt(few, CheckpointPlace(tmp_path / "0000", "mine", 0.0, last))
    outcome, checkpoint, reported = attempt(many, CheckpointPlace(last, "mine", 0.0))
    assert checkpoint.resumed_from == (3 if goes_on else None)
    assert_equal_to_the_bit(outcome, train(many, small_digits()))
    assert [epoch for epoch, _ in reported] == list(range(5))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(BUSY, units=(24, 13)), id="other widths"),
        pytest.param(replace(BUSY, engine="keras"), id="Keras's", marks=IN_KERAS["keras"]),
    ],
)
def test_a_state_of_another_net_is_refused_and_the_training_begins_anew(other, tmp_path):
    place = CheckpointPlace(tmp_path / "0000", "mine", 0.0)
    config = replace(BUSY, epochs=3)
    attempt(replace(other, epochs=3), place, 1)
    outcome, checkpoint, reported = attempt(config, place)
    assert checkpoint.refused == "the net is built otherwise than before"
    assert checkpoint.resumed_from is None
    assert_equal_to_the_bit(outcome, train(config, small_digits()))
    assert [epoch for epoch, _ in reported] == [0, 1, 2]


def test_other_settings_with_more_epochs_begin_anew(tmp_path):
    few, last = replace(BUSY, epochs=2), tmp_path / "0000.last"
    attempt(few, CheckpointPlace(tmp_path / "0000", "mine", 0.0, last))
    _, checkpoint, reported = attempt(
        replace(few, epochs=3, l2=0.0), CheckpointPlace(last, "mine", 0.0)
    )
    assert checkpoint.resumed_from is None
    assert [epoch for epoch, _ in reported] == [0, 1, 2]


def test_a_short_training_keeps_no_state_for_more_epochs(tmp_path):
    place = CheckpointPlace(tmp_path / "0000", "mine", 60.0, tmp_path / "0000.last")
    attempt(replace(BUSY, epochs=3), place)
    assert not list(tmp_path.iterdir())
