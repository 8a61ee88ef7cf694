"""What a reader hands over: arrays as they lie in the files, before anything is checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of which neither dtype nor shape is known yet."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Images and their labels, of any dtype and shape."""

    images: Array
    labels: Array


@dataclass(frozen=True, eq=False)
class Found:
    """A source as found.

    Attributes:
        name: Short name of the source.
        where: Name or path, for messages.
        train: Training and validation images with labels.
        test: The test part, or None.
        course: Whether this is the form of Andrew Ng's course: rows unrolled column by column,
            pixels a little outside [0, 1] and the label 10 for the digit 0 are then accepted.
        class_names: What people call the classes; None = their numbers.
        policies: Conversions the reader itself applied.
    """

    name: str
    where: str
    train: Pair
    test: Pair | None = None
    course: bool = False
    class_names: tuple[str, ...] | None = None
    policies: tuple[str, ...] = ()
