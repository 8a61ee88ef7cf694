import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from digitexp.plots.sheet import Sheet, text_width
from tests.digitexp.plots.pictures import pixels


def ink_box(sheet: Sheet) -> tuple[int, int, int, int]:
    """Return left, right, top and bottom of what is not white."""
    rows, columns = np.nonzero((pixels(sheet.png()) < 255).any(axis=2))
    return columns.min(), columns.max(), rows.min(), rows.max()


def test_a_new_sheet_is_white_and_has_the_size_asked_for():
    picture = pixels(Sheet(30, 20).png())
    assert picture.shape == (20, 30, 3)
    assert (picture == 255).all()


def test_filling_colours_the_rectangle_and_nothing_else():
    sheet = Sheet(30, 20)
    sheet.fill((3, 7), (10, 12), (1, 2, 3))
    picture = pixels(sheet.png())
    assert (picture[10:12, 3:7] == (1, 2, 3)).all()
    assert (picture != 255).any(axis=2).sum() == 8


def test_a_stroke_goes_through_its_points_and_leaves_gaps():
    sheet = Sheet(100, 50)
    sheet.stroke([10, 40, np.nan, 60, 90], [10, 10, np.nan, 40, 40], "#0000FF", 1.8)
    picture = pixels(sheet.png())
    assert (picture[10, 12:38] == (0, 0, 255)).all()
    assert (picture[40, 62:88] == (0, 0, 255)).all()
    assert (picture[:, 45:55] == 255).all()


@pytest.mark.parametrize(("align", "share"), [("left", 0), ("center", 0.5), ("right", 1)])
def test_text_is_aligned_and_has_its_digits_middle_where_asked(align, share):
    sheet, width = Sheet(200, 60), text_width("888", 8)
    sheet.write(100, 30, "888", align=align)
    left, right, top, bottom = ink_box(sheet)
    assert (left + right) / 2 == pytest.approx(100 + (0.5 - share) * width, abs=1.5)
    assert right - left == pytest.approx(width, abs=4)
    assert (top + bottom) / 2 == pytest.approx(30, abs=1)


@pytest.mark.parametrize("place", [(-20, 10), (35, 10), (5, -3), (5, 21), (-900, 5), (900, 900)])
def test_text_that_does_not_fit_is_cut_off(place):
    big, small = Sheet(240, 220), Sheet(40, 20)
    big.write(place[0] + 100, place[1] + 100, "a long word")
    small.write(*place, "a long word")
    cut = pixels(big.png())[100:120, 100:140]
    np.testing.assert_array_equal(pixels(small.png()), cut)


def test_letters_have_their_colour_on_any_ground():
    sheet = Sheet(60, 40)
    sheet.fill((0, 60), (0, 40), (0, 114, 178))
    sheet.write(30, 20, "█", 12, "#FFFFFF", align="center")
    picture = pixels(sheet.png())
    assert picture[20, 30].tolist() == [255, 255, 255]
    assert picture[2, 2].tolist() == [0, 114, 178]


def test_every_chunk_of_the_file_has_its_checksum():
    png, position, kinds = Sheet(5, 5).png(), 8, []
    while position < len(png):
        end = position + 8 + int.from_bytes(png[position : position + 4])
        assert zlib.crc32(png[position + 4 : end]) == int.from_bytes(png[end : end + 4])
        kinds.append(png[position + 4 : position + 8])
        position = end + 4
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]


def test_threads_may_draw_at_once():
    def draw(number: int) -> bytes:
        sheet = Sheet(200, 100)
        sheet.stroke([0, 200], [number, 100 - number], "#D55E00", 1.8, marker="o")
        for line in range(20):
            sheet.write(100, 5 * line, f"number {number}, line {line}", 6.5, align="center")
        return sheet.png()

    alone = [draw(number) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, [*range(8)] * 5)) == alone * 5
