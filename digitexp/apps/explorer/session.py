"""Answers the page's questions: which trials there are, and what they say of a drawing."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import math
import threading
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digitexp.data.framing import Framing
from digitexp.experiments.recorded import Recorded, RecordedFolder, TrialChoice
from digitexp.numpy_functions import softmax
from digitexp.trained import ShownTrial

# Reads the ink of a picture file, and refuses in words a file that is no picture or too large.


FORMATS: Final = ("PNG", "JPEG")
MOST_PIXELS: Final = 25_000_000
"""A telephone's photograph has 12 million; one of more is most likely meant to fill the memory."""
SMALL: Final = 64
"""Longer side of a picture that is taken pixel for pixel, as a data set's images are."""
LARGE: Final = 1024
"""Longer side that a larger picture is brought to first: digits end up at 20 or 28 pixels."""


class PictureError(ValueError):
    """A file holds no picture of a digit; the message says why."""


def read_ink(content: bytes) -> NDArray[np.float32]:
    """Return the ink (h, w) of a PNG or JPEG file: 0 is paper and 1 full ink.

    The border is paper, whether dark or light. In a photograph (any picture larger than `SMALL`)
    paper is not even and ink not black: pixels that differ from the paper no more than the border
    itself does are paper too, and the strongest ink becomes 1.

    Raises:
        PictureError: The file is no PNG or JPEG, is damaged, or has too many pixels.
    """
    grey = _grey(content)
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    paper = int(np.median(border))
    ink = (grey.astype(np.int16) - paper) * (-1 if paper > 127 else 1)
    span = np.float32(paper if paper > 127 else 255 - paper)
    found: NDArray[np.float32] = np.maximum(ink, 0).astype(np.float32) / span
    if max(grey.shape) <= SMALL:
        return found
    uneven = 2 * float(np.percentile(np.abs(border.astype(float) - paper), 95)) / float(span)
    if uneven >= 1:
        raise PictureError("its border is no paper: leave an even margin around the digit")
    without: NDArray[np.float32] = np.maximum(found - np.float32(uneven), 0)
    without /= without.max(initial=np.float32(1e-9))
    return without


def _grey(content: bytes) -> NDArray[np.uint8]:
    """Return (h, w) grey values of a file, turned upright; transparent parts are paper."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pixels: the limit here is our own
        try:
            picture = Image.open(io.BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError:
            raise PictureError("no picture: PNG and JPEG are read") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise PictureError(f"cannot be read: {error}") from None
        width, height = picture.size
        if width * height > MOST_PIXELS:
            raise PictureError(
                f"{width}x{height} pixels: at most {MOST_PIXELS // 10**6} million are read"
            )
        try:
            picture.draft("L", (LARGE, LARGE))  # a JPEG is then decoded at a fraction of its size
            upright = ImageOps.exif_transpose(picture)
            upright.load()
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise PictureError(f"damaged: {error}") from None
    if max(upright.size) > LARGE:
        upright.thumbnail((LARGE, LARGE))
    return _flattened(upright)


def _flattened(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I"):  # 16 bits a pixel
        wide = np.asarray(picture, np.float64)
        return np.asarray(np.clip(wide / 257, 0, 255).round(), np.uint8)
    if "A" not in picture.mode and "transparency" not in picture.info:
        return np.asarray(picture.convert("L"))
    layers = np.asarray(picture.convert("LA"), np.float32)
    light, opacity = layers[..., 0], layers[..., 1] / 255
    drawn = float((light * opacity).sum()) / max(float(opacity.sum()), 1e-9)
    paper = 0.0 if drawn > 127 else 255.0  # light ink is meant to lie on something dark
    return np.asarray((light * opacity + paper * (1 - opacity)).round(), np.uint8)


def png_address(image: NDArray[np.floating]) -> str:
    """Return a `data:` address of an image (h, w) in [0, 1], ink light as a network sees it."""
    bytes_ = np.asarray((np.clip(image, 0, 1) * 255).round(), np.uint8)
    file = io.BytesIO()
    Image.fromarray(bytes_).save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


# Asks trained networks about one image, and finds the training digits that look most like it.


SURE: Final = 0.7
"""An answer below this probability is called unsure. On 1000 images it was not trained on, the
champion of `mlp_wide` gave 44 such answers, half of them wrong; of all others one in forty was."""
NEIGHBOURS: Final = 8


@dataclass(frozen=True, eq=False)
class Answer:
    """A network's answer to an image.

    Attributes:
        probabilities: (classes,), softmax at the fitted temperature; they add to 1.
        class_names: Names of the classes, in the same order.
    """

    probabilities: NDArray[np.float64] = field(repr=False)
    class_names: tuple[str, ...]

    @cached_property
    def order(self) -> list[int]:
        """The classes, the most likely first."""
        return [int(number) for number in np.argsort(-self.probabilities, kind="stable")]

    @property
    def first(self) -> str:
        """The most likely class."""
        return self.class_names[self.order[0]]

    @property
    def second(self) -> str:
        """The second most likely class."""
        return self.class_names[self.order[1]]

    @property
    def probability(self) -> float:
        """Probability of the most likely class."""
        return float(self.probabilities[self.order[0]])

    @property
    def second_probability(self) -> float:
        """Probability of the second most likely class."""
        return float(self.probabilities[self.order[1]])

    @property
    def is_sure(self) -> bool:
        """Whether the most likely class is likely enough to be the answer."""
        return self.probability >= SURE


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training image: (h, w) pixels in [0, 1], the name of its class, its Euclidean distance."""

    image: NDArray[np.float32] = field(repr=False)
    class_name: str
    distance: float


