"""Checks data as a user gives them, and returns a training and a validation part.

Inputs and targets are arrays, or several of them: a list, a tuple or a dict, as Keras takes them.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final, Literal

import numpy as np

from digitexp.tensorflow_setup import start_tensorflow
from sweeps.capabilities import rolling_origin
from sweeps.wording import counted


def arrays_of(value: Any) -> dict[str, Any]:
    """Return inputs or targets one by one, under their name or number; a single one under ''."""
    if isinstance(value, Mapping):
        return {str(key): value[key] for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return {str(number): one for number, one in enumerate(value)}
    return {"": value}


def mapped(function: Callable[..., Any], *values: Any) -> Any:
    """Return inputs or targets of one structure, each of them what a function makes of its own."""
    first = values[0]
    if isinstance(first, Mapping):
        return {key: function(*(value[key] for value in values)) for key in first}
    if isinstance(first, list | tuple):
        return like(first, map(function, *values))
    return function(*values)


def joined(batches: Sequence[Any]) -> Any:
    """Return batches of inputs, targets or predictions as one."""
    return mapped(lambda *parts: np.concatenate(parts), *batches)


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


Task = Literal["classification", "regression"]
Tasks = Task | Mapping[str, Task]
"""The task of the only output, or of each output by its name."""

FORMS = (
    "give (x, y), or with weights (x, y, w), of which a fifth becomes the validation part, or "
    "((x, y), (x_val, y_val)), or a pair of batched tf.data datasets, or a function that returns "
    "one of these; x and y are "
    "arrays, or dicts or lists of arrays where the model has several inputs or outputs"
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
        classes: Number of classes, None for regression and for targets with several labels an
            example; of several outputs, by name.
        inputs: Shape and dtype of one x; of several inputs, by name or in their order.
        digest: SHA-256 (hex) of the arrays; of a dataset, of its validation part.
        split_digest: SHA-256 (hex) of which example lies where.
        examples: Digest of the validation examples whatever their order; None of arrays.
        dataset_seed: Seed under which datasets are built; None: the seed of each trial, since no
            seed decides which examples validate.
        irreproducible: Why the same seed may give another result on them; None as a rule.
        fold: (x, y) of a fold, or a dataset, which scores a training in place of the validation
            part; that one then only says when to stop. None in a search.
        groups: (n_train,) the group of each training example; None without groups.
        ordered: Whether examples are in time order, the oldest first.
        weights: (n_train,) how much each training example counts; None if all count alike.
        weights_of_validation: The same of the validation part, which trains in folds.
        gap: In time order, so many examples lie unused between those that train and those that
            score.
    """

    train: Any
    validation: Any
    n_train: int | None
    n_validation: int
    classes: int | Mapping[str, int | None] | None
    inputs: Mapping[str, Any] | list[Any]
    digest: str
    split_digest: str
    examples: str | None = None
    dataset_seed: int | None = None
    irreproducible: str | None = None
    fold: Any = None
    groups: np.ndarray | None = None
    ordered: bool = False
    weights: np.ndarray | None = None
    weights_of_validation: np.ndarray | None = None
    gap: int = 0

    @property
    def is_dataset(self) -> bool:
        """Whether the parts are datasets, which no other process can be given."""
        return not isinstance(self.train, tuple)

    @property
    def scoring(self) -> Any:
        """The part that scores: (x, y), or a dataset."""
        return self.validation if self.fold is None else self.fold

    def scoring_batches(self) -> Iterator[tuple[Any, Any]]:
        """Yield the part that scores as (x, y), in one order for both."""
        if not self.is_dataset:
            yield self.scoring
            return
        for x, y, *_ in self.scoring:
            yield x, mapped(np.asarray, y)


@dataclass(frozen=True)
class Numbers:
    """Numbers of examples, from 0, that a function of the user's makes datasets of.

    Attributes:
        train: (n,) those that train, in order of number, as the others are.
        validation: Those that say when to stop, and in a search score.
        fold: Those that score in a fold; None in a search.
        groups: The group of each that trains; None without groups.
    """

    train: np.ndarray
    validation: np.ndarray
    fold: np.ndarray | None = None
    groups: np.ndarray | None = None


