"""Asks trained networks about one image, and finds the training digits that look most like it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from digitexp.data.framing import Framing
from digitexp.numpy_functions import softmax
from digitexp.trained import ShownTrial

__all__ = ["Answer", "Asked", "Neighbour"]

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
