"""Which blocks count: whole repeats that everyone has, two at least."""

from pathlib import Path

import pytest

from sweeps.finalizing.judging import Trainings
from sweeps.records import RecordStore
from tests.sweeps.factories import make_record

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
