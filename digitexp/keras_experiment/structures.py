"""Inputs, targets, predictions: an array, or a list, a tuple or a dict of arrays, as in Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

__all__ = ["arrays_of", "digest_of", "joined", "like", "mapped", "named_arrays"]


def arrays_of(value: Any) -> dict[str, Any]:
    """Return inputs or targets one by one, under their name or number; a single one under ''."""
    if isinstance(value, Mapping):
        return {str(key): value[key] for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return {str(number): one for number, one in enumerate(value)}
    return {"": value}


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """Return inputs or targets, each of them changed."""
    if isinstance(value, Mapping):
        return {key: function(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return like(value, [function(one) for one in value])
    return function(value)


def joined(batches: Sequence[Any]) -> Any:
    """Return batches of inputs, targets or predictions as one."""
    first = batches[0]
    if isinstance(first, Mapping):
        return {key: np.concatenate([batch[key] for batch in batches]) for key in first}
    if isinstance(first, list | tuple):
        return like(first, [np.concatenate(column) for column in zip(*batches, strict=True)])
    return np.concatenate(batches)


def like(first: Any, values: Iterable[Any]) -> Any:
    """Return values as a list or a tuple, as the first one is."""
    return list(values) if isinstance(first, list) else tuple(values)


def named_arrays(*values: Any) -> Iterable[np.ndarray]:
    """Yield the arrays of inputs, targets, ...; before each of several, its name."""
    for value in values:
        for name, one in arrays_of(value).items():
            yield from ([np.asarray(name)] if name else [])
            yield one


def digest_of(*arrays: np.ndarray) -> str:
    """Return SHA-256 (hex) of arrays with their types and shapes."""
    found = sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
