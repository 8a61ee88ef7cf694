import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, recall_score

from digitexp.metrics import accuracy, confusion_counts, cross_entropy, recalls

RNG = np.random.default_rng(0)
LABELS = np.concatenate([np.arange(4), RNG.integers(0, 4, 60)])
LOGITS = RNG.normal(size=(64, 4)).astype(np.float32)
SAID = LOGITS.argmax(axis=1)


def test_accuracy_and_counts_agree_with_scikit_learn():
    assert accuracy(LOGITS, LABELS) == accuracy_score(LABELS, SAID)
    counts = confusion_counts(LOGITS, LABELS)
    assert counts.dtype == np.uint32
    np.testing.assert_array_equal(counts, confusion_matrix(LABELS, SAID))


def test_cross_entropy_agrees_with_scikit_learn():
    wide = np.exp(LOGITS.astype(float))
    expected = log_loss(LABELS, wide / wide.sum(axis=1, keepdims=True))
    assert cross_entropy(LOGITS, LABELS) == pytest.approx(expected, abs=1e-12)


def test_huge_logits_do_not_overflow():
    assert cross_entropy(np.array([[1e30, 0.0]], np.float32), np.array([1])) == pytest.approx(1e30)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_broken_logit_gives_a_broken_loss(bad):
    assert not math.isfinite(cross_entropy(np.array([[bad, 0.0]], np.float32), np.array([0])))


def test_recalls_agree_with_scikit_learn():
    found = recalls(confusion_counts(LOGITS, LABELS), ["0", "1", "2", "3"])
    expected = recall_score(LABELS, SAID, average=None)
    np.testing.assert_allclose([found[f"recall_{i}"] for i in range(4)], expected)


def test_a_class_without_images_has_no_recall():
    assert recalls(np.array([[3, 1], [0, 0]]), ["a", "b"]) == {"recall_a": 0.75}


def test_names_are_made_fit_for_a_metric():
    found = recalls(np.eye(2, dtype=int), ["T-shirt/top", "Ankle boot"])
    assert list(found) == ["recall_T-shirt_top", "recall_Ankle_boot"]
    assert list(recalls(np.eye(2, dtype=int), ["a b", "a/b"])) == ["recall_0", "recall_1"]
