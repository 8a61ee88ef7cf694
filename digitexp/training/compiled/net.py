"""A chain of dense layers in the engine `compiled`: built, trained, asked for logits."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numba import typeof, types
from threadpoolctl import ThreadpoolController

from digitexp.chain import Chain, Dense, Layer, Normalization, Optimizer
from digitexp.numpy_functions import sigmoid, softmax
from digitexp.training.compiled.activations import NUMBERS as ACTIVATIONS
from digitexp.training.compiled.epoch import (
    BY_BATCH,
    BY_SAMPLE,
    NOTHING,
    PRODUCT,
    Shape,
    pass_forward,
    train_epoch,
)
from digitexp.training.compiled.losses import NUMBERS as LOSSES
from digitexp.training.compiled.machine_code import prepare
from digitexp.training.compiled.updates import OPTIMIZERS


class Data(NamedTuple):
    """Samples as the machine code takes them.

    Attributes:
        samples: (n, features), of the net's type.
        labels: (n,), int64, from 0; empty where the loss takes targets.
        targets: (n, outputs), of the net's type; empty where the loss takes labels.
        counts: (n,), of the net's type: how much each sample counts in the loss; empty = all alike.
    """

    samples: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(
        cls, samples: np.ndarray, answers: np.ndarray, counts: Any = (), dtype: Any = "float32"
    ) -> Data:
        """Return samples (n, features) with labels (n,) or targets (n, outputs)."""
        is_labels = answers.ndim == 1
        return cls(
            np.ascontiguousarray(samples, dtype),
            np.ascontiguousarray(answers if is_labels else (), np.int64),
            np.ascontiguousarray(np.empty((0, 0)) if is_labels else answers, dtype),
            np.ascontiguousarray(counts, dtype),
        )


class CompiledNet:
    """One chain with its weights and the state of its optimizer."""

    def __init__(
        self,
        chain: Chain,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        seed: int,
        dtype: str = "float32",
    ) -> None:
        """Take a chain and its first weights.

        Args:
            chain: The layers, and the loss.
            optimizer: The optimizer.
            weights: An array for each name of `chain.shapes()`, and for those of `chain.running()`
                if it has any.
            seed: Decides dropout.
            dtype: Type of all numbers, `float32` or `float64`.
        """
        prepare_engine(dtype)
        self.chain = chain
        self.weights = _flat(chain.shapes(), weights, dtype)
        self.running = _flat(chain.running(), weights, dtype)
        self.moments = np.zeros(2 * self.weights.size, dtype)
        self.step = 0
        self._seed = np.uint64(seed)
        self._shape = shape_of(chain, optimizer)
        self._end = _ENDS[chain.layers[-1].activation] if chain.ends_in_logits else None

    def train_epoch(
        self, data: Data, order: np.ndarray, batch: int, rate: float
    ) -> tuple[float, np.ndarray]:
        """Train one epoch.

        As in Keras, a sample counts with the weights before its step, dropout included.

        Args:
            data: The samples.
            order: (n,), int64: the samples in the order in which batches are taken.
            batch: Samples of a step; the last step takes what is left.
            rate: The learning rate.

        Returns:
            Mean of the loss, with the penalty; and (n, outputs) what the net gave, in this order.

        Raises:
            ValueError: A label, a place in the order or a shape is outside of what there is.
        """
        self._refuse_outside(data, order)
        kept = np.empty((len(order), self.chain.widths[-1]), self.weights.dtype)
        with one_thread():
            loss, self.step = train_epoch(
                *data, order, batch, self._shape, self.weights, self.moments, self.running, rate,
                self.step, self._seed, kept,
            )  # fmt: skip
        return loss / len(order), self._answers(kept)

    def _refuse_outside(self, data: Data, order: np.ndarray) -> None:
        """Refuse what machine code, which checks no index, would read or write elsewhere."""
        count, outputs = len(data.samples), self.chain.widths[-1]
        takes_labels = self.chain.loss.name == "sparse_categorical_crossentropy"
        wanted = {
            "samples": (data.samples.shape, (count, self.chain.features)),
            "labels": (data.labels.shape, (count if takes_labels else 0,)),
            "targets": (data.targets.shape, (0, 0) if takes_labels else (count, outputs)),
            "counts": (data.counts.shape, (count if data.counts.size else 0,)),
        }
        for name, (found, fitting) in wanted.items():
            if found != fitting:
                raise ValueError(f"{name} have the shape {found}, but the net takes {fitting}")
        for name, values, end in (
            ("labels", data.labels, outputs),
            ("places in the order", order, count),
        ):
            low, high = int(values.min(initial=0)), int(values.max(initial=0))
            if low < 0 or high >= end:
                raise ValueError(f"{name} may go from 0 to {end - 1}, but go from {low} to {high}")

    def forward(self, samples: np.ndarray) -> tuple[np.ndarray, float]:
        """Return what the net gives (n, outputs) for samples (n, features), and the penalty."""
        given = np.ascontiguousarray(samples, self.weights.dtype)
        outputs, penalty, _ = self._forward(given, _NO_LABELS, np.empty((0, 0), given.dtype))
        return self._answers(outputs), penalty

    def evaluate(self, data: Data) -> tuple[float, np.ndarray]:
        """Return the mean loss with the penalty, and what the net gives (n, outputs).

        Raises:
            ValueError: See `train_epoch`.
        """
        self._refuse_outside(data, _NO_LABELS)
        outputs, penalty, loss = self._forward(data.samples, data.labels, data.targets)
        return loss / len(outputs) + penalty, self._answers(outputs)

    def _forward(self, samples: np.ndarray, labels: np.ndarray, targets: np.ndarray) -> Any:
        with one_thread():
            return pass_forward(samples, labels, targets, self._shape, self.weights, self.running)

    def _answers(self, outputs: np.ndarray) -> np.ndarray:
        return outputs if self._end is None else self._end(outputs).astype(outputs.dtype)

    def state(self) -> dict[str, Any]:
        """Return copies of all that decides the epochs to come, as plain values and arrays."""
        return {
            "weights": self.weights.copy(), "running": self.running.copy(),
            "moments": self.moments.copy(), "step": self.step,
        }  # fmt: skip

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of a net of the same shape."""
        self.weights[:], self.running[:] = state["weights"], state["running"]
        self.moments[:], self.step = state["moments"], state["step"]

    def give(self, weights: Mapping[str, np.ndarray]) -> None:
        """Take some of the weights, by name.

        Raises:
            ValueError: The net has no array of such a name and shape.
        """
        own = self.named_weights()
        for name, array in weights.items():
            if name not in own or own[name].shape != array.shape:
                raise ValueError(f"weights {name} {array.shape}: the net has no such array")
        whole = own | dict(weights)
        self.weights[:] = _flat(self.chain.shapes(), whole, self.weights.dtype)
        self.running[:] = _flat(self.chain.running(), whole, self.weights.dtype)

    def named_weights(self) -> dict[str, np.ndarray]:
        """Return copies of the weights by name, in the order of the layers; then running means."""
        return {
            **_by_name(self.chain.shapes(), self.weights),
            **_by_name(self.chain.running(), self.running),
        }