class Asked:
    """A trial that is asked about images; it keeps what several questions need."""

    def __init__(self, trial: ShownTrial) -> None:
        self.trial = trial

    @cached_property
    def framing(self) -> Framing:
        """The way the training images fill their frame."""
        return Framing.of(self.trial.train_images)

    @cached_property
    def _rows(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = self.trial.train_images.reshape(len(self.trial.train_images), -1)
        return rows, np.einsum("ij,ij->i", rows, rows)

    def answers(self, images: NDArray[np.float32]) -> list[Answer]:
        """Return the network's answers to images (n, h, w) in [0, 1].

        Raises:
            ValueError: The trial has no weights.
        """
        trial = self.trial
        probabilities = softmax(trial.network.logits(images), trial.temperature)
        return [Answer(row, trial.class_names) for row in probabilities]

    def neighbours(self, image: NDArray[np.float32], count: int = NEIGHBOURS) -> list[Neighbour]:
        """Return the training images nearest to an image (h, w), the nearest first."""
        rows, squares = self._rows
        wanted = image.reshape(-1)
        squared = squares - 2 * (rows @ wanted) + wanted @ wanted
        nearest = np.argpartition(squared, min(count, len(squared) - 1))[:count]
        nearest = nearest[np.argsort(squared[nearest], kind="stable")]
        trial = self.trial
        return [
            Neighbour(
                trial.train_images[number],
                trial.class_names[trial.train_labels[number]],
                float(np.sqrt(max(squared[number], 0.0))),
            )
            for number in nearest
        ]


KEPT: Final = 6
MOST_POINTS: Final = 50_000


@dataclass(frozen=True)
class Choice:
    """The names that are chosen in the head of the page; None where nothing is chosen."""

    sweep: str | None
    trial: str | None
    beside: str | None


@dataclass(frozen=True)
class Choices:
    """The sweeps and trials that can be chosen, and the present choice.

    Attributes:
        sweeps: Names of the sweeps.
        trials: Trials of the chosen sweep.
        chosen: The present choice.
        trouble: Why the choice is not the one wished for; empty if it is.
    """

    sweeps: Sequence[str]
    trials: Sequence[TrialChoice]
    chosen: Choice
    trouble: str = ""


@dataclass(frozen=True, eq=False)
class Reply:
    """The answers to a drawing; `first` and `beside` are None if the drawing is blank.

    Attributes:
        image: (h, w), as the network sees it.
        class_names: In the order of the labels.
        name: Name of the trial.
        first: Its answer.
        beside: The answer and the name of the trial beside it; None without one.
        neighbours: The nearest training images.
        trouble: Why the trial beside it has no answer; empty if it has, or there is none.
    """

    image: NDArray[np.float32] = field(repr=False)
    class_names: tuple[str, ...]
    name: str
    first: Answer | None
    beside: tuple[Answer, str] | None
    neighbours: Sequence[Neighbour] = field(repr=False)
    trouble: str = ""


class Session:
    """Answers questions about recorded trials; several threads may call it."""

    def __init__(
        self,
        recorded: Recorded | RecordedFolder,
        sweep: str | None = None,
        trial: str | None = None,
    ) -> None:
        """Take the recorded sweeps.

        Args:
            recorded: Reader of the sweeps, or of a folder.
            sweep: Sweep that is shown as long as nobody chose one; None for the newest.
            trial: Trial of that sweep; None for the champion.
        """
        self.recorded, self._first = recorded, Choice(sweep, trial, None)
        self._asked: OrderedDict[int, Asked] = OrderedDict()
        self._keeping = threading.Lock()

    def warm_up(self) -> None:
        """Load the champion, its data and its framing; errors are left for the page to show."""
        with contextlib.suppress(ValueError):
            choices = self.choices(Choice(None, None, None))
            asked = self.chosen(choices.chosen)
            blank = np.zeros(asked.framing.shape, np.float32)
            asked.answers(blank[None])
            asked.neighbours(blank)

    def choices(self, wished: Choice) -> Choices:
        """Return the choices there are by now; the wished one is chosen if it is there."""
        sweeps = self.recorded.sweeps()
        trouble = ""
        if wished.sweep is None:
            wished = self._first
        sweep = wished.sweep
        if sweep not in sweeps:
            if sweep is not None:
                trouble = f"There is no sweep of digits named {sweep!r} here (any more)."
            sweep = sweeps[0] if sweeps else None
        if sweep is None:
            nothing = f"No sweep of digits in {self.recorded.where} has a trial yet."
            return Choices([], [], Choice(None, None, None), trouble or nothing)
        trials = self.recorded.trials(sweep)
        keys = [one.key for one in trials]
        if wished.sweep == sweep:
            missing = [k for k in (wished.trial, wished.beside) if k is not None and k not in keys]
            if missing:
                trouble = f"Sweep {sweep} has no trial {missing[0]} with an outcome."
        trial = wished.trial if wished.trial in keys else next(iter(keys), None)
        beside = wished.beside if wished.beside in keys else None
        return Choices(sweeps, trials, Choice(sweep, trial, beside), trouble)

    def chosen(self, chosen: Choice) -> Asked:
        """Return the chosen trial, ready to be asked.

        Raises:
            ValueError: No trial is chosen, there is none of that name, or it cannot be shown.
        """
        if chosen.sweep is None or chosen.trial is None:
            raise ValueError(f"no trial of {self.recorded.where} is chosen")
        trial = self.recorded.shown(chosen.sweep, chosen.trial)
        with self._keeping:
            asked = self._asked.setdefault(id(trial), Asked(trial))
            self._asked.move_to_end(id(trial))
            while len(self._asked) > KEPT:
                self._asked.popitem(last=False)
        return asked

    def reply(self, chosen: Choice, drawing: Mapping[str, Any] | None) -> Reply:
        """Return the chosen trials' answers to a drawing, see `framed`.

        Raises:
            ValueError: A trial cannot be asked, or `drawing` is no drawing.
        """
        asked = self.chosen(chosen)
        trial, image = asked.trial, framed(drawing, asked.framing)
        if not image.any():
            return Reply(image, trial.class_names, trial.name, None, None, [])
        (answer,) = asked.answers(image[None])
        beside, trouble = self._beside(chosen, drawing, asked.framing, image)
        nearest = asked.neighbours(image)
        return Reply(image, trial.class_names, trial.name, answer, beside, nearest, trouble)

    def _beside(
        self,
        chosen: Choice,
        drawing: Mapping[str, Any] | None,
        framing: Framing,
        image: NDArray[np.float32],
    ) -> tuple[tuple[Answer, str] | None, str]:
        """Return the answer of the trial beside the chosen one, or why there is none."""
        if chosen.beside in {None, chosen.trial}:
            return None, ""
        try:
            other = self.chosen(Choice(chosen.sweep, chosen.beside, None))
            is_same = other.framing == framing
            own = image if is_same else framed(drawing, other.framing)
            (said,) = other.answers(own[None])
        except ValueError as error:  # the answer of the other one stands without it
            return None, str(error)
        return (said, other.trial.name), ""


def framed(drawing: Mapping[str, Any] | None, framing: Framing) -> NDArray[np.float32]:
    """Return a drawing, framed as the training images are: (h, w) in [0, 1].

    Args:
        drawing: `strokes`, lists of [x, y], and `picture`, a `data:` address, or None.
        framing: Framing of the training images.

    Raises:
        ValueError: `drawing` has another form, or its picture cannot be read.
    """
    if not drawing:
        return framing.strokes([])
    picture = drawing.get("picture")
    if picture:
        return framing.picture(read_ink(_content(picture)))
    return framing.strokes(_strokes(drawing.get("strokes")))


def _content(address: Any) -> bytes:
    head, comma, body = str(address).partition(",")
    try:
        if not (head.startswith("data:") and head.endswith(";base64") and comma):
            raise PictureError("no picture: no data address")
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise PictureError("no picture: its data address is damaged") from None


def _strokes(sent: Any) -> list[list[tuple[float, float]]]:
    try:
        strokes = [[(float(x), float(y)) for x, y in stroke] for stroke in sent or []]
    except (TypeError, ValueError):
        raise ValueError("strokes are lists of points [x, y]") from None
    points = [number for stroke in strokes for point in stroke for number in point]
    if len(points) > 2 * MOST_POINTS:
        raise ValueError(f"{len(points) // 2} points: at most {MOST_POINTS} are drawn")
    if not all(math.isfinite(number) and abs(number) < 1e6 for number in points):
        raise ValueError("points of strokes are finite numbers, nearer than 1e6")
    return [stroke for stroke in strokes if stroke]
