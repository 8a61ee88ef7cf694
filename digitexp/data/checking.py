"""Arrays as found -> a `Source`, or a refusal that says what is wrong; the only way there."""

from __future__ import annotations

import numpy as np

from digitexp.data.duplicates import find_shared, fingerprint_images
from digitexp.data.errors import DataError
from digitexp.data.found import Found, Pair
from digitexp.data.images import convert_images
from digitexp.data.labels import check_classes, check_test_classes, convert_labels
from digitexp.data.source import Images, Labels, Source, TestPart, digest_arrays


def make_source(found: Found) -> Source:
    """Convert and check everything a reader found.

    Raises:
        DataError: If images, labels or their classes are of no accepted form, if training and test
            images differ in shape, or if an image lies in both parts.
    """
    images, labels, policies = _convert(found.train, found, "training")
    classes = check_classes(labels, f"{found.where} (training labels)")
    names = found.class_names or tuple(str(number) for number in range(classes))
    test = None
    if found.test is not None:
        test_images, test_labels, more = _convert(found.test, found, "test")
        check_test_classes(test_labels, f"{found.where} (test labels)", classes=classes)
        _check_apart(images, test_images, found.where)
        policies += [policy for policy in more if policy not in policies]
        test = TestPart(
            test_images, test_labels, digest_arrays(images=test_images, labels=test_labels)
        )
    return Source(
        name=found.name,
        images=images,
        labels=labels,
        class_names=names,
        policies=(*found.policies, *policies),
        digest=digest_arrays(images=images, labels=labels),
        test=test,
    )


def _convert(pair: Pair, found: Found, part: str) -> tuple[Images, Labels, list[str]]:
    images, policies = convert_images(
        pair.images, f"{found.where} ({part} images)", course=found.course
    )
    labels, more = convert_labels(
        pair.labels, f"{found.where} ({part} labels)", images=len(images), course=found.course
    )
    images = np.ascontiguousarray(images)
    for array in (images, labels):
        array.flags.writeable = False  # one trial must not change the data of the next
    return images, labels, policies + more


def _check_apart(images: Images, test_images: Images, where: str) -> None:
    """Raise DataError if test images have another shape or are training images as well."""
    if images.shape[1:] != test_images.shape[1:]:
        raise DataError.about(
            where,
            found=f"training images {images.shape[1:]} and test images {test_images.shape[1:]}",
            expected="one height and width",
        )
    shared = find_shared(fingerprint_images(images), fingerprint_images(test_images))
    if shared:
        train_index, test_index = shared[0]
        raise DataError.about(
            where,
            found=f"{len(shared)} test image(s) that are training images too "
            f"(test {test_index} = training {train_index})",
            expected="no image in both parts",
            fix="Remove them from one part: the test score would be too good.",
        )