def read_parts(
    data: Any,
    task: Tasks,
    split_seed: int,
    groups: Any = None,
    *,
    ordered: bool = False,
    gap: int = 0,
) -> Parts:
    """Check the data, and split them if they are a single part.

    Args:
        data: Arrays in one of the `FORMS`, but no function; for datasets see `read_datasets`.
        task: Task of each output; decides which targets are allowed.
        split_seed: Decides the split.
        groups: (n,) the group of each example of a single part, none of which is split; or None.
        ordered: Whether examples are in time order; the last of a single part validate then.
        gap: See `Parts`.

    Raises:
        ValueError: The data have none of these forms, or sizes, types or targets are wrong.
    """
    data, weights, weights_of_validation = _weights_apart(data)
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise ValueError(f"data: received {type(data).__name__}; {FORMS}")
    own = None
    if _are_parts(data[0], data[1], task):
        if groups is not None:
            raise ValueError("groups: give data as (x, y), of which whole groups will validate")
        train, validation = (_check_part(part, task) for part in data)
        indices = np.arange(_rows(train[1]))
    else:
        part = _check_part(data, task)
        groups = None if groups is None else _check_groups(groups, _rows(part[1]))
        train, validation, indices = _split(part, task, split_seed, groups, ordered, gap)
        own = None if groups is None else groups[indices[: _rows(train[1])]]
        if weights is not None:
            _check_weights(weights, _rows(part[1]))
            last = _rows(validation[1])
            weights, weights_of_validation = weights[indices[:-last]], weights[indices[-last:]]
    for given, side in ((weights, train), (weights_of_validation, validation)):
        if given is not None:
            _check_weights(given, _rows(side[1]))
    counted = [one for one in (weights, weights_of_validation) if one is not None]
    return Parts(
        train,
        validation,
        _rows(train[1]),
        _rows(validation[1]),
        classes_of(joined([train[1], validation[1]]), task),
        described(train[0]),
        digest_of(*named_arrays(*train, *validation), *counted),
        sha256(indices.tobytes()).hexdigest(),
        groups=own,
        ordered=ordered,
        weights=weights,
        weights_of_validation=weights_of_validation,
        gap=gap,
    )


def _weights_apart(data: Any) -> tuple[Any, np.ndarray | None, np.ndarray | None]:
    """Return the data without weights, and those of (x, y, w), or of both parts."""
    if not isinstance(data, tuple | list):
        return data, None, None
    if len(data) == 3:
        return tuple(data[:2]), np.asarray(data[2], np.float32), None
    if len(data) == 2 and all(isinstance(part, tuple) and len(part) in (2, 3) for part in data):
        found = [
            np.asarray(part[2], np.float32) if len(part) == 3 and np.ndim(part[2]) == 1 else None
            for part in data
        ]
        if any(one is not None for one in found) and np.ndim(data[0][1]) > 0:
            return tuple(tuple(part[:2]) for part in data), found[0], found[1]
    return data, None, None


def _check_weights(weights: np.ndarray, rows: int) -> None:
    if weights.shape != (rows,) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(
            f"data: weights {weights.shape} for {rows} examples; give a finite number from 0 for "
            "each"
        )


def read_test(data: Any, task: Tasks) -> tuple[Any, Any, int]:
    """Check the samples of a test set; return inputs, targets and their number.

    Args:
        data: (x, y), arrays.
        task: Task of each output; decides which targets are allowed.

    Raises:
        ValueError: The data are no such pair, or sizes, types or targets are wrong.
    """
    if not (isinstance(data, tuple | list) and len(data) == 2) or are_datasets(data):
        raise ValueError(f"test: received {type(data).__name__}; give (x, y), arrays")
    try:
        x, y = _check_part(data, task)
    except ValueError as error:
        raise ValueError(f"test {error}") from None
    return x, y, _rows(y)


def _check_groups(groups: Any, rows: int) -> np.ndarray:
    found: np.ndarray = np.asarray(groups)
    if found.shape != (rows,):
        raise ValueError(f"groups: {found.shape} for {rows} examples; give one group an example")
    if len(np.unique(found)) < FEWEST_GROUPS:
        raise ValueError(
            f"groups: there are {len(np.unique(found))}; {FEWEST_GROUPS} or more can be split"
        )
    return found


