"""Hands variables to graphs that serve many models.

TensorFlow prepares a graph for each set of shapes that the handles of its variables tell: 50 ms of
CPU, a fifth of a small training. So the engines hand in variables whose handles tell no sizes that
may differ between models. Keras's own graphs need the sizes: a model that they may use gets the
variables back that it was built with.

Import this after `set_up_tensorflow()`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

Shape = tuple[int | None, ...]


def handles_of(variables: Sequence[Any]) -> list[Any]:
    """Return the resource handles of Keras's variables, as they are."""
    return [one.value.handle for one in variables]


def open_sizes(variables: Sequence[Any], shapes: Sequence[Shape] | None = None) -> None:
    """Give Keras's variables inner variables of the same values, whose handles tell less.

    Args:
        variables: Variables of a model or an optimizer; Keras knows their shapes as before.
        shapes: What each handle is to tell: None in the place of a size that may differ. None: the
            number of dimensions.
    """
    if shapes is None:
        shapes = [(None,) * len(one.shape) for one in variables]
    for one, shape in zip(variables, shapes, strict=True):
        inner = one.value
        if tuple(inner.shape) != shape:
            one._value = tf.Variable(
                inner, shape=shape, dtype=inner.dtype, trainable=inner.trainable, name=one.name
            )


@contextmanager
def opened_sizes(variables: Sequence[Any], shapes: Sequence[Shape]) -> Iterator[None]:
    """Open the sizes inside; afterwards the former inner variables have the new values."""
    before = [one.value for one in variables]
    open_sizes(variables, shapes)
    try:
        yield
    finally:
        for one, inner in zip(variables, before, strict=True):
            if (opened := one.value) is not inner:
                inner.assign(opened)
                one._value = inner
