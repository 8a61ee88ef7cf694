from itertools import pairwise

import pytest

from digitexp.plots.robustness import LOWEST_NAME, NEAREST, place_names


@pytest.mark.parametrize(
    "heights", [[421.0], [414.0, 421.0], [400.0, 420.0, 421.0], [80.0, 80.0, 421.0, 421.0]]
)
def test_names_cover_neither_each_other_nor_the_axis(heights):
    places = place_names(heights)
    assert max(places) <= LOWEST_NAME
    assert all(after - before >= NEAREST for before, after in pairwise(places))


def test_names_with_room_stand_at_the_ends_of_their_lines():
    assert place_names([90.0, 200.0, 300.0]) == [90.0, 200.0, 300.0]
