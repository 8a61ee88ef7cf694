"""Bars of the pairs that are confused most."""

from digitexp.plots import colors
from digitexp.plots.pairs import MOST_PAIRS, ROW, draw_pairs
from tests.digitexp.plots.pictures import pixels, share_of


def test_a_bar_is_as_long_as_its_pair_was_confused():
    bars = pixels(draw_pairs([("4", "9"), ("3", "8")], [(6, 2), (2, 0)]))
    orange = [int(color) for color in bytes.fromhex(colors.WRONG[1:])]
    lengths = (bars == orange).all(axis=2).sum(axis=1)
    rows = [row for row in lengths if row]
    assert rows[0] == 3 * rows[-1]
    assert len(rows) == 40


def test_more_pairs_than_fit_are_left_out():
    def height(pairs):
        return pixels(draw_pairs([("4", "9")] * pairs, [(2, 1)] * pairs)).shape[0]

    assert height(2) - height(1) == ROW
    assert height(MOST_PAIRS + 5) == height(MOST_PAIRS)


def test_without_any_pair_only_that_is_said():
    empty = draw_pairs([], [])
    assert share_of(empty, colors.WRONG) == 0
    assert (pixels(empty) < 100).any()
