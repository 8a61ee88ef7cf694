"""Draws images: a single one, a random sample with answers, the worst errors."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitexp.plots import colors
from digitexp.plots.language import say
from digitexp.plots.sheet import Sheet, text_width

SIDE = 8
"""Images in a row, and rows at most."""


def choose_images(total: int, seed: int) -> NDArray[np.int64]:
    """Return up to 64 different indices below `total`, in random order."""
    keys = np.random.PCG64(seed).random_raw(total)
    return np.asarray(np.argsort(keys, kind="stable")[: SIDE * SIDE], np.int64)


def draw_sample(image: np.ndarray) -> bytes:
    """Return an image as a PNG of its own size, ink on paper.

    Args:
        image: (height, width), or (height, width, channels) with one or three; from 0 (paper) to 1.
    """
    from PIL import Image

    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 2:
        pixels = 255 - pixels  # as on paper
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


MOST_ERRORS = 24
IMAGE, GAP, MARGIN, HEADER = 84, 14, 26, 84
"""Pixels of the longer side of an image, between two of them, around and above them."""

NARROWEST, WIDEST = IMAGE + 2 * GAP, 220
"""Least and most pixels of a column, whose width follows the longest text."""

TEXT_SIZE, LINE = 8.0, 21
CROSS = "\N{BALLOT X}"
FRAME, THICK_FRAME = 1, 4


@dataclass(frozen=True)
class _Line:
    """One line of text above an image."""

    text: str
    color: str
    bold: bool = False


@dataclass(frozen=True)
class _Picture:
    """One image and the lines above it; `stands_out` gives it a thick frame."""

    image: np.ndarray
    lines: tuple[_Line, ...]
    stands_out: bool = False


def draw_preview(images: NDArray[np.float32], labels: NDArray[np.int64], seed: int = 0) -> bytes:
    """Draw 64 images chosen at random, each under its label, or all if there are fewer, as a PNG.

    Args:
        images: (n, height, width), from 0 (paper) to 1 (ink).
        labels: (n,), the number written above each image.
        seed: Decides which images; the same choice on every machine.
    """
    chosen = choose_images(len(images), seed)
    pictures = [_Picture(images[i], (_Line(str(labels[i]), colors.TRAIN),)) for i in chosen]
    title = say(
        "{shown} of {total} images, {height}x{width}",
        shown=len(chosen), total=len(images), height=images.shape[1], width=images.shape[2],
    )  # fmt: skip
    return _draw(pictures, title, "")


def draw_predictions(
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
    part: str = "the validation part",
) -> bytes:
    """Draw 64 images chosen at random, each under `actual | predicted`, as a PNG.

    The choice is the same for every classifier of the same images, so that two can be compared.
    Wrong answers have a cross, bold letters and a thick frame besides a colour of their own.

    Args:
        images: (n, height, width), from 0 (paper) to 1 (ink).
        labels: (n,), integers from 0.
        predicted: (n,), integers from 0.
        class_names: Names in the order of the labels.
        part: Name of the images.
    """
    chosen = choose_images(len(images), seed=0)
    pictures = []
    for index in chosen:
        true, said = int(labels[index]), int(predicted[index])
        text, wrong = f"{class_names[true]} | {class_names[said]}", true != said
        marked = _Line(f"{CROSS} {text}", colors.WRONG, bold=True)
        line = marked if wrong else _Line(text, colors.LABEL)
        pictures.append(_Picture(images[index], (line,), wrong))
    errors = sum(picture.stands_out for picture in pictures)
    total = len(images)
    title = say(
        "{shown} of {total} images of {part}, at random: {right} right, {wrong} wrong"
        if len(chosen) < total
        else "All {total} images of {part}: {right} right, {wrong} wrong",
        shown=len(chosen),
        total=total,
        part=say(part),
        right=len(chosen) - errors,
        wrong=errors,
    )
    legend = say("actual | predicted;  {cross} and a thick frame: wrong", cross=CROSS)
    return _draw(pictures, title, legend)


def draw_errors(
    images: np.ndarray,
    names: Sequence[tuple[str, str]],
    probabilities: Sequence[float],
    among: str,
) -> bytes:
    """Draw the most confident mistakes as a PNG, with `actual | predicted` and the probability.

    Args:
        images: (errors, height, width), all mistakes, the most confident first.
        names: Class of each image, and the class it was taken for.
        probabilities: Probability of the class that each image was taken for.
        among: The images that were looked at, such as `1000 images of the validation part`.
    """
    shown = list(zip(images, names, probabilities, strict=True))[:MOST_ERRORS]
    if not shown:
        return _draw([], say("No error among {among}", among=among), "")
    pictures = [
        _Picture(
            image,
            (
                _Line(f"{true} | {said}", colors.WRONG, bold=True),
                # never rounded up to 100%
                _Line(f"{sure:.1%}" if sure < 0.9995 else ">99.9%", colors.MUTED),
            ),
        )
        for image, (true, said), sure in shown
    ]
    if len(shown) < len(images):
        title = "{shown} of {errors} errors among {among}"
    else:
        title = "1 error among {among}" if len(shown) == 1 else "{errors} errors among {among}"
    title = say(title, shown=len(shown), errors=len(images), among=among)
    legend = "actual | predicted, and how probable that was said to be; the most confident first"
    return _draw(pictures, title, say(legend))


def _draw(pictures: Sequence[_Picture], title: str, legend: str) -> bytes:
    """Draw pictures eight in a row; without any, only the title."""
    lines = [line for picture in pictures for line in picture.lines]
    widest = max((text_width(line.text, TEXT_SIZE, bold=line.bold) for line in lines), default=0)
    column = min(max(NARROWEST, widest + GAP), WIDEST)
    text_height = LINE * max((len(picture.lines) for picture in pictures), default=0)
    row = text_height + IMAGE + GAP
    heading = text_width(title, 9.5, bold=True)
    width = max(SIDE * column, heading) + 2 * MARGIN
    height = HEADER + -(-len(pictures) // SIDE) * row + (MARGIN - GAP)
    sheet = Sheet(width, height)
    sheet.write(MARGIN, 30, title, 9.5, bold=True)
    sheet.write(MARGIN, 57, legend, TEXT_SIZE, colors.MUTED)
    for number, picture in enumerate(pictures):
        left = MARGIN + number % SIDE * column
        top = HEADER + number // SIDE * row
        middle = left + column / 2
        for place, line in enumerate(picture.lines):
            natural = text_width(line.text, TEXT_SIZE, bold=line.bold)
            size = TEXT_SIZE * min(1.0, (column - GAP / 2) / natural)
            y = top + LINE * (place + 0.4)
            sheet.write(middle, y, line.text, size, line.color, align="center", bold=line.bold)
        _paste(sheet, picture, middle, top + text_height)
    return sheet.png()


def _paste(sheet: Sheet, picture: _Picture, middle: float, top: int) -> None:
    shades = _enlarged(picture.image)
    height, width = shades.shape
    left = round(middle - width / 2)
    edge = THICK_FRAME if picture.stands_out else FRAME
    color = colors.rgb(colors.WRONG if picture.stands_out else colors.FRAME)
    sheet.fill((left - edge, left + width + edge), (top - edge, top + height + edge), color)
    sheet.paste(left, top, shades)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """Return an image as shades of grey, ink on paper, with whole pixels as near to 84 as can be.

    A larger image is thinned out.
    """
    longest = max(image.shape)
    thinned = image[:: -(-longest // IMAGE), :: -(-longest // IMAGE)]
    factor = IMAGE // max(thinned.shape)
    shades = 255 - np.round(np.clip(thinned, 0, 1) * 255).astype(np.uint8)
    return np.asarray(shades.repeat(factor, axis=0).repeat(factor, axis=1))
