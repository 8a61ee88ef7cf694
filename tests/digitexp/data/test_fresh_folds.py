import numpy as np
import pytest

from digitexp.data import load_source, split_source
from digitexp.data.source import DataError
from digitexp.data.splits import Split, fresh_folds

FOLDS = 4


@pytest.fixture(scope="module")
def digits():
    source = load_source("digits20")
    return source, split_source(source)


@pytest.fixture(scope="module")
def folds(digits):
    source, split = digits
    return [one for n in range(5) for one in fresh_folds(source.labels, split, n, FOLDS)]


def test_no_fold_evaluates_on_an_image_that_scored_the_search(digits, folds):
    _, split = digits
    for fold in folds:
        assert not np.isin(fold.evaluation_indices, split.validation_indices).any()
        assert np.isin(split.validation_indices, fold.train_indices).all()


def test_its_three_parts_are_apart_and_of_the_sizes_that_are_said(folds):
    for fold in folds:
        parts = fold.train_indices, fold.inner_indices, fold.evaluation_indices
        assert [len(part) for part in parts] == [3600, 400, 1000]
        assert len(np.unique(np.concatenate(parts))) == 5000


def test_every_image_outside_is_evaluated_once_a_repeat(digits, folds):
    _, split = digits
    for repeat in range(5):
        evaluated = [b.evaluation_indices for b in folds[repeat * FOLDS : (repeat + 1) * FOLDS]]
        assert sorted(np.concatenate(evaluated)) == list(split.train_indices)


def test_classes_keep_their_shares(digits, folds):
    labels = digits[0].labels
    for fold in folds:
        assert set(np.bincount(labels[fold.evaluation_indices])) == {100}
        assert set(np.bincount(labels[fold.inner_indices])) == {40}


def test_repeats_differ(folds):
    assert len({fold.evaluation_indices.tobytes() for fold in folds}) == 20


def test_a_fold_is_the_same_each_time(digits, folds):
    *_, again = fresh_folds(digits[0].labels, digits[1], 1, FOLDS)
    assert (again.train_indices == folds[7].train_indices).all()
    # As it was on the day it was written: a recorded confirmation stays repeatable.
    assert folds[7].evaluation_indices[:5].tolist() == [1, 5, 10, 17, 19]


@pytest.mark.parametrize("left_over", [[], [0], [0, 1], [2, 2, 2]])
def test_folds_are_of_one_size_and_what_is_left_over_is_only_trained_on(left_over):
    labels = np.repeat(np.arange(3), [12, 8, 4])
    labels = np.sort(np.concatenate([labels, np.array(left_over, int), np.arange(3)]))
    validation = np.array([np.flatnonzero(labels == label)[0] for label in range(3)])
    pool = np.setdiff1d(np.arange(len(labels)), validation)
    split = Split(pool, validation, "ab" * 32)
    never = []
    for repeat in range(3):
        folds = [*fresh_folds(labels, split, repeat, FOLDS)]
        assert {len(fold.evaluation_indices) for fold in folds} == {6}
        evaluated = np.concatenate([fold.evaluation_indices for fold in folds])
        assert len(np.unique(evaluated)) == 24
        never.append(np.setdiff1d(pool, evaluated).tolist())
        for fold in folds:
            used = np.concatenate([fold.train_indices, fold.inner_indices])
            assert np.isin(never[-1], used).all()
    assert len(never[0]) == len(left_over)
    assert never[0] == never[1] == never[2], "the same in each repeat"
    assert np.bincount(labels[np.setdiff1d(pool, never[0])], minlength=3).min() >= FOLDS


def test_too_few_images_of_a_class_are_refused():
    labels = np.repeat([0, 1], [60, 3])
    split = Split(np.arange(len(labels)), np.arange(0), "ab" * 32)
    with pytest.raises(DataError):
        next(fresh_folds(labels, split, 0, FOLDS))