def described(x: Any) -> Any:
    """Return the shape and dtype of the inputs, as records note them."""
    found = mapped(lambda one: {"shape": list(one.shape[1:]), "dtype": str(one.dtype)}, x)
    return list(found) if isinstance(found, tuple) else found


def check_arrays(x: Any, y: Any, task: Tasks) -> tuple[Any, Any]:
    """Return inputs and targets as they are learnt: targets of regressions in float32.

    Raises:
        ValueError: Types, sizes or values are wrong.
    """
    arrays = (*arrays_of(x).values(), *arrays_of(y).values())
    for what, side in (("inputs", x), ("targets", y)):
        for one in arrays_of(side).values():
            if one.dtype.hasobject or one.dtype.kind in "USO":
                raise ValueError(_no_numbers(what, one))
    if any(one.ndim == 0 for one in arrays):
        raise ValueError(f"data: inputs and targets must have rows, one an example; {FORMS}")
    rows = {len(one) for one in arrays}
    if len(rows) > 1 or not rows or 0 in rows:
        raise ValueError(
            f"data: {_sizes(x)} inputs and {_sizes(y)} targets; give as many, and some"
        )
    for name, one in arrays_of(x).items():
        if one.dtype.kind == "f" and not np.isfinite(one).all():
            raise ValueError(f"data:{_of(name)} some inputs are NaN or infinite; fill or drop them")
    learnt = {
        name: _check_targets(one, by_name(task, task)[name], _of(name))
        for name, one in by_output(y, task).items()
    }
    if isinstance(y, Mapping):
        return x, {key: learnt[str(key)] if isinstance(task, Mapping) else learnt[""] for key in y}
    if isinstance(y, list | tuple):
        return x, like(y, learnt.values())
    return x, learnt[""]


def by_name(value: Any, task: Tasks) -> Mapping[str, Any]:
    """Return the task or the classes of each output by its name; of the only one under ''."""
    return value if isinstance(task, Mapping) else {"": value}


def by_output(y: Any, task: Tasks) -> dict[str, Any]:
    """Return targets by the name of their output; the only ones under ''.

    Raises:
        ValueError: The targets are not those of the outputs that `task` names.
    """
    found = arrays_of(y)
    if not isinstance(task, Mapping):
        if len(found) != 1:
            names = list(found) if isinstance(y, Mapping) else ["first", "second"]
            example = ", ".join(f"{name!r}: 'classification'" for name in names)
            raise ValueError(
                f"data: targets of {len(found)} outputs; say what each of them is, by the names of "
                f"the model's outputs: KerasExperiment(..., task={{{example}}})"
            )
        return {"": next(iter(found.values()))}
    wanted = ", ".join(task)
    if isinstance(y, Mapping) and found.keys() != task.keys():
        raise ValueError(f"data: targets of {', '.join(found)}; `task` names the outputs {wanted}")
    if not isinstance(y, Mapping | list | tuple) or len(found) != len(task):
        given = "one array" if "" in found else f"{len(found)} arrays"
        raise ValueError(
            f"data: targets are {given}, and `task` names the outputs {wanted}; give a dict of "
            "arrays by these names, or a list in this order"
        )
    return (
        {name: found[name] for name in task}
        if isinstance(y, Mapping)
        else dict(zip(task, y, strict=True))
    )


def classes_of(y: Any, task: Tasks) -> Any:
    """Return the number of classes, by name of several outputs.

    It is None for a regression, and where an example may have several labels, or none.
    """
    tasks = by_name(task, task)
    found = {name: _classes(one, tasks[name]) for name, one in by_output(y, task).items()}
    return found if isinstance(task, Mapping) else found[""]


def _classes(y: np.ndarray, task: Task) -> int | None:
    if task == "regression" or _have_several_labels(y):
        return None
    return int(y.max()) + 1 if y.ndim == 1 else max(2, y.shape[1])


