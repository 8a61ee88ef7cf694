"""What a user gives as data -> a training and a validation part, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import numpy as np

__all__ = ["Parts", "Task", "check_part", "classes_of", "described", "digest_of", "read_parts"]

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
        examples: Digest of the validation examples whatever their order; None of arrays.
        dataset_seed: Under which seed datasets are built; None: under that of each trial, for
            none of them decides which examples validate.
        irreproducible: Why the same seed may train another trial on them; None as a rule.
    """

    train: Any
    validation: Any
    n_train: int | None
    n_validation: int
    classes: int | None
    inputs: Mapping[str, Any]
    digest: str
    split_digest: str
    examples: str | None = None
    dataset_seed: int | None = None
    irreproducible: str | None = None

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
        data: Arrays, see `FORMS`; no function any more. Of datasets see `read_datasets`.
        task: What is learnt; decides which targets are right.
        split_seed: Decides the split.

    Raises:
        ValueError: It is none of these forms, or sizes, types or targets are wrong.
    """
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise ValueError(f"data: received {type(data).__name__}; {FORMS}")
    first, second = data
    if isinstance(first, tuple | list) and isinstance(second, tuple | list):
        train, validation = check_part(first, task), check_part(second, task)
        indices = np.arange(len(train[1]))
    else:
        train, validation, indices = _split(check_part(data, task), task, split_seed)
    targets = np.concatenate([train[1], validation[1]])
    return Parts(
        train,
        validation,
        len(train[1]),
        len(validation[1]),
        classes_of(targets, task),
        described(train[0]),
        digest_of(*train, *validation),
        sha256(indices.tobytes()).hexdigest(),
    )


def described(x: np.ndarray) -> dict[str, Any]:
    """Return what records note of the inputs."""
    return {"shape": list(x.shape[1:]), "dtype": str(x.dtype)}


def check_part(part: Any, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return one part as arrays.

    Raises:
        ValueError: Says what is wrong with it.
    """
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


def classes_of(y: np.ndarray, task: Task) -> int | None:
    """Return the number of classes; None for a regression."""
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


def digest_of(*arrays: np.ndarray) -> str:
    """Return SHA-256 (hex) of arrays with their types and shapes."""
    found = sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
