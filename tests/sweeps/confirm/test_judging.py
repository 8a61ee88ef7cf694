"""Which folds count: whole repeats that everyone has, two at least."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from sweeps.confirm.comparison import Trainings, compare_finalists
from sweeps.confirm.finalists import ACCURACY, Finalist
from sweeps.errors import UsageError
from sweeps.records import RecordStore
from tests.homes import whole_records
from tests.sweeps.factories import altered, make_record, make_result

LABELS = ["trial-1", "baseline-slow"]


def folds_of(missing, folds=12):
    found = {
        (fold, label): make_record()
        for fold in range(folds)
        for label in LABELS
        if (fold, label) not in missing
    }
    return Trainings(RecordStore(Path("nowhere")), ACCURACY, found).whole_folds(LABELS, folds)


@pytest.mark.parametrize(
    ("missing", "counts"),
    [
        (set(), list(range(12))),
        ({(5, "trial-1")}, [0, 1, 2, 3, 8, 9, 10, 11]),
        ({(0, "baseline-slow")}, list(range(4, 12))),
        ({(11, "trial-1")}, list(range(8))),
        ({(1, "trial-1"), (6, "trial-1")}, []),
    ],
)
def test_a_repeat_with_a_missing_training_is_left_out(missing, counts):
    assert folds_of(missing) == counts


FINALISTS = [Finalist(label, place, {}, 0.9, place + 1) for place, label in enumerate(LABELS)]


def stored(folder, sizes, right=lambda place, samples: np.ones(len(samples), np.uint8), **changed):
    """Return a store with a training of each finalist on folds that judge so many samples.

    Args:
        folder: Where.
        sizes: Of each fold; each repeat of four judges the same samples in another order.
        right: Which samples the finalist at a place gets right.
        changed: By the name of an array, what the training of the second finalist on fold 5 kept
            in its place; None for nothing.
    """
    store = RecordStore(folder)
    folder.mkdir()
    for fold, size in enumerate(sizes):
        for place, label in enumerate(LABELS):
            order = np.random.default_rng(fold // 4).permutation(sum(sizes[:4]))
            first = sum(sizes[fold - fold % 4 : fold])
            samples = order[first : first + size]
            scores = right(place, samples)
            arrays = {"fold_samples": samples, "best_val_accuracy_by_sample": scores}
            if place == 1 and fold == 5:
                arrays = {n: a for n, a in (arrays | changed).items() if a is not None}
            result = make_result(np.random.default_rng(fold), "complete", 1)
            metrics = {**result.metrics, "best_val_accuracy": float(np.mean(scores))}
            result = dataclasses.replace(result, metrics=metrics, arrays=arrays)
            params = {"block": fold, "finalist": label}
            store.write(make_record(fold * 2 + place, params=params, result=result))
    return store


@pytest.mark.parametrize("sizes", [[6] * 8, [7, 6, 6, 5] * 2, [9, 1, 2, 3, 2, 3, 9, 1]])
def test_images_count_alike_whatever_the_size_of_their_fold(tmp_path, sizes):
    store = stored(tmp_path / "all", sizes, lambda place, samples: samples % (place + 2) != 0)
    comparison = compare_finalists(store, FINALISTS, 8)
    pool = np.arange(sum(sizes[:4]))
    means = {s.finalist: s.accuracy.value for s in comparison.verdict.standings}
    by_hand = {label: np.mean(pool % (place + 2) != 0) for place, label in enumerate(LABELS)}
    assert means == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"fold_samples": None},
            r"baseline-slow on fold 5 \(trial 11\) kept no 'fold_samples'",
        ),
        (
            {"best_val_accuracy_by_sample": np.ones(5)},
            r"'best_val_accuracy_by_sample' \(5,\) and 'fold_samples' \(6,\)",
        ),
        (
            {"best_val_accuracy_by_sample": np.ones((6, 1))},
            r"'best_val_accuracy_by_sample' \(6, 1\)",
        ),
        (
            {"best_val_accuracy_by_sample": np.full(6, 0.5)},
            "with the mean 0.5, where its metric 'best_val_accuracy' is 1",
        ),
        ({"fold_samples": np.arange(6) / 2}, "'fold_samples' that are no whole numbers"),
        (
            {"fold_samples": np.arange(-1, 5)},
            "'fold_samples' that are no whole numbers from 0",
        ),
        ({"fold_samples": np.arange(6)}, "fold 5: trial-1 and baseline-slow were evaluated on"),
    ],
)
def test_what_a_training_kept_and_cannot_be_judged_is_said(tmp_path, changed, said):
    with pytest.raises(UsageError, match=said):
        compare_finalists(stored(tmp_path / "one", [6] * 8, **changed), FINALISTS, 8)


def lost_on(folder, sizes, folds, **changed):
    """Return a store in which the first finalist, right on all it answers, is lost on folds."""
    store = stored(folder, sizes, lambda place, samples: (samples % 10 != 0) | (place == 0))
    return with_changed(store, {2 * fold: changed for fold in folds})


def with_changed(store, changes):
    """Return a store with the same trainings, some of them, by their number, with other members."""
    again = RecordStore(store.folder.with_name(f"{store.folder.name}-changed"))
    again.folder.mkdir()
    for number, record in enumerate(whole_records(store)):
        changed = {"objective": None, **changes[number]} if number in changes else {}
        again.write(altered(record, details_sha256=None, **changed))
    return again


NO_ANSWERS = make_result(np.random.default_rng(0), "diverged", 2)
NO_ANSWERS = dataclasses.replace(NO_ANSWERS, metrics={}, arrays={}, weights=None)


@pytest.mark.parametrize("outcome", ["diverged", "failed"])
def test_a_training_without_answers_counts_as_the_worst_training_of_any_finalist(tmp_path, outcome):
    result = NO_ANSWERS if outcome == "diverged" else None
    store = lost_on(tmp_path / "lost", [10] * 8, [1, 6], outcome=outcome, result=result)
    comparison = compare_finalists(store, FINALISTS, 8)
    standings = {s.finalist: s for s in comparison.verdict.standings}
    kept = [store.read(r.key).result for r in store.read_all() if r.outcome == "complete"]
    worst = min(one.arrays["best_val_accuracy_by_sample"].mean() for one in kept)
    assert worst < 0.9
    assert standings["trial-1"].accuracy.value == pytest.approx((6 + 2 * worst) / 8)
    assert standings["baseline-slow"].accuracy.value == pytest.approx(0.9)
    assert comparison.folds == list(range(8)), "no repeat is left out"
    concluded = standings["trial-1"]
    assert (concluded.diverged, concluded.failed) == ((2, 0) if result else (0, 2))


def test_a_training_that_diverged_counts_by_the_weights_it_restored(tmp_path):
    store = lost_on(tmp_path / "lost", [10] * 8, [1])
    record = store.read(store.read_all()[2].key)
    answers = record.result.arrays | {"best_val_accuracy_by_sample": np.arange(10) % 2}
    result = dataclasses.replace(
        record.result, outcome="diverged", metrics={"best_val_accuracy": 0.5}, arrays=answers
    )
    store = with_changed(store, {2: {"outcome": "diverged", "result": result}})
    comparison = compare_finalists(store, FINALISTS, 8)
    standings = {s.finalist: s for s in comparison.verdict.standings}
    assert standings["trial-1"].accuracy.value == pytest.approx(75 / 80)
    assert standings["trial-1"].diverged == 1


def test_a_fold_on_which_nobody_left_answers_leaves_its_repeat_out(tmp_path):
    store = lost_on(tmp_path / "lost", [10] * 12, [5], outcome="failed", result=None)
    store = with_changed(store, {11: {"outcome": "failed", "result": None}})
    assert compare_finalists(store, FINALISTS, 12).folds == [0, 1, 2, 3, 8, 9, 10, 11]


def test_a_repeat_that_does_not_judge_every_sample_once_is_refused(tmp_path):
    said = "folds 4, 5, 6, 7 judge 20 of 24 samples, 20 times in all"
    with pytest.raises(UsageError, match=said):
        compare_finalists(stored(tmp_path / "fewer", [6] * 4 + [5] * 4), FINALISTS, 8)
