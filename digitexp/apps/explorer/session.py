"""Answers the page's questions: which trials there are, and what they say of a drawing."""

from __future__ import annotations

import base64
import binascii
import contextlib
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from digitexp.apps.explorer.answers import Answer, Asked, Neighbour
from digitexp.apps.explorer.pictures import PictureError, read_ink
from digitexp.data.framing import Framing
from digitexp.experiments.recorded import Recorded, RecordedFolder, TrialChoice

__all__ = ["Choice", "Choices", "Reply", "Session", "framed"]

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
