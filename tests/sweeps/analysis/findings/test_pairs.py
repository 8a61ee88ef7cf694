import numpy as np
import pytest

from sweeps.analysis.findings import paired_difference, worst_of
from sweeps.interval import wilson


def right(*counts):
    """Return two models' right answers: both, only the first, only the second, neither."""
    first = np.repeat([True, True, False, False], counts)
    second = np.repeat([True, False, True, False], counts)
    return first, second


def test_a_difference_counts_the_samples_only_one_got_right():
    difference = paired_difference(*right(900, 40, 20, 40))
    assert (difference.n, difference.only_first, difference.only_second) == (1000, 40, 20)
    assert difference.value == pytest.approx(0.02)
    # Agresti & Min: (40.5 - 20.5) / 1002, plus and minus 1.96 sqrt(61 - 20^2 / 1002) / 1002
    assert difference.low == pytest.approx(0.00473, abs=1e-4)
    assert difference.high == pytest.approx(0.03519, abs=1e-4)
    assert difference.is_told_apart


@pytest.mark.parametrize("counts", [(1000, 0, 0, 0), (900, 30, 30, 40), (0, 1, 0, 0)])
def test_equal_models_and_single_samples_are_not_told_apart(counts):
    assert not paired_difference(*right(*counts)).is_told_apart


def test_the_other_way_round_is_the_opposite():
    one = paired_difference(*right(900, 40, 20, 40))
    other = paired_difference(*reversed(right(900, 40, 20, 40)))
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


@pytest.mark.parametrize(("only_first", "only_second"), [(0.02, 0.02), (0.05, 0.03), (0.02, 0.005)])
def test_its_interval_covers_the_truth_as_often_as_it_says(only_first, only_second):
    random = np.random.default_rng(0)
    shares = [0.9, only_first, only_second, 0.1 - only_first - only_second]
    truth = only_first - only_second
    covered = 0
    for counts in random.multinomial(1000, shares, size=1000):
        difference = paired_difference(*right(*counts))
        covered += difference.low <= truth <= difference.high
    assert covered / 1000 >= 0.935


@pytest.mark.parametrize(
    ("found", "total", "expected"),
    [(8, 10, (0.4902, 0.9433)), (0, 20, (0.0, 0.1611)), (20, 20, (0.8389, 1.0)), (0, 0, (0, 1))],
)
def test_wilson_is_what_the_tables_say(found, total, expected):
    assert wilson(found, total).ends == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("rows", "shown", "remark"),
    [
        (
            [[99, 1, 0], [20, 70, 10], [0, 0, 100]],
            "b", ", most often taken for a",
        ),
        (
            [[99, 1, 0], [15, 70, 15], [0, 0, 100]],
            "b", ", most often taken for a and c, as often for each",
        ),
        (
            [[92, 5, 3], [8, 92, 0], [0, 6, 94]],
            "a and b (a tie)", "; intervals of 1 other class overlap theirs",
        ),
        (
            [[96, 4, 0], [8, 92, 0], [0, 6, 94]],
            "b", ", most often taken for a; intervals of 2 other classes overlap its own",
        ),
        ([[9, 0, 0], [0, 9, 0], [0, 0, 0]], "a and b (a tie)", ""),
    ],
)  # fmt: skip
def test_the_worst_class_says_where_others_are_as_bad_or_may_be(rows, shown, remark):
    worst = worst_of(np.array(rows), ["a", "b", "c"])
    assert (worst.shown, worst.remark) == (shown, remark)
