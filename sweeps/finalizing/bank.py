"""Everything that can vote: finalists of sweeps, with the logits of their trainings on blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sweeps.errors import UsageError
from sweeps.finalizing.judging import COST, Trainings
from sweeps.finalizing.outcomes import NO_IMAGE, stacked

SECONDS = "train_seconds"


@dataclass(frozen=True)
class Confirmed:
    """A sweep whose finalists may vote.

    Attributes:
        name: Of the sweep.
        trainings: Of its confirmation.
        winner: Label of the finalist that finalising says to take.
    """

    name: str
    trainings: Trainings
    winner: str

    @property
    def labels(self) -> list[str]:
        """Its finalists, in the order of their trainings."""
        return list(dict.fromkeys(label for _, label in self.trainings.found))


@dataclass(frozen=True)
class Member:
    """A finalist with its trainings on the blocks.

    Attributes:
        name: Its label; of several sweeps, `mlp:trial-17`.
        is_winner: Whether finalising says to take it.
        correct: (blocks, n) whether an image was recognised; not where there is none.
        logits: (blocks, n, classes).
        parameters: Number of weights.
        seconds: That a training took, mean over blocks.
    """

    name: str
    is_winner: bool
    correct: NDArray[np.bool_] = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)
    parameters: float
    seconds: float


@dataclass(frozen=True)
class Bank:
    """Everything that can vote.

    Attributes:
        members: The best mean over blocks first; of those that answer alike to the bit, one.
        images: (blocks, n) which image stands at each place, or `NO_IMAGE`.
        classes: (blocks, n) of which class it is; -1 where there is none.
    """

    members: Sequence[Member]
    images: NDArray[np.int64] = field(repr=False)
    classes: NDArray[np.int64] = field(repr=False)


def gather(
    confirmed: Sequence[Confirmed], blocks: Sequence[int], classes: NDArray[np.int64]
) -> Bank | None:
    """Return the finalists of some sweeps, ready to vote; None if their logits were not kept.

    Args:
        confirmed: Sweeps of the same data.
        blocks: Blocks that all their finalists were trained on.
        classes: (images,) the class of each image, by its number.

    Raises:
        UsageError: They were judged on different images, or `classes` are those of others.
    """
    found: dict[str, Member] = {}
    images: NDArray[np.int64] | None = None
    for one in confirmed:
        for label in one.labels:
            records = one.trainings.of(label, blocks)
            results = [record.result for record in records if record.result is not None]
            if not all("block_logits" in result.arrays for result in results):
                return None
            arrays = [result.arrays for result in results]
            own = stacked([kept["block_images"] for kept in arrays], np.int64, NO_IMAGE)
            images = own if images is None else images
            member = Member(
                f"{one.name}:{label}" if len(confirmed) > 1 else label,
                label == one.winner,
                stacked([kept["block_correct"] != 0 for kept in arrays], bool),
                _logits(one, label, blocks, arrays),
                float(np.mean([result.metrics.get(COST, 0.0) for result in results])),
                float(np.mean([result.metrics.get(SECONDS, 0.0) for result in results])),
            )
            _check(member, own, images, classes)
            # Sweeps may share a baseline: the same network twice is no second opinion.
            key = hashlib.sha256(member.logits.tobytes()).hexdigest()
            if key not in found or (member.is_winner and not found[key].is_winner):
                found[key] = member
    assert images is not None  # a sweep that was finalised has finalists
    members = sorted(found.values(), key=lambda member: -float(member.correct.mean()))
    return Bank(members, images, np.where(images == NO_IMAGE, -1, classes[images]))


def _logits(
    one: Confirmed, label: str, blocks: Sequence[int], kept: Sequence[Mapping[str, np.ndarray]]
) -> NDArray[np.float32]:
    """Return (blocks, n, classes) the logits of a finalist's trainings."""
    check_logits(f"the training of {label} of {one.name}", blocks, kept)
    logits = [arrays["block_logits"] for arrays in kept]
    return stacked(logits, logits[0].dtype)


def check_logits(who: str, blocks: Sequence[int], kept: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Refuse logits that are not (n, classes) on each block.

    Args:
        who: Was trained.
        blocks: On which blocks.
        kept: The arrays of each of these trainings.

    Raises:
        UsageError: Says on which block, and what was kept.
    """
    classes = kept[0]["block_logits"].shape[1:]
    for block, arrays in zip(blocks, kept, strict=True):
        own, images = arrays["block_logits"], len(arrays["block_images"])
        if own.shape != (images, *classes) or own.ndim != 2:
            raise UsageError(
                f"{who} on block {block} kept 'block_logits' {own.shape} for {images} images: "
                "needed are (n, classes), as many classes on each block"
            )


def _check(
    member: Member, own: NDArray[np.int64], images: NDArray[np.int64], classes: NDArray[np.int64]
) -> None:
    if not np.array_equal(own, images):
        raise UsageError(
            f"{member.name} was judged on other images: only finalists of one pool vote"
        )
    is_known, present = own.max() < len(classes), own != NO_IMAGE
    right = is_known and (member.logits.argmax(2) == classes[own]) & present
    if not (is_known and np.array_equal(right, member.correct)):
        raise UsageError(
            f"{member.name} was judged by other classes than `labels` of its experiment returns: "
            "they are to be in the order of the numbers in `block_images`"
        )
