"""Rules on data as its files have it: images, pixels, labels, classes.

What loading refuses with its first mistake, these rules list in whole; what may be loaded is
decided where it is loaded (`digitexp.data`), and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from digitexp.checking.finding import Finding, Verdict, share
from digitexp.data.duplicates import find_shared, fingerprint_images
from digitexp.data.errors import DataError
from digitexp.data.found import Found
from digitexp.data.images import convert_images
from digitexp.data.labels import check_classes, check_test_classes, convert_labels
from digitexp.data.source import Images, Labels, Source
from digitexp.data.splits import Split

__all__ = ["check_data", "check_same_data"]

SMALLEST_CLASS = 0.5
"""A class with fewer images than this share of the mean one has too little weight in the loss."""

FEWEST_IMAGES = 50
"""A fifth of a class validates: of 50 images 10, whose recall near 90 % has a standard error of
9.5 points (sqrt(0.9 * 0.1 / 10)). Below that no recall says much."""

MOST_CONSTANT = 0.5
"""Share of pixels with one value in all images, above which most inputs carry nothing. The digits
in the middle of MNIST's 28x28 leave less than a tenth constant."""


def check_data(
    found: Found, *, n_features: int | None = None, n_classes: int | None = None
) -> list[Finding]:
    """Check the training images and labels of a source.

    Args:
        found: The source, unconverted.
        n_features: Pixels each image must have, such as 400; None = any number.
        n_classes: Classes there must be, such as 10; None = any number.
    """
    findings = []
    images = labels = None
    try:
        images, policies = convert_images(found.train.images, found.where, course=found.course)
    except DataError as error:
        findings.append(_refused("pixels", error))
    else:
        findings += [_features(images, n_features), _range(images, policies)]
    try:
        labels, _ = convert_labels(
            found.train.labels, found.where, images=len(found.train.images), course=found.course
        )
        classes = check_classes(labels, found.where)
    except DataError as error:
        findings.append(_refused("labels", error))
        labels = None
    else:
        findings += [_labels(labels, classes, n_classes), _balance(labels), _class_size(labels)]
    if images is not None:
        findings += [_constant_pixels(images), _blank_images(images)]
    if images is not None and labels is not None:
        findings.append(_duplicates(images, labels))
        findings += _test_apart(found, images, labels)
    return findings


def check_same_data(source: Source, split: Split, about: Mapping[str, Any]) -> list[Finding]:
    """Compare a source and its split with what was trained on.

    Args:
        source: The data at hand.
        split: Its split by the seed of the training.
        about: `digest` and `split_digest` of the data trained on.
    """
    advice = "Name the data it was trained on with --data."
    findings = []
    for name, here, there in (
        ("same data", source.digest, about["digest"]),
        ("same split", split.digest, about["split_digest"]),
    ):
        if here == there:
            findings.append(Finding("data", name, "ok", f"as trained on, digest {here[:12]}"))
        else:
            seen = f"digest {here[:12]}, trained on {there[:12]}"
            findings.append(Finding("data", name, "fail", seen, advice))
    return findings


def _refused(name: str, error: DataError) -> Finding:
    return Finding("data", name, "fail", str(error), "Mend the files; training refuses them too.")


def _features(images: Images, expected: int | None) -> Finding:
    height, width = images.shape[1:]
    seen = f"{len(images)} images of {height}x{width} = {height * width} features"
    if expected in (None, height * width):
        return Finding("data", "features", "ok", seen)
    return Finding("data", "features", "fail", f"{seen}; {expected} expected",
                   "Scale or crop the images to one size before they are saved.")  # fmt: skip


def _range(images: Images, policies: list[str]) -> Finding:
    low, high = float(images.min()), float(images.max())
    scaled = next((f", {policy}" for policy in policies if "divided" in policy), "")
    seen = f"from {low:.3g} to {high:.3g}{scaled}"
    if high - low >= 0.5:
        return Finding("data", "pixels", "ok", seen)
    return Finding(
        "data", "pixels", "warn", f"{seen}: less than half of [0, 1] is used",
        "Images that were divided twice, or are very pale, train slowly; scale them to [0, 1].",
    )  # fmt: skip


