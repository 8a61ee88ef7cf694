"""A trial with more epochs comes out as if it had had them at once."""

from __future__ import annotations

import numpy as np
import pytest

import sweeps
from tests.sweeps.cli.test_more_epochs import records_of

PLATEAU = ("plateau_patience_epochs=1", "early_stopping_patience_epochs=4", "dropout=0.3")
COSINE = ("learning_rate_schedule=cosine",)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("settings", "every", "went_on"),
    [
        pytest.param((), None, None, marks=pytest.mark.slow),  # a short trial keeps no state
        pytest.param(PLATEAU, 0, 2, marks=pytest.mark.slow),
        pytest.param(COSINE, 0, None, marks=pytest.mark.slow),  # its rates would have been others
    ],
    ids=["short", "long", "schedule"],
)
def test_a_digits_trial_with_more_epochs_is_the_one_that_had_them_at_once(
    make_home, settings, every, went_on
):
    """To the bit: curves, score and weights."""
    options = {"trials": 1, "workers": 0, "progress": "quiet", "checkpoint_every": every}
    few = {"home": make_home("few"), "overrides": ["epochs=2", *settings], **options}
    sweeps.run("smoke", **few)
    found = sweeps.run("smoke", more_epochs=3, **few)
    states = [path.name for path in make_home("few").rglob(".checkpoints/*")]
    assert sorted(states) == ([] if every is None else ["0000.last", "0001.last"])
    many = {"home": make_home("many"), "overrides": ["epochs=5", *settings]}
    at_once = sweeps.run("smoke", **many, **options)
    longer, whole = records_of(found)[1], records_of(at_once)[0]
    assert longer.resumed_from == went_on
    scores, expected = longer.result.metrics, whole.result.metrics
    assert {**scores, "train_seconds": 0} == {**expected, "train_seconds": 0}
    store, other = found.home.store(found.info.id), at_once.home.store(at_once.info.id)
    assert longer.result.history == whole.result.history
    mine, its = store.weights(longer), other.weights(whole)
    assert all(np.array_equal(mine[name], its[name]) for name in its)
