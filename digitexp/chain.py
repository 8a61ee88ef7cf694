"""A multilayer perceptron as a declaration, from which every engine makes its net.

Nothing here needs TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dense:
    """One layer: product, bias, activation, dropout of what comes out.

    Attributes:
        name: Its name, also of its weights: `name/kernel`, `name/bias`.
        units: Neurons.
        activation: One of `digitexp.parameters.ACTIVATIONS`, or `linear`.
        dropout: Share of its activations that a training step drops.
        l1: Factor of the sum of the kernel's absolute values in the loss.
        l2: Factor of the sum of its squares.
        trains: Whether it learns.
    """

    name: str
    units: int
    activation: str = "linear"
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    trains: bool = True


@dataclass(frozen=True)
class Chain:
    """A net: its inputs, and its layers, the last of which gives logits.

    Attributes:
        features: Numbers of a sample.
        layers: From the first hidden one to the output.
        label_smoothing: Share of each label that is spread over all classes.
    """

    features: int
    layers: tuple[Dense, ...]
    label_smoothing: float = 0.0

    @property
    def widths(self) -> list[int]:
        """Numbers that go into each layer, and that come out at the end."""
        return [self.features, *(layer.units for layer in self.layers)]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array of weights by its name, in order."""
        found: dict[str, tuple[int, ...]] = {}
        for layer, inputs in zip(self.layers, self.widths, strict=False):
            found[f"{layer.name}/kernel"] = (inputs, layer.units)
            found[f"{layer.name}/bias"] = (layer.units,)
        return found

    def initial_weights(self, initializer: str, seed: int) -> dict[str, np.ndarray]:
        """Draw kernels, float32, by one of `digitexp.parameters.INITIALIZERS`; biases are 0.

        The laws are those of Keras's initialisers (Glorot & Bengio 2010; He et al. 2015; LeCun et
        al. 1998); the numbers follow from the seed and the place of the layer.
        """
        return dict(self._drawn(initializer, seed))

    def _drawn(self, initializer: str, seed: int) -> Iterator[tuple[str, np.ndarray]]:
        author, _, law = initializer.partition("_")
        for number, (name, shape) in enumerate(self.shapes().items()):
            if len(shape) == 1:
                yield name, np.zeros(shape, np.float32)
                continue
            fans = {"glorot": sum(shape) / 2, "he": shape[0] / 2, "lecun": shape[0]}
            generator = np.random.default_rng((seed, _WEIGHTS, number))
            if law == "uniform":
                limit = math.sqrt(3 / fans[author])
                yield name, generator.uniform(-limit, limit, shape).astype(np.float32)
            else:
                deviation = math.sqrt(1 / fans[author]) / _OF_TRUNCATED
                yield name, (deviation * _truncated(generator, shape)).astype(np.float32)

    def table(self) -> str:
        """Return a line a layer with its shape and weights, as text."""
        rows = [("layer", "activation", "output", "weights")]
        sizes = {name: math.prod(shape) for name, shape in self.shapes().items()}
        for one in self.layers:
            count = sizes[f"{one.name}/kernel"] + sizes[f"{one.name}/bias"]
            frozen = "" if one.trains else " (frozen)"
            rows.append((f"{one.name} (Dense)", one.activation, str(one.units), f"{count}{frozen}"))
            if one.dropout:
                rows.append(("  Dropout", "", str(one.units), f"rate {one.dropout:g}"))
        rows.append(("in all", "", "", str(sum(sizes.values()))))
        wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True))
                 for row in rows)  # fmt: skip
        return "\n".join(line.rstrip() for line in lines) + "\n"


def order_of(seed: int, epoch: int, samples: int) -> np.ndarray:
    """Return the order in which an epoch, counted from 0, takes the samples."""
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(samples)


_ORDER, _WEIGHTS = 0, 2  # what a seed is for
_OF_TRUNCATED = 0.87962566103423978
"""Standard deviation of a standard normal that is cut off at two of them."""


def _truncated(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    found = generator.standard_normal(math.prod(shape))
    while (far := np.flatnonzero(np.abs(found) > 2)).size:
        found[far] = generator.standard_normal(far.size)
    return found.reshape(shape)