def _labels(labels: Labels, classes: int, expected: int | None) -> Finding:
    seen = f"{classes} classes, labels 0 to {classes - 1}, one for each of {len(labels)} images"
    if expected in (None, classes):
        return Finding("data", "labels", "ok", seen)
    return Finding("data", "labels", "fail", f"{seen}; {expected} classes expected",
                   "Look for labels that are missing or were read from another file.")  # fmt: skip


def _balance(labels: Labels) -> Finding:
    sizes = np.bincount(labels)
    least, mean = int(sizes.argmin()), float(sizes.mean())
    seen = f"{sizes.min()} to {sizes.max()} images a class"
    if sizes[least] >= SMALLEST_CLASS * mean:
        return Finding("data", "class balance", "ok", seen)
    return Finding(
        "data", "class balance", "warn",
        f"{seen}; class {least} has {share(sizes[least] / mean, 0)} of the mean, {mean:.0f}",
        f"Collect more images of class {least}, or look at its recall and not only at accuracy.",
    )  # fmt: skip


def _class_size(labels: Labels) -> Finding:
    sizes = np.bincount(labels)
    least, advice = int(sizes.argmin()), ""
    verdict: Verdict = "ok"
    if sizes[least] < 2:
        verdict, advice = "fail", "One image must train and one validate: add some."
    elif sizes[least] < FEWEST_IMAGES:
        verdict = "warn"
        advice = f"With fewer than {FEWEST_IMAGES} images its recall is mostly luck: add some."
    seen = f"the smallest, {least}, has {sizes[least]}, about {sizes[least] / 5:.0f} to validate"
    return Finding("data", "smallest class", verdict, seen, advice)


def _constant_pixels(images: Images) -> Finding:
    flat = images.reshape(len(images), -1)
    constant = int((flat.min(axis=0) == flat.max(axis=0)).sum())
    seen = f"{constant} of {flat.shape[1]} are the same in all images"
    if constant <= MOST_CONSTANT * flat.shape[1]:
        return Finding("data", "constant pixels", "ok", seen)
    return Finding("data", "constant pixels", "warn", seen,
                   "Crop the empty margin: these inputs tell nothing.")  # fmt: skip


def _blank_images(images: Images) -> Finding:
    flat = images.reshape(len(images), -1)
    blank = np.flatnonzero(flat.min(axis=1) == flat.max(axis=1))
    if not len(blank):
        return Finding("data", "blank images", "ok", "none")
    return Finding("data", "blank images", "warn", f"{len(blank)}, the first is {blank[0]}",
                   "An image without ink cannot be told from any other: remove it.")  # fmt: skip


def _duplicates(images: Images, labels: Labels) -> Finding:
    keys = fingerprint_images(images)
    surplus = len(keys) - len(set(keys))
    contradicting = sum(
        count > 1
        for count in Counter(key for key, _ in set(zip(keys, labels, strict=True))).values()
    )
    if contradicting:
        return Finding(
            "data", "duplicates", "fail",
            f"{contradicting} images stand there with different labels",
            "One of the labels is wrong: look at them, and keep the right one.",
        )  # fmt: skip
    if surplus:
        return Finding(
            "data", "duplicates", "warn", f"{surplus} images stand there more than once",
            "Keep one of each; a copy that validates what was trained on makes the score too good.",
        )  # fmt: skip
    return Finding("data", "duplicates", "ok", "none")


def _test_apart(found: Found, images: Images, labels: Labels) -> Iterator[Finding]:
    if found.test is None:
        return
    try:
        where = f"{found.where} (test part)"
        test, _ = convert_images(found.test.images, where, course=found.course)
        test_labels, _ = convert_labels(
            found.test.labels, where, images=len(test), course=found.course
        )
        check_test_classes(test_labels, where, classes=int(labels.max()) + 1)
    except DataError as error:
        yield _refused("test part", error)
        return
    shared = find_shared(fingerprint_images(images), fingerprint_images(test))
    seen = f"{len(test)} images, {len(shared)} of them are training images too"
    if not shared:
        yield Finding("data", "test part", "ok", seen)
    else:
        yield Finding("data", "test part", "fail", seen,
                      "Remove them from one part: the test score would be too good.")  # fmt: skip
