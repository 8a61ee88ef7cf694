"""From the trainings of a confirmation to its verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sweeps.errors import UsageError
from sweeps.experiment import TrialResult
from sweeps.finalizing.finalists import Finalist
from sweeps.finalizing.outcomes import NO_IMAGE, Outcomes, stacked
from sweeps.finalizing.verdict import Verdict, decide
from sweeps.records import BLOCK, FINALIST, Record, RecordStore

FOLDS = 4
"""Blocks that judge every image once between them, see `Confirms`."""
_SEE = "see `Confirms` in sweeps/abilities.py"
COST = "parameters"
"""What makes one of several equivalent finalists the cheapest."""


@dataclass(frozen=True)
class Trainings:
    """The complete trainings of a confirmation.

    Attributes:
        store: Their records.
        found: By block and the finalist's label; without arrays.
    """

    store: RecordStore = field(repr=False)
    found: Mapping[tuple[int, str], Record] = field(repr=False)

    @classmethod
    def read(cls, store: RecordStore, left_out: Collection[str] = ()) -> Trainings:
        """Read what is recorded, but for some finalists."""
        complete = (record for record in store.read_all() if record.outcome == "complete")
        found = {(int(str(r.params[BLOCK])), str(r.params[FINALIST])): r for r in complete}
        return cls(store, {key: r for key, r in found.items() if key[1] not in left_out})

    def of(self, label: str, blocks: Sequence[int]) -> list[Record]:
        """Return a finalist's trainings on some blocks, with their arrays."""
        return [self.store.read(self.found[block, label].spec.key) for block in blocks]

    def whole_blocks(self, labels: Sequence[str], blocks: int) -> list[int]:
        """Return the blocks of those repeats that everyone has whole, two repeats at least.

        A repeat judges every image once, and an image that was judged once says nothing about
        noise. One with a training that failed is left out.
        """
        repeats = [range(first, first + FOLDS) for first in range(0, blocks, FOLDS)]
        whole = [
            list(repeat)
            for repeat in repeats
            if all((block, label) in self.found for block in repeat for label in labels)
        ]
        return [block for repeat in whole for block in repeat] if len(whole) > 1 else []


@dataclass(frozen=True)
class Judged:
    """A confirmation and what it says so far.

    Attributes:
        trainings: What was trained.
        blocks: The blocks that count.
        verdict: What they say.
    """

    trainings: Trainings
    blocks: Sequence[int]
    verdict: Verdict


def judge(
    store: RecordStore,
    finalists: Sequence[Finalist],
    blocks: int,
    left_out: Collection[str] = (),
) -> Judged | None:
    """Return what the blocks say that every finalist has been trained on; None before two repeats.

    Args:
        store: The confirmation's records.
        finalists: Who takes part.
        blocks: On how many blocks.
        left_out: Labels of others that may have been trained.

    Raises:
        UsageError: What a training kept cannot be judged; says which, and what is the matter.
    """
    trainings = Trainings.read(store, left_out)
    labels = [finalist.label for finalist in finalists]
    whole = trainings.whole_blocks(labels, blocks)
    if not whole:
        return None
    kept = {label: [_kept(record) for record in trainings.of(label, whole)] for label in labels}
    images = [own.images for own in kept[labels[0]]]
    for label, own in kept.items():
        _check_same(whole, images, own, f"{labels[0]} and {label}")
    check_repeats(whole, images)
    outcomes = Outcomes(
        np.array([stacked([own.correct for own in kept[label]], bool) for label in labels]),
        stacked(images, np.int64, NO_IMAGE),
    )
    costs = {label: _cost(trainings.of(label, whole)) for label in labels}
    first = trainings.of(labels[0], whole[:1])[0].result
    train_size = int(first.info.get("n_train", 0)) if first else 0
    return Judged(trainings, whole, decide(outcomes, finalists, costs, train_size=train_size))


@dataclass(frozen=True)
class Kept:
    """What a training says of the images of its block: (n,) which, and whether it was right."""

    images: NDArray[np.int64]
    correct: NDArray[np.bool_]


def what_was_kept(result: TrialResult) -> Kept:
    """Return what a training on a block kept.

    Raises:
        ValueError: That cannot be judged; says, after the name of the training, what it kept.
    """
    missing = [name for name in ("block_correct", "block_images") if name not in result.arrays]
    if missing:
        raise ValueError(f"kept no {' and no '.join(map(repr, missing))}")
    correct, images = result.arrays["block_correct"], result.arrays["block_images"]
    if correct.ndim != 1 or correct.shape != images.shape or not len(images):
        shapes = f"'block_correct' {correct.shape} and 'block_images' {images.shape}"
        raise ValueError(f"kept {shapes}, not one of both for each image")
    if images.dtype.kind not in "iu" or images.min() < 0:
        raise ValueError("kept 'block_images' that are no whole numbers from 0")
    if not np.isin(correct, (0, 1)).all():
        raise ValueError("kept 'block_correct' that are not 0 or 1")
    return Kept(images.astype(np.int64), correct != 0)


def _kept(record: Record) -> Kept:
    assert record.result is not None
    try:
        return what_was_kept(record.result)
    except ValueError as error:
        who = f"the training of {record.params[FINALIST]} on block {record.params[BLOCK]}"
        raise UsageError(f"{who} (trial {record.spec.slot}) {error} ({_SEE})") from None


def _check_same(
    blocks: Sequence[int], images: Sequence[NDArray[np.int64]], kept: Sequence[Kept], who: str
) -> None:
    """Refuse blocks that are not the same for two finalists."""
    for block, judged, other in zip(blocks, images, kept, strict=True):
        if not np.array_equal(judged, other.images):
            raise UsageError(f"block {block}: {who} were judged on different images ({_SEE})")


def check_repeats(blocks: Sequence[int], images: Sequence[NDArray[np.int64]]) -> None:
    """Refuse blocks of which four do not judge every image once.

    Args:
        blocks: A multiple of four.
        images: Which images each judges.

    Raises:
        UsageError: Says which four, and how many images they judge.
    """
    pool = np.unique(np.concatenate(images))
    for first in range(0, len(blocks), FOLDS):
        found = np.sort(np.concatenate(images[first : first + FOLDS]))
        if not np.array_equal(found, pool):
            four = ", ".join(str(block) for block in blocks[first : first + FOLDS])
            raise UsageError(
                f"blocks {four} judge {len(np.unique(found))} of {len(pool)} images, "
                f"{len(found)} times in all: each is to be judged once by four blocks ({_SEE})"
            )


def _cost(records: Sequence[Record]) -> float:
    return float(np.mean([r.result.metrics.get(COST, 0.0) for r in records if r.result]))
