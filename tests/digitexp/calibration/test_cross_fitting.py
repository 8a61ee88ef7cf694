"""One network's calibration by its validation images alone: nothing flatters it, all is data."""

import json

import numpy as np
import pytest

from digitexp.calibration import (
    FOLDS,
    calibration_terms,
    cross_fit,
    cross_fitted_temperatures,
    fit_temperature,
)
from tests.digitexp.calibration.drawn import drawn


@pytest.fixture(scope="module")
def found():
    return cross_fit(*drawn(1000, 2.0))


def test_the_temperature_is_that_of_all_and_the_errors_those_of_the_folds(found):
    logits, labels = drawn(1000, 2.0)
    each = cross_fitted_temperatures(logits, labels)
    assert found.temperature == fit_temperature(logits, labels)
    assert found.temperatures == tuple(np.unique(each))
    assert len(found.temperatures) == FOLDS
    assert found.accuracy == np.mean(logits.argmax(axis=1) == labels)
    cooled = logits / each[:, np.newaxis]
    before, after = (calibration_terms(one, labels).mean() for one in (logits, cooled))
    assert found.measures["ece"].before.value == pytest.approx(before)
    assert found.measures["ece"].after.value == pytest.approx(after)
    assert [one.word for one in found.measures.values()] == ["lower", "lower"]


def test_what_fits_nothing_gains_nothing_on_images_that_did_not_fit_it():
    """A network that is right already: fitting on the judged images would look like a gain."""
    gains, flattered = [], []
    for seed in range(40):
        logits, labels = drawn(200, 1.0, seed, spread=3.0)
        found = cross_fit(logits, labels).measures["nll"]
        gains.append(found.change.value)
        own = cross_fit(logits / fit_temperature(logits, labels), labels).measures["nll"]
        flattered.append(own.before.value - found.before.value)
    assert np.mean(flattered) < 0 < np.mean(gains)


def test_everything_is_data(found):
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["ece"]["change"][0] == found.measures["ece"].change.value
    assert document["nll"]["verdict"] == "lower"
    assert sum(document["reliability"]["before"]["counts"]) == 1000
    assert len(document["reliability"]["after"]["edges"]) == 16
    assert document["reliability"]["before"]["accuracy"][0] is None, "nobody is less sure than 7 %"


def test_a_network_without_a_mistake_stays_as_it_is():
    found = cross_fit(np.tile(np.eye(10) * 8.0, (5, 1)), np.tile(np.arange(10), 5))
    assert (found.temperature, found.temperatures) == (1.0, (1.0,))
    assert found.measures["ece"].word == "cannot tell"
