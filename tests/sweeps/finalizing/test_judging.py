"""Which blocks count: whole repeats that everyone has, two at least."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from sweeps.errors import UsageError
from sweeps.finalizing.finalists import Finalist
from sweeps.finalizing.judging import Trainings, judge
from sweeps.records import RecordStore
from tests.sweeps.factories import make_record, make_result

LABELS = ["trial-1", "baseline-slow"]


def blocks_of(missing, blocks=12):
    found = {
        (block, label): make_record()
        for block in range(blocks)
        for label in LABELS
        if (block, label) not in missing
    }
    return Trainings(RecordStore(Path("nowhere")), found).whole_blocks(LABELS, blocks)


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
    assert blocks_of(missing) == counts


def stored(folder, sizes):
    """Return a store with a training of each finalist on blocks that judge so many images."""
    store = RecordStore(folder)
    folder.mkdir()
    for block, size in enumerate(sizes):
        for place, label in enumerate(LABELS):
            # Each repeat judges the images in another order.
            images = (np.arange(size) + sum(sizes[:block])) % sum(sizes[:4])
            arrays = {"block_images": images, "block_correct": np.ones(size, np.uint8)}
            result = make_result(np.random.default_rng(block), "complete", 1)
            result = dataclasses.replace(result, arrays=arrays)
            params = {"block": block, "finalist": label}
            store.write(make_record(block * 2 + place, params=params, result=result))
    return store


@pytest.mark.parametrize(
    ("sizes", "said"),
    [([6] * 8, None), ([7, 6, 6, 6] * 2, "6 to 7 images"), ([6, 6] * 2 + [5] * 4, "5 to 6")],
)
def test_blocks_that_judge_unequal_numbers_of_images_are_refused(tmp_path, sizes, said):
    store = stored(tmp_path / "confirmation", sizes)
    finalists = [Finalist(label, place, {}, 0.9, place + 1) for place, label in enumerate(LABELS)]
    if said is None:
        assert judge(store, finalists, 8).verdict.standings[0].mean.value == 1.0
        return
    with pytest.raises(UsageError, match=f"blocks judge {said}"):
        judge(store, finalists, 8)
