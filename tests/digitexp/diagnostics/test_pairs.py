"""Which classes are taken for each other."""

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from digitexp.diagnostics import ConfusedPair, confused_pairs


def test_a_pair_stands_once_with_both_directions_the_more_frequent_first():
    counts = np.zeros((10, 10), np.uint32)
    counts[9, 4], counts[4, 9], counts[3, 8], counts[0, 0] = 5, 2, 3, 90
    assert confused_pairs(counts) == [
        ConfusedPair(first=9, second=4, there=5, back=2, share=0.7),
        ConfusedPair(first=3, second=8, there=3, back=0, share=0.3),
    ]
    assert confused_pairs(counts)[0].count == 7


def test_without_an_error_there_is_no_pair():
    assert confused_pairs(np.eye(3, dtype=np.uint32)) == []


@settings(max_examples=50, deadline=None, phases=[Phase.generate])
@given(arrays(np.uint32, (5, 5), elements=st.integers(0, 50)))
def test_every_error_is_of_exactly_one_pair(counts):
    pairs = confused_pairs(counts)
    errors = int(counts.sum() - np.trace(counts))
    assert sum(pair.count for pair in pairs) == errors
    assert all(pair.there == counts[pair.first, pair.second] >= pair.back for pair in pairs)
    assert all(pair.back == counts[pair.second, pair.first] for pair in pairs)
    sizes = [pair.count for pair in pairs]
    assert sizes == sorted(sizes, reverse=True)
    assert not errors or abs(sum(pair.share for pair in pairs) - 1) < 1e-12
