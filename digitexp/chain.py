"""A chain of dense layers as a declaration, from which every engine makes its net.

Nothing here needs TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Layer:
    """What a net does to the numbers of a sample; then come activation and dropout.

    A layer of this class itself does no more than that.

    Attributes:
        name: Its name, also of its weights: `name/kernel`, `name/bias`.
        units: Numbers that come out.
        activation: One of `digitexp.activations.ACTIVATIONS`, or `linear`; of the last layer also
            `softmax`, or `sigmoid`, where the loss takes what comes before it.
        dropout: Share of its activations that a training step drops.
        trains: Whether it learns.
    """

    name: str
    units: int
    activation: str = "linear"
    dropout: float = 0.0
    trains: bool = True

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array that is learnt, by its name, for so many inputs."""
        return {}


@dataclass(frozen=True)
class Dense(Layer):
    """Product and bias first.

    Attributes:
        l1: Factor of the sum of the kernel's absolute values in the loss.
        l2: Factor of the sum of its squares.
        has_bias: Whether it has a bias.
    """

    l1: float = 0.0
    l2: float = 0.0
    has_bias: bool = True

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array that is learnt, by its name, for so many inputs."""
        bias = {f"{self.name}/bias": (self.units,)} if self.has_bias else {}
        return {f"{self.name}/kernel": (inputs, self.units), **bias}


@dataclass(frozen=True)
class Normalization(Layer):
    """Each number less its mean, over its standard deviation, times gamma, plus beta.

    Attributes:
        over: `batch`: mean and variance are those of a batch (Ioffe & Szegedy 2015), and outside of
            training running means of them; `layer`: those of a sample (Ba et al. 2016).
        epsilon: Is added to each variance.
        momentum: Share of a running mean that stays in a step; of `batch` only.
        has_gamma: Whether there is a factor.
        has_beta: Whether there is a bias.
    """

    over: Literal["batch", "layer"] = "batch"
    epsilon: float = 1e-3
    momentum: float = 0.99
    has_gamma: bool = True
    has_beta: bool = True

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array that is learnt, by its name, for so many inputs."""
        names = {"gamma": self.has_gamma, "beta": self.has_beta}
        return {f"{self.name}/{name}": (inputs,) for name, has_it in names.items() if has_it}


@dataclass(frozen=True)
class Loss:
    """What is to become small, a mean over the samples.

    Attributes:
        name: `sparse_categorical_crossentropy` of labels; or, of as many targets as there are
            outputs, `categorical_crossentropy`, `binary_crossentropy`, `mean_squared_error`,
            `mean_absolute_error` or `huber`. Crossentropies take logits.
        smoothing: Share of each label that is spread over all classes, or over both.
        delta: Of `huber`: from here on it grows like the absolute error.
    """

    name: str = "sparse_categorical_crossentropy"
    smoothing: float = 0.0
    delta: float = 1.0


@dataclass(frozen=True)
class Optimizer:
    """How a step changes the weights; of the learning rate the caller decides.

    Attributes:
        name: `adam`, `sgd` or `rmsprop`, as Keras has them.
        beta_1: Of Adam.
        beta_2: Of Adam; of RMSprop, its `rho`.
        epsilon: Of Adam and RMSprop.
        momentum: Of SGD and RMSprop.
        nesterov: Of SGD.
        weight_decay: Share, times the learning rate, of what a step takes off a weight.
        clipnorm: Largest norm of the gradient of each array of weights; 0 = no limit.
        clipvalue: Largest absolute value in a gradient; 0 = no limit.
        global_clipnorm: Largest norm of all gradients together; 0 = no limit.
    """

    name: Literal["adam", "sgd", "rmsprop"] = "adam"
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    clipnorm: float = 0.0
    clipvalue: float = 0.0
    global_clipnorm: float = 0.0


@dataclass(frozen=True)
class Chain:
    """A net: its inputs, and its layers, one after the other.

    Attributes:
        features: Numbers of a sample.
        layers: From the first one to the output.
        loss: What is trained for.
    """

    features: int
    layers: tuple[Layer, ...]
    loss: Loss = Loss()

    @property
    def widths(self) -> list[int]:
        """Numbers that go into each layer, and that come out at the end."""
        return [self.features, *(layer.units for layer in self.layers)]

    @property
    def ends_in_logits(self) -> bool:
        """Whether the loss takes what comes before the last activation, which answers need."""
        last = self.layers[-1].activation
        return (last, self.loss.name) == ("sigmoid", "binary_crossentropy") or last == "softmax"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array that is learnt, by its name, in order."""
        found: dict[str, tuple[int, ...]] = {}
        for layer, inputs in zip(self.layers, self.widths, strict=False):
            found |= layer.shapes(inputs)
        return found

    def running(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each running mean and variance by its name, in order."""
        return {
            f"{one.name}/{kind}": (one.units,)
            for one in self.layers
            if isinstance(one, Normalization) and one.over == "batch"
            for kind in ("moving_mean", "moving_variance")
        }

    def initial_weights(self, initializer: str, seed: int) -> dict[str, np.ndarray]:
        """Draw kernels, float32, by one of `digitexp.parameters.INITIALIZERS`.

        Biases are 0, factors of a normalisation 1.

        The laws are those of Keras's initialisers (Glorot & Bengio 2010; He et al. 2015; LeCun et
        al. 1998); the numbers follow from the seed and the place of the layer.
        """
        return dict(self._drawn(initializer, seed))

    def _drawn(self, initializer: str, seed: int) -> Iterator[tuple[str, np.ndarray]]:
        author, _, law = initializer.partition("_")
        for number, (name, shape) in enumerate(self.shapes().items()):
            if len(shape) == 1:
                yield name, np.full(shape, name.endswith("/gamma"), np.float32)
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
            count = sum(size for name, size in sizes.items() if name.startswith(f"{one.name}/"))
            frozen = "" if one.trains else " (frozen)"
            name = f"{one.name} ({type(one).__name__})"
            rows.append((name, one.activation, str(one.units), f"{count}{frozen}"))
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