def _have_several_labels(y: np.ndarray) -> bool:
    """Whether targets say of each label whether an example has it, and one has not exactly one."""
    is_wide = y.ndim == 2 and y.shape[1] > 1
    return is_wide and bool(np.isin(y, (0, 1)).all()) and bool((y.sum(axis=1) != 1).any())


def _are_parts(first: Any, second: Any, task: Tasks) -> bool:
    """Return whether data are a training and a validation part, and not inputs and targets.

    Two lists or tuples may be either. Targets of several outputs are several arrays themselves.
    """
    if not all(isinstance(one, tuple | list) and len(one) > 0 for one in (first, second)):
        return isinstance(first, tuple | list) and isinstance(second, tuple | list)
    if isinstance(task, Mapping):
        return all(len(one) == 2 and _may_be_several(one[1]) for one in (first, second))
    is_several = isinstance(second[0], Mapping | list | tuple)
    return len(second) > 1 and (is_several or np.ndim(second[0]) > 0)


def _may_be_several(value: Any) -> bool:
    """Return whether a value is several arrays: a dict, or a list of arrays that have rows."""
    if isinstance(value, Mapping):
        return True
    is_list = isinstance(value, list | tuple) and len(value) > 0
    return is_list and all(len(getattr(one, "shape", ())) > 0 for one in value)


def _check_part(part: Any, task: Tasks) -> tuple[Any, Any]:
    if len(part) != 2:
        raise ValueError(f"data: a part has {len(part)} members; {FORMS}")
    x, y = _as_arrays(part[0], part[1], task)
    return check_arrays(x, y, task)


def _as_arrays(x: Any, y: Any, task: Tasks) -> tuple[Any, Any]:
    """Return both sides as arrays; a list holds several arrays, or the rows of a single one.

    It holds rows if it is as long as the other side has rows.
    """
    several = _may_be_several(x), _may_be_several(y)
    may_be_rows = (
        not isinstance(x, Mapping),
        not isinstance(y, Mapping) and not isinstance(task, Mapping),
    )
    for as_several in ((False, False), (True, False), (False, True), (True, True)):
        fits = [s if a else r for a, s, r in zip(as_several, several, may_be_rows, strict=True)]
        if not all(fits):
            continue
        rows = {
            len(one)
            for side, a in zip((x, y), as_several, strict=True)
            for one in (arrays_of(side).values() if a else [side])
            if hasattr(one, "__len__")
        }
        if len(rows) == 1:
            several = as_several
            break
    try:
        x, y = (
            mapped(np.asarray, side) if is_several else np.asarray(side)
            for side, is_several in zip((x, y), several, strict=True)
        )
    except ValueError:  # rows of different lengths
        raise ValueError("data: inputs and targets must be arrays of numbers") from None
    return x, y


def _check_targets(y: np.ndarray, task: Task, of: str) -> np.ndarray:
    if task == "regression":
        y = y.astype(np.float32)
        if not np.isfinite(y).all():
            raise ValueError(f"data:{of} some targets are NaN or infinite; drop them")
    elif y.dtype.kind not in "iu" and y.ndim == 1:
        way_out = "KerasExperiment(..., task='regression')" if not of else "the task 'regression'"
        raise ValueError(
            f"data:{of} targets of type {y.dtype} in a classification; give integers from 0 on, or "
            f"{way_out}"
        )
    elif y.ndim == 1 and y.min() < 0:
        raise ValueError(f"data:{of} class {y.min()}; give integers from 0 on")
    return y


def _of(name: str) -> str:
    return f" {name}:" if name else ""


def _rows(value: Any) -> int:
    return len(next(iter(arrays_of(value).values())))


def _no_numbers(what: str, array: np.ndarray) -> str:
    values = array.ravel()[:2].tolist()
    is_text = all(isinstance(value, str) for value in values)
    some = f"text such as {', '.join(map(repr, values))}" if is_text else f"{array.dtype}"
    said = f"data: {what} must be arrays of numbers; received {some}"
    if is_text and what == "targets" and array.ndim == 1:
        said += "; numbers of the classes: `names, y = np.unique(y, return_inverse=True)`"
    return said