_NO_LABELS: Final = np.empty(0, np.int64)


def _flat(
    shapes: Mapping[str, tuple[int, ...]], arrays: Mapping[str, np.ndarray], dtype: Any
) -> np.ndarray:
    return np.concatenate([np.empty(0), *(np.ravel(arrays[name]) for name in shapes)]).astype(dtype)


def _by_name(shapes: Mapping[str, tuple[int, ...]], flat: np.ndarray) -> dict[str, np.ndarray]:
    found, start = {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        found[name] = flat[start : start + size].reshape(shape).copy()
        start += size
    return found


def shape_of(chain: Chain, optimizer: Optimizer) -> Shape:
    """Return a chain and its optimizer as the machine code takes them."""
    layers, loss, own = chain.layers, chain.loss, optimizer
    sizes: list[int] = []
    norms: list[tuple[float, float, int]] = []
    begin = 0
    for one, inputs in zip(layers, chain.widths, strict=False):
        shapes = one.shapes(inputs)
        sizes += [
            sum(math.prod(shape) for name, shape in shapes.items() if name.endswith(ends))
            for ends in (("/kernel", "/gamma"), ("/bias", "/beta"))
        ]
        if not isinstance(one, Normalization):
            norms.append((0.0, 0.0, 0))
            continue
        norms.append((one.epsilon, one.momentum, begin))
        begin += 2 * one.units if one.over == "batch" else 0
    return Shape(
        operations=np.array([_operation(one) for one in layers], np.int64),
        widths=np.array(chain.widths, np.int64),
        at=np.cumsum([0, *sizes], dtype=np.int64),
        kinds=np.array([
            *(ACTIVATIONS[one.activation] for one in layers[:-1]),
            ACTIVATIONS["linear" if chain.ends_in_logits else layers[-1].activation],
        ], np.int64),
        rates=np.array([float(one.dropout) for one in layers]),
        norms=np.array(norms, float),
        penalties=np.array([(getattr(one, "l1", 0.0), getattr(one, "l2", 0.0)) for one in layers]),
        trains=np.array([one.trains for one in layers]),
        loss=np.array([LOSSES[loss.name], loss.smoothing, loss.delta]),
        settings=np.array([
            OPTIMIZERS[own.name], own.beta_1, own.beta_2, own.epsilon, own.clipnorm, own.clipvalue,
            own.global_clipnorm, own.momentum, own.nesterov, own.weight_decay,
        ]),
    )  # fmt: skip


def _operation(layer: Layer) -> int:
    if isinstance(layer, Dense):
        return PRODUCT
    if isinstance(layer, Normalization):
        return BY_BATCH if layer.over == "batch" else BY_SAMPLE
    return NOTHING


_ENDS: Final[dict[str, Callable[[np.ndarray], np.ndarray]]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
}
"""Of the last layer, where the loss takes what comes before it."""


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
    shape: Any = typeof(  # type: ignore[no-untyped-call]
        shape_of(Chain(1, (Dense("output", 2),)), Optimizer())
    )
    rows, counts, labels = (
        types.Array(of, n, "C", readonly=True) for of, n in ((number, 2), (number, 1), (whole, 1))
    )
    prepare(
        dtype,
        {
            train_epoch: (
                rows, labels, rows, counts, whole[::1], whole, shape, number[::1], number[::1],
                number[::1], wide, whole, types.uint64, number[:, ::1],
            ),
            pass_forward: (rows, labels, rows, shape, number[::1], number[::1]),
        },
        say,
    )  # fmt: skip
    _prepared.add(dtype)
