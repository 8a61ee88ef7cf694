"""A chain of dense layers in the engine `compiled`: built, trained, asked for logits."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numba import types
from threadpoolctl import ThreadpoolController

from digitexp.chain import Chain
from digitexp.training.compiled.activations import NUMBERS
from digitexp.training.compiled.epoch import pass_forward, train_epoch
from digitexp.training.compiled.machine_code import prepare


@dataclass(frozen=True)
class Adam:
    """Adam as Keras has it; of the learning rate the caller decides.

    Attributes:
        clipnorm: Largest norm of the gradient of each array of weights; 0 = no limit.
        clipvalue: Largest absolute value in a gradient; 0 = no limit.
        global_clipnorm: Largest norm of all gradients together; 0 = no limit.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    clipnorm: float = 0.0
    clipvalue: float = 0.0
    global_clipnorm: float = 0.0


class CompiledNet:
    """One chain with its weights and the state of its optimizer."""

    def __init__(
        self,
        chain: Chain,
        optimizer: Adam,
        weights: Mapping[str, np.ndarray],
        seed: int,
        dtype: str = "float32",
    ) -> None:
        """Take a chain and its first weights.

        Args:
            chain: The layers.
            optimizer: The optimizer.
            weights: An array for each name of `chain.shapes()`.
            seed: Decides dropout.
            dtype: Type of all numbers, `float32` or `float64`.
        """
        prepare_engine(dtype)
        self.chain = chain
        flat = np.concatenate([np.ravel(weights[name]) for name in chain.shapes()])
        self.weights = flat.astype(dtype)
        self.moments = np.zeros(2 * self.weights.size, dtype)
        self.step = 0
        self._seed = np.uint64(seed)
        layers = chain.layers
        self._widths = np.array(chain.widths, np.int64)
        self._kinds = np.array([NUMBERS[one.activation] for one in layers], np.int64)
        self._rates = np.array([float(one.dropout) for one in layers])
        self._penalties = np.array([(one.l1, one.l2) for one in layers])
        self._trains = np.array([one.trains for one in layers])
        own = optimizer
        self._settings = np.array([
            own.beta_1, own.beta_2, own.epsilon, own.clipnorm, own.clipvalue, own.global_clipnorm,
        ])  # fmt: skip

    def train_epoch(
        self, images: np.ndarray, labels: np.ndarray, order: np.ndarray, batch: int, rate: float
    ) -> dict[str, float]:
        """Train one epoch; return the means of `loss`, with the penalty, and of `accuracy`.

        As in Keras, a sample counts with the weights before its step, dropout included.

        Args:
            images: (n, features), of the net's type.
            labels: (n,), int64, from 0.
            order: (n,), int64: the samples in the order in which batches are taken.
            batch: Samples of a step; the last step takes what is left.
            rate: The learning rate.

        Raises:
            ValueError: A label, a place in the order or a shape is outside of what there is.
        """
        self._refuse_outside(images, labels, order)
        with one_thread():
            loss, right, self.step = train_epoch(
                images, labels, order, batch, self._widths, self._kinds, self._rates,
                self._penalties, self._trains, self.weights, self.moments,
                self.chain.label_smoothing, self._settings, rate, self.step, self._seed,
            )  # fmt: skip
        return {"loss": loss / len(order), "accuracy": right / len(order)}

    def _refuse_outside(self, images: np.ndarray, labels: np.ndarray, order: np.ndarray) -> None:
        """Refuse what machine code, which checks no index, would read or write elsewhere."""
        count, features, classes = len(labels), self.chain.features, self.chain.widths[-1]
        if images.shape != (count, features):
            raise ValueError(
                f"images have the shape {images.shape}, but there are {count} labels, and the net "
                f"takes {features} features"
            )
        for name, values, end in (
            ("labels", labels, classes),
            ("places in the order", order, count),
        ):
            low, high = int(values.min()), int(values.max())
            if low < 0 or high >= end:
                raise ValueError(f"{name} may go from 0 to {end - 1}, but go from {low} to {high}")

    def forward(self, images: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the logits (n, classes) of images (n, features), and the penalty."""
        given = np.ascontiguousarray(images, self.weights.dtype)
        with one_thread():
            logits, penalty = pass_forward(
                given, self._widths, self._kinds, self.weights, self._penalties, self._trains
            )
        return logits, penalty

    def give(self, weights: Mapping[str, np.ndarray]) -> None:
        """Take some of the weights, by name.

        Raises:
            ValueError: The net has no array of such a name and shape.
        """
        own = self.named_weights()
        for name, array in weights.items():
            if name not in own or own[name].shape != array.shape:
                raise ValueError(f"weights {name} {array.shape}: the net has no such array")
        self.weights[:] = np.concatenate([np.ravel(one) for one in (own | dict(weights)).values()])

    def named_weights(self) -> dict[str, np.ndarray]:
        """Return copies of the weights by name, in the order of the layers."""
        found, start = {}, 0
        for name, shape in self.chain.shapes().items():
            size = math.prod(shape)
            found[name] = self.weights[start : start + size].reshape(shape).copy()
            start += size
        return found


def one_thread() -> Any:
    """Return a context in which products take one thread: several wait longer than they compute."""
    return _blas().limit(limits=1)


@cache
def _blas() -> Any:
    return ThreadpoolController().select(user_api="blas")


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_prepared: Final[set[str]] = set()


def prepare_engine(dtype: str = "float32", say: Callable[[str], None] = _to_stderr) -> None:
    """Have the machine code for a type of numbers, once a process; then it can be forked.

    Args:
        dtype: `float32` or `float64`.
        say: Receives a line if it has to be made first.

    Raises:
        PermissionError: The folder in which it is kept is not the user's own.
    """
    if dtype in _prepared:
        return
    number, whole, wide = getattr(types, dtype), types.int64, types.float64
    images, labels = (types.Array(of, n, "C", readonly=True) for of, n in ((number, 2), (whole, 1)))
    shape = (whole[::1], whole[::1])  # widths, kinds
    prepare(
        dtype,
        {
            train_epoch: (
                images, labels, whole[::1], whole, *shape, wide[::1], wide[:, ::1],
                types.boolean[::1], number[::1], number[::1], wide, wide[::1], wide, whole,
                types.uint64,
            ),
            pass_forward: (images, *shape, number[::1], wide[:, ::1], types.boolean[::1]),
        },
        say,
    )  # fmt: skip
    _prepared.add(dtype)
