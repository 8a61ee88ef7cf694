import dataclasses

import numpy as np
import pytest

from digitexp.data import DataError, Source, load_source, split_source

DIGITS20_SPLIT = "f4f39ca2b7616e92b0dad4ba1216d9e8f5e22cf9985216fa7ec4e3360a6d8620"


def source_of(sizes: list[int]) -> Source:
    """Return a source with that many images, all different, of each class."""
    count = sum(sizes)
    images = np.arange(4 * count, dtype=np.float32).reshape(count, 2, 2) / (4 * count)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return Source("made", images, labels, tuple(map(str, range(len(sizes)))), (), "digest")


def test_the_split_of_digits20_is_pinned():
    source = load_source()
    split = split_source(source)
    assert split.digest == DIGITS20_SPLIT
    assert np.bincount(source.labels[split.train_indices]).tolist() == [400] * 10
    assert np.bincount(source.labels[split.validation_indices]).tolist() == [100] * 10
    assert split.validation_indices[:5].tolist() == [2, 3, 11, 13, 20]


def test_both_sides_together_are_every_image_once():
    split = split_source(source_of([13, 7, 29]), seed=3)
    both = np.concatenate([split.train_indices, split.validation_indices])
    assert np.sort(both).tolist() == list(range(49))
    for indices in (split.train_indices, split.validation_indices):
        assert indices.dtype == np.int64
        assert (np.diff(indices) > 0).all()
        assert not indices.flags.writeable


def test_a_seed_gives_its_split_again_and_another_seed_another():
    source = source_of([50, 50])
    assert split_source(source, 1).digest == split_source(source, 1).digest
    assert len({split_source(source, seed).digest for seed in range(5)}) == 5


@pytest.mark.parametrize(
    ("sizes", "fraction", "validating"),
    [
        ([10, 10], 0.2, [2, 2]),
        ([14, 13, 13], 0.25, [4, 3, 3]),
        ([13, 13, 14], 0.25, [3, 3, 4]),
        ([10, 10, 10], 1 / 3, [4, 3, 3]),
        ([100, 2], 0.01, [1, 1]),
        ([2, 100], 0.99, [1, 99]),
    ],
)
def test_classes_share_the_validation_part_by_largest_remainder(sizes, fraction, validating):
    source = source_of(sizes)
    chosen = split_source(source, validation_fraction=fraction).validation_indices
    assert np.bincount(source.labels[chosen]).tolist() == validating


def test_every_image_validates_about_equally_often():
    source = source_of([20, 20])
    times = np.zeros(40)
    for seed in range(400):
        times[split_source(source, seed).validation_indices] += 1
    assert times.sum() == 400 * 8
    assert times.min() > 50  # expected 80, standard deviation 8
    assert times.max() < 110


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_outside_its_range_is_refused(fraction):
    with pytest.raises(DataError, match="validation fraction: found"):
        split_source(source_of([5, 5]), validation_fraction=fraction)


def test_a_negative_seed_is_refused():
    with pytest.raises(DataError, match="split seed: found -1"):
        split_source(source_of([5, 5]), seed=-1)


def test_a_class_with_one_image_is_refused():
    with pytest.raises(DataError, match=r"made \(class 1\): found 1 image"):
        split_source(source_of([5, 1, 5]))


def test_an_image_on_both_sides_is_refused_with_the_way_out():
    source = source_of([30, 30])
    images = source.images.copy()
    images[30:] = images[:30]
    with pytest.raises(DataError, match=r"validation image\(s\) that are training images.*unique"):
        split_source(dataclasses.replace(source, images=images))
