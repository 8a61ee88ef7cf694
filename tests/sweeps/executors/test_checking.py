"""Odd results of an experiment: made plain where they can be, refused with a reason otherwise."""

import dataclasses

import numpy as np
import pytest

from sweeps.executors.attempt import checked
from sweeps.experiment import TrialResult

PLAIN = TrialResult(
    outcome="complete",
    stop_reason="max_epochs",
    metrics={"score": 0.5},
    history={"loss": [1.0, 0.5]},
)


def test_numpy_numbers_become_plain_ones():
    odd = dataclasses.replace(
        PLAIN,
        metrics={"score": np.float32(0.5)},
        history={"loss": np.array([1.0, 0.5], np.float32)},
        timings={"train_seconds": np.float64(2.0)},
        info={"shape": np.array([20, 20]), "n": np.int64(3)},
        arrays={"logits": [[1.0, 2.0]]},
    )
    result = checked(odd)
    assert (result.metrics, result.history) == (PLAIN.metrics, PLAIN.history)
    assert type(result.history["loss"][0]) is type(result.metrics["score"]) is float
    assert result.info == {"shape": [20, 20], "n": 3}
    assert result.arrays["logits"].shape == (1, 2)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, "returned NoneType, not a TrialResult"),
        ({"score": 1}, "returned dict"),
        (dataclasses.replace(PLAIN, outcome="fine"), "outcome 'fine'"),
        (dataclasses.replace(PLAIN, metrics={"score": None}), "None as metric 'score'"),
        (dataclasses.replace(PLAIN, metrics={"score": "high"}), "'high' as metric 'score'"),
        (dataclasses.replace(PLAIN, history={"loss": [[1.0]]}), "history of 'loss'"),
        (dataclasses.replace(PLAIN, arrays={"a": np.array([print])}), "array 'a' of Python objec"),
        (dataclasses.replace(PLAIN, info={"f": print}), "JSON cannot hold"),
        (dataclasses.replace(PLAIN, metrics=dict.fromkeys(map(str, range(20_000)), 1.0)), "20000"),
    ],
)
def test_what_cannot_be_stored_is_refused(result, expected):
    with pytest.raises((TypeError, ValueError), match=expected):
        checked(result)
