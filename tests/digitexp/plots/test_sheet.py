import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from digitexp.plots.sheet import POINT, Sheet, encode_png, text_width
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


def test_a_line_goes_through_its_points_and_leaves_gaps():
    sheet = Sheet(100, 50)
    sheet.line([10, 40, np.nan, 60, 90], [10, 10, np.nan, 40, 40], "#0000FF", 1.8)
    picture = pixels(sheet.png())
    assert (picture[10, 12:38] == (0, 0, 255)).all()
    assert (picture[40, 62:88] == (0, 0, 255)).all()
    assert (picture[:, 45:55] == 255).all()


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90, 135, 200, 315])
@pytest.mark.parametrize("points", [1.0, 1.8, 4.0])
def test_a_line_is_as_wide_and_long_as_asked_in_each_direction(degrees, points):
    turn, length, width = np.radians(degrees), 70, points * POINT
    ends = 60 + np.outer([np.cos(turn), np.sin(turn)], [-length / 2, length / 2])
    sheet = Sheet(120, 120)
    sheet.line(*ends, "#000000", points)
    ink = (255 - pixels(sheet.png())[..., 0]).sum() / 255
    assert ink == pytest.approx(length * width + np.pi * width**2 / 4, rel=0.03)
    for x, y in np.linspace(ends[:, 0], ends[:, 1], 50):
        assert pixels(sheet.png())[int(y), int(x), 0] < 128


def test_a_dot_is_round_and_lies_where_asked():
    sheet = Sheet(60, 60)
    sheet.dots([20.3, np.nan], [35.8, 1.0], "#000000", 12)
    ink = (255 - pixels(sheet.png())[..., 0]) / 255
    assert ink.sum() == pytest.approx(np.pi * (6 * POINT) ** 2, rel=0.02)
    middles = [np.average(np.arange(60) + 0.5, weights=ink.sum(axis=axis)) for axis in (0, 1)]
    assert middles == pytest.approx([20.3, 35.8], abs=0.1)


def test_a_dot_on_each_point_of_a_line_is_one_picture_with_it():
    both, single = Sheet(80, 40), Sheet(80, 40)
    both.line([10, 70], [10, 30], "#0072B2", 1.8, dot=5)
    single.line([10, 70], [10, 30], "#0072B2", 1.8)
    single.dots([10, 70], [10, 30], "#0072B2", 5)
    assert np.abs(pixels(both.png()) - pixels(single.png())).max() < 128
    assert (pixels(both.png()) < 255).any(axis=2).sum() == (
        (pixels(single.png()) < 255).any(axis=2).sum()
    )


def test_what_lies_outside_of_the_sheet_is_cut_off():
    sheet = Sheet(30, 30)
    sheet.line([-50, 80], [15, 15], "#000000", 2)
    sheet.dots([-3, 500, 15], [2, 500, 31], "#000000", 8)
    assert (pixels(sheet.png())[15, :, 0] == 0).all()


def test_dots_that_are_not_opaque_become_darker_where_they_overlap():
    sheet = Sheet(90, 30)
    sheet.dots([15, 45, 45, 75, 75, 75], [15] * 6, "#000000", 8, 0.5)
    one, two, three = pixels(sheet.png())[15, [15, 45, 75], 0]
    assert [one, two, three] == pytest.approx([128, 64, 32], abs=255 / 16 + 1)


def test_a_line_over_another_leaves_no_paper_between():
    sheet = Sheet(60, 60)
    sheet.line([0, 60], [30, 30], "#0072B2", 8)
    sheet.line([30, 30], [0, 60], "#D55E00", 2)
    assert (pixels(sheet.png())[30, :, 2] <= 178).all()


def test_of_a_dotted_line_two_pixels_of_five_are_filled():
    sheet = Sheet(50, 50)
    sheet.fill((10, 12), (0, 50), (0, 0, 0), dotted=True)
    sheet.fill((20, 50), (8, 10), (0, 0, 0), dotted=True)
    picture = pixels(sheet.png())[..., 0]
    assert (picture[:, 10] == [0, 0, 255, 255, 255] * 10).all()
    assert (picture[8, 20:] == [0, 0, 255, 255, 255] * 6).all()


@pytest.mark.parametrize("colors", [1, 2, 200, 256, 257, 5000])
def test_a_picture_of_any_number_of_colours_is_read_as_it_was_drawn(colors):
    random = np.random.default_rng(colors)
    known = random.choice(1 << 24, colors, replace=False).astype("<u4")
    shown = np.concatenate([known, random.choice(known, 80 * 70 - colors)])
    picture = shown.view(np.uint8).reshape(70, 80, 4).copy()
    picture[..., 3] = 255
    png = encode_png(picture)
    np.testing.assert_array_equal(pixels(png), picture[..., :3])
    assert (b"PLTE" in png) is (colors <= 256)


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
    assert kinds == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]


def test_threads_may_draw_at_once():
    def draw(number: int) -> bytes:
        sheet = Sheet(200, 100)
        sheet.line([0, 200], [number, 100 - number], "#D55E00", 1.8, dot=3)
        for line in range(20):
            sheet.write(100, 5 * line, f"number {number}, line {line}", 6.5, align="center")
        return sheet.png()

    alone = [draw(number) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, [*range(8)] * 5)) == alone * 5
