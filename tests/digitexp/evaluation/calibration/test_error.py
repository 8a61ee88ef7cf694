"""The calibration error against a plain one, by hand, and on networks known to be right."""

import numpy as np
import pytest

from digitexp.evaluation.calibration import (
    binned,
    calibration_terms,
    error_if_calibrated,
    expected_calibration_error,
    reliability,
)
from tests.digitexp.evaluation.calibration.drawn import drawn


def plain_error(logits, labels, temperature, bins):
    """Return the calibration error, image by image, as the paper writes it."""
    groups = {}
    for row, label in zip(np.asarray(logits) / temperature, labels, strict=True):
        shares = np.exp(row - row.max())
        shares /= shares.sum()
        place = next(b for b in range(bins) if shares.max() <= (b + 1) / bins or b == bins - 1)
        groups.setdefault(place, []).append((shares.max(), float(row.argmax() == label)))
    total = sum(map(len, groups.values()))
    return sum(
        len(group) / total * abs(np.mean([c for c, _ in group]) - np.mean([r for _, r in group]))
        for group in groups.values()
    )


@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_it_is_what_the_paper_says(temperature, bins):
    logits, labels = drawn(700, 1.5)
    found = expected_calibration_error(logits, labels, temperature, bins)
    assert found == pytest.approx(plain_error(logits, labels, temperature, bins), abs=1e-12)
    terms = calibration_terms(logits, labels, temperature, bins)
    assert terms.mean() == pytest.approx(found)
    assert np.abs(terms).max() <= 1


def test_by_hand():
    logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.3, 0.7]])
    # Two answers at 0.9, one of them right: 0.4 off; two at 0.7, both right: 0.3 off.
    assert expected_calibration_error(logits, [0, 1, 1, 1]) == pytest.approx(0.35)
    shown = reliability(logits, [0, 1, 1, 1], bins=5)
    assert shown.counts.tolist() == [0, 0, 0, 2, 2]
    assert shown.confidence[3:] == pytest.approx([0.7, 0.9])
    assert shown.accuracy[3:] == pytest.approx([1.0, 0.5])
    assert np.isnan(shown.accuracy[:3]).all()
    assert shown.edges == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


def test_a_confidence_at_an_edge_belongs_to_the_bin_below_it():
    edges = np.array([0.0, 0.25, 0.5, 1.0])
    assert binned(np.array([0.25, 0.3, 0.5, 0.75, 1.0]), edges).tolist() == [0, 1, 1, 2, 2]
    even = np.zeros((3, 2))  # a confidence of a half exactly
    assert reliability(even, [0, 0, 1], bins=4).counts.tolist() == [0, 3, 0, 0]


def test_sure_and_wrong_is_an_error_of_1_and_sure_and_right_of_0():
    logits = np.eye(10) * 1e3
    assert expected_calibration_error(logits, np.roll(np.arange(10), 1)) == 1.0
    assert expected_calibration_error(logits, np.arange(10)) == 0.0
    assert reliability(logits, np.arange(10)).counts.tolist() == [0] * 14 + [10]


def test_a_perfect_network_errs_by_the_noise_that_is_expected_of_so_many_images():
    for images in (250, 1000, 4000):
        both = [
            (expected_calibration_error(*one), error_if_calibrated(*one))
            for one in (drawn(images, 1.0, seed) for seed in range(60))
        ]
        found, expected = np.array(both).T
        error = found.std() / 60**0.5
        # A bin with a handful of images is not normal: allow a little beyond chance.
        assert found.mean() == pytest.approx(expected.mean(), abs=3 * error + 0.03 * found.mean())


def test_of_more_images_a_perfect_network_errs_less_and_a_proud_one_as_much():
    perfect = [expected_calibration_error(*drawn(n, 1.0)) for n in (500, 8000, 64_000)]
    assert perfect[0] > perfect[1] > perfect[2]
    assert perfect[2] < 0.005
    proud = [expected_calibration_error(*drawn(n, 2.0)) for n in (8000, 64_000)]
    assert proud[0] == pytest.approx(proud[1], rel=0.1)
    assert proud[1] > 0.05


def test_the_order_of_images_the_names_of_classes_and_shifts_change_nothing():
    logits, labels = drawn(700, 1.5)
    found = expected_calibration_error(logits, labels)
    rng = np.random.default_rng(1)
    order, classes = rng.permutation(700), rng.permutation(10)
    assert expected_calibration_error(logits[order], labels[order]) == pytest.approx(found)
    renamed = expected_calibration_error(logits[:, classes], classes.argsort()[labels])
    assert renamed == pytest.approx(found)
    assert expected_calibration_error(logits + 77, labels) == pytest.approx(found)
    assert expected_calibration_error(2 * logits, labels, 2.0) == pytest.approx(found)


class TestEqualMass:
    def test_bins_hold_as_many_images_each(self):
        logits, labels = drawn(600, 1.5)
        found = expected_calibration_error(logits, labels, equal_mass=True)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        confidence = (shares / shares.sum(axis=1, keepdims=True)).max(axis=1)
        gaps = (confidence - (logits.argmax(axis=1) == labels))[confidence.argsort()]
        assert found == pytest.approx(np.abs(gaps.reshape(15, 40).mean(axis=1)).mean(), abs=2e-3)

    def test_answers_of_one_confidence_stay_together_whatever_their_order(self):
        logits, labels = np.tile([[3.0, 0.0]], (90, 1)), np.repeat([0, 1], [80, 10])
        once = expected_calibration_error(logits, labels, equal_mass=True)
        assert once == expected_calibration_error(logits, labels[::-1], equal_mass=True)
        assert once == pytest.approx(1 / (1 + np.exp(-3)) - 80 / 90)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (([[0.0, np.nan]], [0]), "finite"),
        (([[0.0, 1.0]], [0], 0.0), "temperature 0.0: give a number above 0"),
        (([[0.0, 1.0]], [0], float("nan")), "temperature nan"),
        (([[0.0, 1.0]], [0], 1.0, 0), "bins 0: give 1 or more"),
    ],
)
@pytest.mark.parametrize("measure", [expected_calibration_error, reliability, error_if_calibrated])
def test_what_cannot_be_measured_is_refused(measure, words, said):
    with pytest.raises(ValueError, match=said):
        measure(*words)
