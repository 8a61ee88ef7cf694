"""Divides images into training and validation, stratified, alike on every machine and version."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

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
    keys = np.random.PCG64(seed).random_raw(len(source.labels))
    chosen = np.zeros(len(source.labels), dtype=bool)
    for number, quota in enumerate(quotas):
        members = np.flatnonzero(source.labels == number)
        chosen[members[np.argsort(keys[members], kind="stable")[:quota]]] = True
    train, validation = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    _check_apart(source, train, validation)
    for indices in (train, validation):
        indices.flags.writeable = False
    digest = digest_arrays(train_indices=train, validation_indices=validation)
    return Split(train, validation, digest)


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
    """Raise DataError if a validation image is a training image too."""
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
