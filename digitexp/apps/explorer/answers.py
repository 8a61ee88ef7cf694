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
"""Below it an answer is called unsure: on 1000 images it was not trained on, the champion of
`mlp_wide` gave 44 such answers, half of them wrong; of all others one in forty was."""
NEIGHBOURS: Final = 8


@dataclass(frozen=True, eq=False)
class Answer:
    """What a network says of an image.

    Attributes:
        probabilities: (classes,), softmax at the fitted temperature; they add to 1.
        class_names: In the same order.
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
        """Of the most likely class."""
        return float(self.probabilities[self.order[0]])

    @property
    def second_probability(self) -> float:
        """Of the second most likely class."""
        return float(self.probabilities[self.order[1]])

    @property
    def is_sure(self) -> bool:
        """Whether its class is likely enough to be taken for it."""
        return self.probability >= SURE


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training image: (h, w) pixels in [0, 1], the name of its class, its Euclidean distance."""

    image: NDArray[np.float32] = field(repr=False)
    class_name: str
    distance: float


class Asked:
    """A trial that is asked about images; what that needs more than once is kept."""

    def __init__(self, trial: ShownTrial) -> None:
        self.trial = trial

    @cached_property
    def framing(self) -> Framing:
        """How its images fill their frame."""
        return Framing.of(self.trial.train_images)

    @cached_property
    def _rows(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = self.trial.train_images.reshape(len(self.trial.train_images), -1)
        return rows, np.einsum("ij,ij->i", rows, rows)

    def answers(self, images: NDArray[np.float32]) -> list[Answer]:
        """Return what its network says of images (n, h, w) in [0, 1].

        Raises:
            ValueError: It has no weights.
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