def _sizes(value: Any) -> str:
    return " and ".join(dict.fromkeys(str(len(one)) for one in arrays_of(value).values()))


FEWEST_GROUPS = 6
"""So many groups leave four to train on, one a fold, beside one that validates."""
FEWEST_EXAMPLES = 20
"""So many numbers can be split, and what trains be divided into folds."""
STOPPING_SHARE = 0.1
"""Part of the training examples of a fold that only says when to stop."""


def folds_of(parts: Parts, task: Tasks, seed: int, n: int) -> Iterator[tuple[Parts, np.ndarray]]:
    """Divide the training part into n folds, each scored once by what the rest trains.

    The validation part, which scored the search, is trained on. A part of the training examples
    says when to stop. In time order a fold is trained on what is before it, see `rolling_origin`;
    the last of that says when to stop, and the validation part, which is later, is left out.

    Args:
        parts: The parts of a search, arrays.
        task: Task of each output.
        seed: Decides the division.
        n: Number of folds.

    Yields:
        The parts of a fold, and the numbers of its examples in the training part of the search.
    """
    (x, y), more = parts.train, parts.validation
    order = parts.groups, parts.ordered, parts.gap
    for train, stopping, scoring in _folds(_rows(y), _labels(y, task), *order, seed, n):
        trained, weights = _taken(x, y, train), parts.weights
        if parts.ordered:
            weights = None if weights is None else weights[train]
        else:
            trained = joined([trained[0], more[0]]), joined([trained[1], more[1]])
            weights = _weights_of_all(parts, train)
        yield _fold(parts, trained, stopping, scoring, weights), scoring


def folds_of_numbers(
    numbers: Numbers, seed: int, n: int, *, ordered: bool, gap: int
) -> Iterator[tuple[Numbers, np.ndarray]]:
    """Divide numbers as `folds_of` divides arrays, but for the shares of classes."""
    own = numbers.train
    for train, stopping, scoring in _folds(len(own), None, numbers.groups, ordered, gap, seed, n):
        trained = own[train]
        if not ordered:
            trained = np.sort(np.concatenate([trained, numbers.validation]))
        yield Numbers(trained, own[stopping], own[scoring]), scoring


