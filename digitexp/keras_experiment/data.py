"""What a user gives as data -> a training and a validation part, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import numpy as np

__all__ = ["Parts", "Task", "read_parts"]

Task = Literal["classification", "regression"]

FORMS = (
    "give (x, y), of which a fifth becomes the validation part, or ((x, y), (x_val, y_val)), or a "
    "pair of batched tf.data datasets, or a function that returns one of these"
)
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Parts:
    """Training and validation part.

    Attributes:
        train: (x, y), each with one row an example, or a batched `tf.data.Dataset`.
        validation: The same.
        n_train: Number of training examples; None if a dataset does not say.
        n_validation: Number of validation examples.
        classes: Number of classes; None for regression.
        inputs: Shape and dtype of one x.
        digest: SHA-256 (hex) of the arrays; of a dataset, of its validation part.
        split_digest: SHA-256 (hex) of which example lies where.
    """

    train: Any
    validation: Any
    n_train: int | None
    n_validation: int
    classes: int | None
    inputs: Mapping[str, Any]
    digest: str
    split_digest: str

    @property
    def is_dataset(self) -> bool:
        """Whether the parts are datasets, which no other process can be given."""
        return not isinstance(self.train, tuple)

    def validation_batches(self) -> Iterator[tuple[Any, np.ndarray]]:
        """Yield the validation part as (x, y), in one order for both."""
        if not self.is_dataset:
            yield self.validation
            return
        for x, y in self.validation:
            yield x, np.asarray(y)


def read_parts(data: Any, task: Task, split_seed: int) -> Parts:
    """Check what was given, and split it if it is one part.

    Args:
        data: See `FORMS`; no function any more.
        task: What is learnt; decides which targets are right.
        split_seed: Decides the split.

    Raises:
        ValueError: It is none of these forms, or sizes, types or targets are wrong.
    """
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise ValueError(f"data: received {type(data).__name__}; {FORMS}")
    first, second = data
    if _is_dataset(first) and _is_dataset(second):
        return _dataset_parts(first, second, task)
    if isinstance(first, tuple | list) and isinstance(second, tuple | list):
        train, validation = _checked(first, task), _checked(second, task)
        indices = np.arange(len(train[1]))
    else:
        train, validation, indices = _split(_checked(data, task), task, split_seed)
    targets = np.concatenate([train[1], validation[1]])
    return Parts(
        train,
        validation,
        len(train[1]),
        len(validation[1]),
        _classes(targets, task),
        _described(train[0]),
        _digest(*train, *validation),
        sha256(indices.tobytes()).hexdigest(),
    )


def _described(x: np.ndarray) -> dict[str, Any]:
    return {"shape": list(x.shape[1:]), "dtype": str(x.dtype)}


def _is_dataset(data: Any) -> bool:
    return hasattr(data, "element_spec") and hasattr(data, "cardinality")


def _dataset_parts(train: Any, validation: Any, task: Task) -> Parts:
    batches = [(np.asarray(x), np.asarray(y)) for x, y in validation]
    if not batches:
        raise ValueError("data: the validation dataset is empty")
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    _checked((x, y), task)
    steps = int(train.cardinality())
    return Parts(
        train,
        validation,
        None,
        len(y),
        _classes(y, task),
        _described(x),
        _digest(x, y),
        sha256(str(steps).encode()).hexdigest(),
    )


def _checked(part: Any, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return one part as arrays, or say what is wrong with it."""
    if len(part) != 2:
        raise ValueError(f"data: a part has {len(part)} members; {FORMS}")
    x, y = np.asarray(part[0]), np.asarray(part[1])
    if len(x) != len(y) or not len(x):
        raise ValueError(f"data: {len(x)} inputs and {len(y)} targets; give as many, and some")
    if x.dtype.hasobject or y.dtype.hasobject:
        raise ValueError("data: inputs and targets must be arrays of numbers")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError("data: some inputs are NaN or infinite; fill or drop them")
    if task == "regression":
        y = y.astype(np.float32)
        if not np.isfinite(y).all():
            raise ValueError("data: some targets are NaN or infinite; drop them")
    elif y.dtype.kind not in "iu" and y.ndim == 1:
        raise ValueError(
            f"data: targets of type {y.dtype} in a classification; give integers from 0 on, or "
            "KerasExperiment(..., task='regression')"
        )
    elif y.ndim == 1 and y.min() < 0:
        raise ValueError(f"data: class {y.min()}; give integers from 0 on")
    return x, y


def _classes(y: np.ndarray, task: Task) -> int | None:
    if task == "regression":
        return None
    return int(y.max()) + 1 if y.ndim == 1 else max(2, y.shape[1])


def _split(
    part: tuple[np.ndarray, np.ndarray], task: Task, split_seed: int
) -> tuple[Any, Any, np.ndarray]:
    from sklearn.model_selection import train_test_split

    x, y = part
    labels = None if task == "regression" else y if y.ndim == 1 else y.argmax(axis=1)
    train, validation = train_test_split(
        np.arange(len(y)), test_size=VALIDATION_SHARE, stratify=labels, random_state=split_seed
    )
    return (x[train], y[train]), (x[validation], y[validation]), np.concatenate([train, validation])


def _digest(*arrays: np.ndarray) -> str:
    found = sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
