"""Batched `tf.data` sets: checked before the first trial, and built anew for each trial.

A set that shuffles has a state, which goes on from one reading to the next. If trials shared a set,
each would depend on the trials that its process had trained before.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import numpy as np

from digitexp.experiments.keras_experiment.data import (
    Parts,
    Tasks,
    arrays_of,
    check_arrays,
    classes_of,
    described,
    digest_of,
    joined,
    mapped,
    named_arrays,
)
from digitexp.tensorflow_setup import start_tensorflow

__all__ = ["ExamplesDigest", "are_datasets", "built_with", "read_datasets", "reading_digest"]

_ENDLESS = -1  # the `cardinality` of a set that never ends


class ExamplesDigest:
    """A digest of examples that does not depend on their order."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, x: Any, y: Any) -> None:
        """Add the examples of a batch."""
        arrays = [np.asarray(one) for side in (x, y) for one in arrays_of(side).values()]
        for one in zip(*arrays, strict=True):
            content = b"".join(np.ascontiguousarray(array).tobytes() for array in one)
            self._sum += int.from_bytes(sha256(content).digest())

    def hexdigest(self) -> str:
        """Return the digest of all examples so far."""
        return f"{self._sum % 2**256:064x}"


def reading_digest(parts: Parts) -> str:
    """Return a digest of the validation examples in the order in which they come this time."""
    batches = [_as_arrays(batch) for batch in parts.scoring_batches()]
    return digest_of(*(array for batch in batches for array in named_arrays(*batch)))


def are_datasets(data: Any) -> bool:
    """Return whether data are a training and a validation dataset."""
    return isinstance(data, tuple | list) and len(data) == 2 and all(map(_is_dataset, data))


def _is_dataset(data: Any) -> bool:
    return hasattr(data, "element_spec") and hasattr(data, "cardinality")


@contextlib.contextmanager
def built_with(seed: int, split_seed: int) -> Iterator[None]:
    """Make datasets that are built inside the context follow from seeds.

    Args:
        seed: Seed of TensorFlow: every shuffle follows from it, with a seed of its own or none.
        split_seed: Seed of Python and NumPy: a split that they decide is the same for all trials.
            Their states are restored afterwards.
    """
    start_tensorflow()
    import tensorflow as tf

    states = random.getstate(), np.random.get_state()
    random.seed(split_seed)
    np.random.seed(split_seed)
    tf.random.set_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def read_datasets(build: Callable[[], Any], task: Tasks, split_seed: int) -> Parts:
    """Check that trials can be trained on datasets, and compared by them.

    As a rule the validation set is read once, and one batch of the training set.

    Args:
        build: Returns (training, validation); new ones each time, if they can be made anew.
        task: Task of each output; decides which targets are allowed.
        split_seed: Seed of Python's and NumPy's random numbers.

    Raises:
        ValueError: Trials cannot; the message says why, and what to do.
    """

    def pair(seed: int) -> tuple[Any, Any]:
        with built_with(seed, split_seed):
            train, validation = build()
        return train, validation

    train, validation = pair(split_seed)
    _check(train, "training")
    _check(validation, "validation")
    batches = [_as_arrays(batch) for batch in validation]
    if not batches:
        raise ValueError("data: the validation dataset is empty")
    x, y = (joined(column) for column in zip(*batches, strict=True))
    check_arrays(x, y, task)
    examples = _examples(batches)
    if not _holds_the_same(validation, batches[0], examples):
        raise ValueError(
            "data: the validation dataset holds other examples each time it is read; split before "
            "you shuffle, or write .shuffle(..., reshuffle_each_iteration=False)"
        )
    first = _first(train)
    is_split_by_seed = not _holds_the_same(pair(split_seed + 1)[1], batches[0], examples)
    steps = int(train.cardinality())
    return Parts(
        train=train,
        validation=validation,
        n_train=None,
        n_validation=len(y),
        classes=classes_of(y, task),
        inputs=described(x),
        digest=digest_of(*named_arrays(x, y)),
        split_digest=sha256(str(steps).encode()).hexdigest(),
        examples=examples,
        dataset_seed=split_seed if is_split_by_seed else None,
        irreproducible=_why_irreproducible(first, pair(split_seed)[0]),
    )


def _check(dataset: Any, which: str) -> None:
    """Refuse a dataset that `model.fit` would not take, or would never end with."""
    if int(dataset.cardinality()) == _ENDLESS:
        raise ValueError(
            f"data: the {which} dataset never ends; leave .repeat() out, every epoch begins it anew"
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        members = len(spec) if isinstance(spec, tuple) else 1
        raise ValueError(
            f"data: the {which} dataset gives batches of {members} members; give (x, y)"
        )
    shapes = [getattr(one, "shape", None) for one in arrays_of(spec[1]).values()]
    if any(shape is not None and shape.rank == 0 for shape in shapes):
        raise ValueError(f"data: the {which} dataset has no batches; call .batch(32) on it")


def _holds_the_same(dataset: Any, first: Any, examples: str) -> bool:
    """Return whether a set holds known examples; it is read whole only if it begins otherwise."""
    return _same(first, _first(dataset)) or _examples(dataset) == examples


def _why_irreproducible(first: Any, train: Any) -> str | None:
    """Return why a training set differs when it is built again by its seed; None if it does not."""
    if _same(first, _first(train)):
        return None
    return (
        "the training dataset gives other batches when it is built once more, so that a trial "
        "depends on what its process trained before; give a function that builds it anew, and "
        "draw random numbers from TensorFlow, NumPy or Python only"
    )


def _as_arrays(batch: Any) -> tuple[Any, Any]:
    x, y = (mapped(np.asarray, side) for side in batch)
    if any(one.dtype.hasobject and one.ndim == 0 for one in named_arrays(x, y)):
        raise ValueError("data: inputs or targets within others; give one dict, list or tuple each")
    return x, y


def _first(dataset: Any) -> tuple[Any, Any]:
    (batch,) = itertools.islice(dataset, 1)
    return _as_arrays(batch)


def _same(first: Any, second: Any) -> bool:
    pairs = zip(named_arrays(*first), named_arrays(*second), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


def _examples(batches: Any) -> str:
    digest = ExamplesDigest()
    for x, y in batches:
        digest.add(x, y)
    return digest.hexdigest()
