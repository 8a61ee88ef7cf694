"""A checkpoint is whole and of its own trial, or the trial begins anew."""

import hashlib
import json
import math
import pickle
import random
from dataclasses import asdict, replace

import numpy as np
import pytest

from sweeps.executors.checkpoint import CheckpointFile, CheckpointPlace, is_left, owner_of
from sweeps.experiment import PreparedData, TrialSpec
from tests.sweeps.factories import make_record

STATE = {
    "weights": [np.arange(6.0).reshape(2, 3), np.zeros((0, 2), np.float32)],
    "best": np.float64(0.1),
    "python": random.Random(1).getstate(),
    "generator": np.random.default_rng(3).bit_generator.state,
    "history": {"loss": [0.1, math.inf]},
    "nothing": None,
    "text": "\u03b1",
    "stopped": False,
}


@pytest.fixture
def place(tmp_path):
    return CheckpointPlace(tmp_path / ".checkpoints" / "0003", "mine", 0.0)


def opened(place):
    reported = []
    return CheckpointFile(place, lambda *epoch: reported.append(epoch)), reported


def save(place, state=STATE, epochs=2):
    file, _ = opened(place)
    for epoch in range(epochs):
        file.note({"loss": 1.0 / (epoch + 1), "rate": math.nan})
    file.save(state)
    return file


def test_a_state_comes_back_with_its_types_and_its_epochs_are_reported_again(place):
    assert save(place).refused is None
    file, reported = opened(place)
    found = file.load()
    np.testing.assert_equal(found, STATE)
    assert [type(found[name]) for name in STATE] == [type(value) for value in STATE.values()]
    assert found["weights"][1].dtype == np.float32
    assert random.Random().setstate(found["python"]) is None
    assert (file.resume(), file.resumed_from) == (2, 2)
    assert [(epoch, metrics["loss"]) for epoch, metrics in reported] == [(0, 1.0), (1, 0.5)]
    assert place.said() == "goes on from its checkpoint, after epoch 2"


def test_a_sweep_that_was_moved_away_gets_no_folder_of_its_checkpoints_alone(tmp_path):
    away = CheckpointPlace(tmp_path / "sweep" / ".checkpoints" / "0003", "mine", 0.0)
    assert "cannot be written" in save(away).refused
    assert not (tmp_path / "sweep").exists()


def test_without_a_file_there_is_nothing_to_load_and_nothing_to_say(place):
    assert opened(place)[0].load() is None
    assert place.said() is None


def test_every_cut_or_changed_byte_is_noticed(place):
    save(place, {"weights": np.arange(3)})
    whole = place.path.read_bytes()
    for position in range(0, len(whole), 7):
        changed = bytes([whole[position] ^ 1])
        for damaged in (whole[:position], whole[:position] + changed + whole[position + 1 :]):
            place.path.write_bytes(damaged)
            assert opened(place)[0].load() is None
            assert place.said().startswith("begins anew: its checkpoint is damaged")


def test_a_file_whose_checksum_fits_and_that_holds_no_state_is_refused(place):
    save(place)
    place.path.write_bytes(hashlib.sha256(b"PK nothing").digest() + b"PK nothing")
    assert opened(place)[0].load() is None
    assert place.said().startswith("begins anew: its checkpoint is damaged")


def test_the_checkpoint_of_another_training_is_not_used(place):
    save(place)
    other = CheckpointPlace(place.path, "another", 0.0)
    assert opened(other)[0].load() is None
    assert "of another configuration, code, data, version or processor" in other.said()


SPEC = TrialSpec("s", 3, 1, seed=7, config={"x": 0.5})
DATA = PreparedData("toy", "ab", "cd", {}, None)
HERE = {"python": "3.11", "packages": {"numpy": "2"}, "code": "12", "cpu": {"features": ["avx"]}}


def test_only_attempt_trial_and_epochs_do_not_count():
    own = owner_of(SPEC, DATA, HERE)
    assert owner_of(replace(SPEC, attempt=2), DATA, {**HERE, "hostname": "elsewhere"}) == own
    longer = replace(SPEC, trial=4, config={**SPEC.config, "epochs": 80})
    assert owner_of(longer, DATA, HERE) == own
    others = [
        *((replace(SPEC, **one), DATA, HERE) for one in (
            {"sweep": "t"}, {"seed": 8}, {"config": {"x": 0.6}},
        )),
        *((SPEC, replace(DATA, **one), HERE) for one in ({"digest": "x"}, {"split_digest": "x"})),
        *((SPEC, DATA, {**HERE, **one}) for one in (
            {"python": "3.12"}, {"packages": {}}, {"code": "13"}, {"cpu": {"features": []}},
        )),
    ]  # fmt: skip
    assert own not in {owner_of(*other) for other in others}


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"a": [object()]}, "state.a[0] is of type object"),
        ({1: 2}, "state is of type dict"),
        ({"a": np.array([object()])}, "state.a is an array of object"),
        ({"a": {2}}, "state.a is of type set"),
    ],
)
def test_a_state_that_cannot_be_saved_is_said_now_and_to_the_next_attempt(odd, said, place):
    file = save(place, odd)
    assert file.refused == f"its state cannot be saved: {said}"
    assert not file.is_due()
    again, reported = opened(place)
    assert (again.load(), reported) == (None, [])
    assert place.said() == f"begins anew: its state cannot be saved: {said}"


def test_a_disk_that_cannot_be_written_ends_no_training(place):
    place.path.parent.write_text("a file where the folder should be")
    file = save(place)
    assert "cannot be written" in file.refused
    assert not file.is_due()


def test_it_is_due_when_enough_time_has_passed(place):
    file, _ = opened(CheckpointPlace(place.path, "mine", 3600.0))
    assert not file.is_due()
    assert opened(place)[0].is_due()


def test_a_spec_can_still_be_pickled_and_written_as_json(place):
    spec = replace(SPEC, checkpoint=opened(place)[0])
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert json.loads(json.dumps(asdict(spec)))["checkpoint"] is None


@pytest.mark.parametrize(
    ("outcome", "reason", "ends_trial", "expected"),
    [
        ("interrupted", "interrupt", False, True),
        ("failed", "crash", False, True),
        ("failed", "oom", False, True),
        ("failed", "killed", False, True),
        ("failed", "crash", True, False),
        ("failed", "error", False, False),
        ("failed", "timeout", False, False),
        ("diverged", "diverged", True, False),
        ("complete", "max_epochs", True, False),
    ],
)
def test_it_is_left_to_attempts_that_were_cut_off(outcome, reason, ends_trial, expected):
    record = make_record(outcome=outcome, reason=reason, ends_trial=ends_trial)
    assert is_left(record) is expected
