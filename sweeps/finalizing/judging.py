"""From the trainings of a confirmation to its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sweeps.errors import UsageError
from sweeps.finalizing.finalists import Finalist
from sweeps.finalizing.outcomes import Outcomes
from sweeps.finalizing.verdict import Verdict, decide
from sweeps.records import BLOCK, FINALIST, Record, RecordStore

FOLDS = 4
"""Blocks that judge every image once between them, see `Confirms`."""
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
    def read(cls, store: RecordStore) -> Trainings:
        """Read what is recorded."""
        complete = (record for record in store.read_all() if record.outcome == "complete")
        return cls(
            store, {(int(str(r.params[BLOCK])), str(r.params[FINALIST])): r for r in complete}
        )

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


def judge(store: RecordStore, finalists: Sequence[Finalist], blocks: int) -> Judged | None:
    """Return what the blocks say that every finalist has been trained on; None before two repeats.

    Args:
        store: The confirmation's records.
        finalists: Who takes part.
        blocks: On how many blocks.

    Raises:
        UsageError: Blocks judge different numbers of images.
    """
    trainings = Trainings.read(store)
    labels = [finalist.label for finalist in finalists]
    whole = trainings.whole_blocks(labels, blocks)
    if not whole:
        return None
    arrays = {label: _arrays(trainings.of(label, whole)) for label in labels}
    sizes = {len(a["block_images"]) for judged in arrays.values() for a in judged}
    if len(sizes) > 1:
        raise UsageError(
            f"blocks judge {min(sizes)} to {max(sizes)} images: their experiment is to judge as "
            "many on each, so that images count alike (see `Confirms` in sweeps/abilities.py)"
        )
    outcomes = Outcomes(
        np.array([[a["block_correct"] != 0 for a in arrays[label]] for label in labels]),
        np.array([a["block_images"] for a in arrays[labels[0]]], np.int64),
    )
    costs = {label: _cost(trainings.of(label, whole)) for label in labels}
    first = trainings.of(labels[0], whole[:1])[0].result
    train_size = int(first.info.get("n_train", 0)) if first else 0
    return Judged(trainings, whole, decide(outcomes, finalists, costs, train_size=train_size))


def _arrays(records: Sequence[Record]) -> list[Mapping[str, np.ndarray]]:
    return [record.result.arrays for record in records if record.result is not None]


def _cost(records: Sequence[Record]) -> float:
    return float(np.mean([r.result.metrics.get(COST, 0.0) for r in records if r.result]))
