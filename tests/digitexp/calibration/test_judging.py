"""Before and after: intervals that hold, and words that are right."""

import numpy as np
import pytest

from digitexp.calibration import calibration_terms, compare, measured_terms
from tests.chance import at_least, at_most
from tests.digitexp.calibration.drawn import drawn, true_changes

DRAWS = 500


def test_values_are_those_of_the_measures():
    logits, labels = drawn(500, 1.6)
    found = compare(logits, labels, 1.6)
    assert found["ece"].before.value == pytest.approx(calibration_terms(logits, labels).mean())
    after = calibration_terms(logits / 1.6, labels).mean()
    assert found["ece"].after.value == pytest.approx(after)
    for one in found.values():
        assert one.change.value == pytest.approx(one.after.value - one.before.value)
        assert all(i.low <= i.value <= i.high for i in (one.before, one.after, one.change))
        assert one.before.low >= 0
    rows = np.exp(logits[0] / 1.6)
    _, terms = measured_terms(logits, labels, np.full(500, 1.6))
    assert terms["nll"][0] == pytest.approx(-np.log(rows[labels[0]] / rows.sum()))


def test_a_proud_network_gets_lower_and_a_spoilt_one_higher():
    logits, labels = drawn(2000, 2.0)
    assert {one.word for one in compare(logits, labels, 2.0).values()} == {"lower"}
    assert {one.word for one in compare(logits / 2, labels, 0.5).values()} == {"higher"}
    assert {one.word for one in compare(logits, labels, 1.0).values()} == {"cannot tell"}


@pytest.mark.parametrize("temperature", [1.05, pytest.param(1.4, marks=pytest.mark.slow)])
def test_intervals_of_the_change_cover_what_it_truly_is(temperature):
    found = [compare(*drawn(1000, temperature, seed), temperature) for seed in range(DRAWS)]
    for name, truth in true_changes(1000, temperature).items():
        changes = [one[name].change for one in found]
        covered = sum(change.low <= truth <= change.high for change in changes)
        assert covered >= at_least(0.95, DRAWS), name
        assert sum(one[name].word == "higher" for one in found) <= at_most(0.025, DRAWS), name
        # An estimate of twice the truth, in twice the interval, would cover it as well.
        values = [change.value for change in changes]
        assert abs(np.mean(values) - truth) <= 3 * np.std(values) / DRAWS**0.5, name


@pytest.mark.parametrize(
    ("temperatures", "said"), [(0.0, "above 0"), ([1.0, -1.0], "above 0"), (float("nan"), "above")]
)
def test_impossible_temperatures_are_refused(temperatures, said):
    with pytest.raises(ValueError, match=said):
        compare([[0.0, 1.0], [1.0, 0.0]], [0, 1], temperatures)


def test_one_image_has_no_interval():
    with pytest.raises(ValueError, match="two or more"):
        compare([[0.0, 1.0]], [0], 1.0)
