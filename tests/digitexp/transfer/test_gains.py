"""The paired interval of a gain, and its verdict."""

import numpy as np
import pytest

from digitexp.transfer import Gain, PairedAccuracies


def test_the_interval_is_that_of_scipys_paired_t_test():
    from scipy.stats import ttest_rel

    alone, started = [0.80, 0.82, 0.79, 0.85], [0.84, 0.85, 0.86, 0.86]
    gain = PairedAccuracies(20, 0, alone, started).gain
    expected = ttest_rel(started, alone).confidence_interval(0.95)
    assert gain.mean == pytest.approx(np.mean(started) - np.mean(alone))
    assert (gain.low, gain.high) == pytest.approx((expected.low, expected.high))


def test_equal_differences_leave_no_doubt():
    gain = PairedAccuracies(20, 0, (0.5, 0.75), (0.75, 1.0)).gain
    assert gain == Gain(0.25, 0.25, 0.25)
    assert gain.verdict == "gain"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.02, "gain"), (-0.02, -0.01, "harm"), (-0.01, 0.02, "none"), (0.0, 0.02, "none"),
     (-0.02, 0.0, "none")],
)  # fmt: skip
def test_the_verdict_says_whether_the_interval_contains_nothing(low, high, verdict):
    assert Gain((low + high) / 2, low, high).verdict == verdict