def _folds(
    rows: int,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
    ordered: bool,
    gap: int,
    seed: int,
    n: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the rows of each fold that train, that say when to stop, and that score."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    if ordered:
        for past, scoring in rolling_origin(rows, seed, n):
            earlier = _before(past, groups, scoring, gap)
            before, last = _last_apart(earlier, STOPPING_SHARE)
            yield _before(before, groups, last, gap), last, scoring
        return
    is_rare = labels is not None and np.bincount(labels)[np.unique(labels)].min() < n
    if groups is not None or is_rare:
        labels = None  # whole groups, or a class that is not in every fold
    kind = KFold if labels is None else StratifiedKFold
    kind = kind if groups is None else GroupKFold
    divide = kind(n, shuffle=True, random_state=seed)
    for rest, scoring in divide.split(np.arange(rows), labels, groups):
        train, stopping = _divided(rest, STOPPING_SHARE, seed, labels, groups)
        yield np.sort(train), np.sort(stopping), scoring


def everything_of(parts: Parts | Numbers) -> Parts | Numbers:
    """Return parts whose training part is all examples of the search; the other part stays."""
    if isinstance(parts, Numbers):
        return replace(parts, train=np.sort(np.concatenate([parts.train, parts.validation])))
    (x, y), (x_val, y_val) = parts.train, parts.validation
    train = joined([x, x_val]), joined([y, y_val])
    weights = _weights_of_all(parts, np.arange(_rows(y)))
    return replace(parts, train=train, n_train=_rows(train[1]), groups=None, weights=weights)


def _weights_of_all(parts: Parts, rows: np.ndarray) -> np.ndarray | None:
    """Return the weights of some training examples and of the validation part; None without any."""
    if parts.weights is None and parts.weights_of_validation is None:
        return None
    both = [
        np.ones(_rows(side[1]), np.float32) if given is None else given
        for given, side in (
            (parts.weights, parts.train),
            (parts.weights_of_validation, parts.validation),
        )
    ]
    return np.concatenate([both[0][rows], both[1]])


def _fold(
    parts: Parts,
    train: tuple[Any, Any],
    stopping: np.ndarray,
    scoring: np.ndarray,
    weights: np.ndarray | None,
) -> Parts:
    x, y = parts.train
    return replace(
        parts,
        train=train,
        validation=_taken(x, y, stopping),
        fold=_taken(x, y, scoring),
        weights=weights,
        weights_of_validation=None,
        n_train=_rows(train[1]),
        n_validation=len(scoring),
    )


def _labels(y: Any, task: Tasks) -> np.ndarray | None:
    """Return the class of each example, by the first output that is a classification."""
    tasks = by_name(task, task)
    classes = [one for name, one in by_output(y, task).items() if tasks[name] == "classification"]
    return next((one if one.ndim == 1 else one.argmax(axis=1) for one in classes), None)


def _divided(
    rows: np.ndarray,
    share: float,
    seed: int,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows at random in two, of which the second is a share of all.

    The shares of the classes that `labels` gives of every example stay; groups are kept whole.
    """
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    if groups is None:
        first, second = train_test_split(
            rows,
            test_size=share,
            stratify=None if labels is None else labels[rows],
            random_state=seed,
        )
        return first, second
    divide = GroupShuffleSplit(1, test_size=share, random_state=seed)
    first, second = next(divide.split(rows, groups=groups[rows]))
    return rows[first], rows[second]


def _split(
    part: tuple[Any, Any],
    task: Tasks,
    split_seed: int,
    groups: np.ndarray | None,
    ordered: bool,
    gap: int = 0,
) -> tuple[Any, Any, np.ndarray]:
    """Split one part at random, so that the shares of the classes, or whole groups, are kept.

    In time order the last examples validate.
    """
    x, y = part
    labels = _labels(y, task)
    train, validation = _apart(np.arange(_rows(y)), split_seed, labels, groups, ordered, gap)
    indices = np.concatenate([train, validation])
    return _taken(x, y, train), _taken(x, y, validation), indices


def _apart(
    rows: np.ndarray,
    split_seed: int,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
    ordered: bool,
    gap: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a search that train, and those that validate."""
    if ordered:
        train, validation = _last_apart(rows, VALIDATION_SHARE)
        return _before(train, groups, validation, gap), validation
    return _divided(rows, VALIDATION_SHARE, split_seed, labels, groups)


def numbers_of(
    examples: int, split_seed: int, groups: Any = None, *, ordered: bool = False, gap: int = 0
) -> Numbers:
    """Split the numbers of so many examples; for the other arguments see `read_parts`.

    Raises:
        ValueError: There are too few, or the groups are not theirs.
    """
    if examples < FEWEST_EXAMPLES:
        raise ValueError(f"examples {examples}: give {FEWEST_EXAMPLES} or more, or no number")
    groups = None if groups is None else _check_groups(groups, examples)
    apart = _apart(np.arange(examples), split_seed, None, groups, ordered, gap)
    train, validation = map(np.sort, apart)
    return Numbers(train, validation, groups=None if groups is None else groups[train])


def _before(past: np.ndarray, groups: np.ndarray | None, later: np.ndarray, gap: int) -> np.ndarray:
    """Return the past without the last `gap` rows of it, and without groups that come later.

    Raises:
        ValueError: Nothing is left.
    """
    kept = past[past < later[0] - gap] if gap else past
    if groups is not None:
        kept = kept[~np.isin(groups[kept], groups[later])]
    if not len(kept):
        raise ValueError(
            f"ordered: no example is left that comes before those that score, with a gap of {gap}"
            f"{'' if groups is None else ' and of another group'}"
        )
    return kept


def _last_apart(rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    begin = len(rows) - max(1, round(share * len(rows)))
    return rows[:begin], rows[begin:]


def _taken(x: Any, y: Any, rows: np.ndarray) -> tuple[Any, Any]:
    return mapped(lambda one: one[rows], x), mapped(lambda one: one[rows], y)


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
    batches = [_batch_arrays(batch) for batch in parts.scoring_batches()]
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


def read_datasets(
    build: Callable[[], Any], task: Tasks, split_seed: int, numbers: Numbers | None = None
) -> Parts:
    """Check that trials can be trained on datasets, and compared by them.

    As a rule the validation set is read once, and one batch of the training set.

    Args:
        build: Returns (training, validation); new ones each time, if they can be made anew.
        task: Task of each output; decides which targets are allowed.
        split_seed: Seed of Python's and NumPy's random numbers.
        numbers: Of which examples the datasets are made; None if that is not known.

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
    batches = [_batch_arrays(batch) for batch in validation]
    if not batches:
        raise ValueError("data: the validation dataset is empty")
    x, y = (joined(column) for column in zip(*batches, strict=True))
    check_arrays(x, y, task)
    if numbers is not None:
        check_count(_rows(y), len(numbers.validation))
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
        n_train=None if numbers is None else len(numbers.train),
        n_validation=_rows(y),
        classes=classes_of(y, task),
        inputs=described(x),
        digest=digest_of(*named_arrays(x, y)),
        split_digest=sha256(str(steps).encode()).hexdigest(),
        examples=examples,
        dataset_seed=split_seed if is_split_by_seed else None,
        irreproducible=_why_irreproducible(first, pair(split_seed)[0]),
    )


def check_count(examples: int, numbers: int) -> None:
    """Refuse a validation dataset that has not one example a number."""
    if examples != numbers:
        raise ValueError(
            f"data: {counted(numbers, 'number')} to validate, and the validation dataset has "
            f"{counted(examples, 'example')}; give one example a number, in their order"
        )


PROBED: Final = 3
"""So many examples of a fold show whether they come in the order of their numbers."""


def check_order(load: Callable[..., Any], numbers: Numbers, scoring: Any) -> None:
    """See that a fold's examples come in the order of their numbers, by some of its first ones.

    Verdicts compare trainings example by example.

    Args:
        load: Numbers that train, numbers that validate -> two batched datasets.
        numbers: Those of the fold.
        scoring: The dataset of the examples that score.

    Raises:
        ValueError: They do not.
    """
    assert numbers.fold is not None
    _, few = load(numbers.train, numbers.fold[: 2 * PROBED : 2])
    seen = _first_digests(scoring, 2 * PROBED)[::2]
    if len(seen) < min(PROBED, len(numbers.fold)) or seen != _first_digests(few, PROBED):
        raise ValueError(
            "data: the validation dataset does not have one example a number, in their order; "
            "shuffle, augment and repeat the training dataset only"
        )


def _first_digests(dataset: Any, most: int) -> list[str]:
    """Return a digest of each of the first examples of a dataset."""
    found: list[str] = []
    for batch in dataset:
        x, y = _batch_arrays(batch)
        for row in range(min(_rows(y), most - len(found))):
            found.append(_examples([(_taken(x, y, np.array([row])))]))
        if len(found) == most:
            break
    return found


def _check(dataset: Any, which: str) -> None:
    """Refuse a dataset that `model.fit` would not take, or would never end with."""
    if int(dataset.cardinality()) == _ENDLESS:
        raise ValueError(
            f"data: the {which} dataset never ends; leave .repeat() out, every epoch begins it anew"
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        members = len(spec) if isinstance(spec, tuple) else 1
        raise ValueError(
            f"data: the {which} dataset gives batches of {members} members; give (x, y), or "
            "(x, y, weights)"
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


def _batch_arrays(batch: Any) -> tuple[Any, Any]:
    x, y = (mapped(np.asarray, side) for side in batch[:2])
    if any(one.dtype.hasobject and one.ndim == 0 for one in named_arrays(x, y)):
        raise ValueError("data: inputs or targets within others; give one dict, list or tuple each")
    return x, y


def _first(dataset: Any) -> tuple[Any, Any]:
    (batch,) = itertools.islice(dataset, 1)
    return _batch_arrays(batch)


def _same(first: Any, second: Any) -> bool:
    pairs = zip(named_arrays(*first), named_arrays(*second), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


def _examples(batches: Any) -> str:
    digest = ExamplesDigest()
    for x, y in batches:
        digest.add(x, y)
    return digest.hexdigest()
