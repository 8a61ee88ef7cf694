"""Divides images into training and validation, and draws fresh folds; alike on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from digitexp.data.checking import find_shared, fingerprint_images
from digitexp.data.source import DataError, Labels, Source, digest_arrays

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Training and validation indices into the images of a source, each sorted, without overlap.

    Attributes:
        train_indices: int64 (n_train,), read-only.
        validation_indices: int64 (n_validation,), read-only.
        digest: SHA-256 (hex) of both.
    """

    train_indices: Indices = field(repr=False)
    validation_indices: Indices = field(repr=False)
    digest: str


def split_source(source: Source, seed: int = 0, validation_fraction: float = 0.2) -> Split:
    """Split the images of a source, each class in the same proportion.

    The algorithm is our own, because random splits of libraries change between versions: every
    image draws one 64-bit number from PCG64 (whose stream NumPy keeps, NEP 19); within each class
    the images with the smallest numbers validate. Their number is round(n * fraction), shared
    between the classes by largest remainder, at least one and not all of a class.

    Args:
        source: Data to split; its test set is not looked at.
        seed: Any whole number from 0.
        validation_fraction: Part of the images that validate, in (0, 1).

    Raises:
        DataError: If seed or fraction is out of range, a class has fewer than two images, or an
            image would lie on both sides.
    """
    if seed < 0:
        raise DataError.about("split seed", found=str(seed), expected="a whole number from 0")
    if not 0 < validation_fraction < 1:
        raise DataError.about(
            "validation fraction", found=f"{validation_fraction}", expected="a number in (0, 1)"
        )
    quotas = _share_out(source.labels, validation_fraction, source.name)
    validation = draw(source.labels, quotas, seed)
    train = np.setdiff1d(np.arange(len(source.labels)), validation)
    _check_apart(source, train, validation)
    for indices in (train, validation):
        indices.flags.writeable = False
    digest = digest_arrays(train_indices=train, validation_indices=validation)
    return Split(train, validation, digest)


def draw(
    labels: Labels,
    quotas: ArrayLike,
    seed: int | np.random.SeedSequence,
    among: Indices | None = None,
) -> Indices:
    """Draw images of each class at random, without replacement; return their indices, sorted.

    Each image draws one number, see `split_source`; the smallest of a class are taken, so that
    fewer images of the same seed are a part of more.

    Args:
        labels: (n,) of all images.
        quotas: Number of images of each class from 0 on, or one number for all; all images of a
            class that has fewer.
        seed: Of PCG64.
        among: Indices that may be drawn, such as a training part; None = all.
    """
    keys = np.random.PCG64(seed).random_raw(len(labels))
    places: Indices = np.arange(len(labels)) if among is None else among
    drawn = []
    for number, quota in enumerate(np.broadcast_to(quotas, int(labels.max()) + 1)):
        members = places[labels[places] == number]
        drawn.append(members[np.argsort(keys[members], kind="stable")[:quota]])
    return np.sort(np.concatenate(drawn))


def stratified_folds(
    labels: Labels, folds: int, seed: int | np.random.SeedSequence
) -> NDArray[np.int64]:
    """Return the fold of each image; of each class, every fold has as many, give or take one.

    Folds are of one size, give or take one, classes with remainders or not.
    """
    keys = np.random.PCG64(seed).random_raw(len(labels))
    order = np.lexsort((keys, labels))  # class by class, drawn within each
    found = np.empty(len(labels), np.int64)
    found[order] = np.arange(len(labels)) % folds
    return found


def _share_out(labels: Labels, fraction: float, name: str) -> Indices:
    """Return how many images of each class validate."""
    sizes = np.bincount(labels)
    if sizes.min() < 2:
        raise DataError.about(
            f"{name} (class {sizes.argmin()})",
            found=f"{sizes.min()} image",
            expected="at least two of each class, one to train on and one to validate",
        )
    exact = sizes * fraction
    quotas = np.floor(exact).astype(np.int64)
    left_over = round(float(sizes.sum()) * fraction) - int(quotas.sum())
    quotas[np.argsort(quotas - exact, kind="stable")[:left_over]] += 1
    return np.asarray(np.clip(quotas, 1, sizes - 1), np.int64)


def _check_apart(source: Source, train: Indices, validation: Indices) -> None:
    keys = fingerprint_images(source.images)
    shared = find_shared([keys[i] for i in train], [keys[i] for i in validation])
    if shared:
        first, second = train[shared[0][0]], validation[shared[0][1]]
        raise DataError.about(
            source.name,
            found=f"{len(shared)} validation image(s) that are training images too "
            f"(image {second} = image {first})",
            expected="each image once",
            fix="Keep one of each: keep = np.unique(images, axis=0, return_index=True)[1].",
        )


INNER_FRACTION: Final = 0.1
"""Part of the images outside the search's validation set on which trainings stop early."""


@dataclass(frozen=True, eq=False)
class FoldIndices:
    """One fold: three sets of images, each sorted, without overlap.

    Attributes:
        train_indices: Images to train on; the search's validation set is among them.
        inner_indices: Images that early stopping watches.
        evaluation_indices: Images to evaluate on; none of the search's validation set.
    """

    train_indices: Indices = field(repr=False)
    inner_indices: Indices = field(repr=False)
    evaluation_indices: Indices = field(repr=False)


def fresh_folds(labels: Labels, split: Split, repeat: int, n: int) -> Iterator[FoldIndices]:
    """Yield the folds of a repeat, the same on every machine and version, as `split_source` does.

    The search's validation set chose the finalists, so no fold evaluates on it. The other images
    are split into n stratified folds, anew for each repeat. Each is evaluated on once, but for the
    fewer than n left over, by networks that were trained on the rest and on the search's validation
    set, and stopped early on a part of their own (Cawley & Talbot 2010; repeated cross-validation:
    Bouckaert & Frank 2004). Folds are of one size, so that images count alike.

    Args:
        labels: (images,) labels of all images of the source.
        split: Split of the search.
        repeat: Number of the repeat, from 0.
        n: Number of folds.

    Raises:
        DataError: A class has too few images outside the search's validation set.
    """
    pool = split.train_indices
    key = int(split.digest[:8], 16)  # another validation set, other folds
    divided = _divisible(labels[pool], n)
    folds = np.full(len(pool), -1)  # images left over keep it: never evaluated on
    for label, size in enumerate(np.bincount(labels[pool[divided]])):
        if 0 < size < n:
            raise DataError.about(
                f"class {label}", found=f"{size} images outside the validation part",
                expected=f"at least {n}, one a fold",
            )  # fmt: skip
    drawing = np.random.SeedSequence([key, repeat])
    folds[divided] = stratified_folds(labels[pool[divided]], n, drawing)
    count = round(INNER_FRACTION * len(pool))
    for place in range(n):
        rest = pool[folds != place]
        sizes = np.bincount(labels[rest])
        quotas = [max(1, round(count * size / len(rest))) if size > 1 else 0 for size in sizes]
        inner = rest[draw(labels[rest], quotas, np.random.SeedSequence([key, repeat, place, 1]))]
        train = np.sort(np.concatenate([np.setdiff1d(rest, inner), split.validation_indices]))
        yield FoldIndices(train, inner, pool[folds == place])


def _divisible(labels: Labels, n: int) -> Indices:
    """Return the places of all images but a few of the largest classes: a multiple of n."""
    places: Indices = np.arange(len(labels))
    for _ in range(len(labels) % n):
        largest = np.bincount(labels[places]).argmax()
        places = np.delete(places, np.flatnonzero(labels[places] == largest)[-1])
    return places
