"""The calibration error against a plain one, by hand, and on networks known to be right."""

import numpy as np
import pytest

from digitexp.calibration import calibration_terms, reliability
from tests.digitexp.calibration.drawn import drawn


def error(logits, labels, bins=15):
    return calibration_terms(logits, labels, bins).mean()


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
    terms = calibration_terms(logits / temperature, labels, bins)
    assert terms.mean() == pytest.approx(plain_error(logits, labels, temperature, bins), abs=1e-12)
    assert np.abs(terms).max() <= 1


def test_by_hand():
    logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.3, 0.7]])
    # Two answers at 0.9, one of them right: 0.4 off; two at 0.7, both right: 0.3 off.
    assert error(logits, [0, 1, 1, 1]) == pytest.approx(0.35)
    shown = reliability(logits, [0, 1, 1, 1], bins=5)
    assert shown.counts.tolist() == [0, 0, 0, 2, 2]
    assert shown.confidence[3:] == pytest.approx([0.7, 0.9])
    assert shown.accuracy[3:] == pytest.approx([1.0, 0.5])
    assert np.isnan(shown.accuracy[:3]).all()
    assert shown.edges == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


def test_a_confidence_at_an_edge_belongs_to_the_bin_below_it():
    even = np.zeros((3, 2))  # a confidence of a half exactly
    assert reliability(even, [0, 0, 1], bins=4).counts.tolist() == [0, 3, 0, 0]


def test_sure_and_wrong_is_an_error_of_1_and_sure_and_right_of_0():
    logits = np.eye(10) * 1e3
    assert error(logits, np.roll(np.arange(10), 1)) == 1.0
    assert error(logits, np.arange(10)) == 0.0
    assert reliability(logits, np.arange(10)).counts.tolist() == [0] * 14 + [10]


def test_of_more_images_a_perfect_network_errs_less_and_a_proud_one_as_much():
    perfect = [error(*drawn(n, 1.0)) for n in (500, 8000, 64_000)]
    assert perfect[0] > perfect[1] > perfect[2]
    assert perfect[2] < 0.005
    proud = [error(*drawn(n, 2.0)) for n in (8000, 64_000)]
    assert proud[0] == pytest.approx(proud[1], rel=0.1)
    assert proud[1] > 0.05


def test_the_order_of_images_the_names_of_classes_and_shifts_change_nothing():
    logits, labels = drawn(700, 1.5)
    found = error(logits, labels)
    rng = np.random.default_rng(1)
    order, classes = rng.permutation(700), rng.permutation(10)
    assert error(logits[order], labels[order]) == pytest.approx(found)
    renamed = error(logits[:, classes], classes.argsort()[labels])
    assert renamed == pytest.approx(found)
    assert error(logits + 77, labels) == pytest.approx(found)


def test_what_cannot_be_measured_is_refused():
    for measure in (calibration_terms, reliability):
        with pytest.raises(ValueError, match="finite"):
            measure([[0.0, np.nan]], [0])
