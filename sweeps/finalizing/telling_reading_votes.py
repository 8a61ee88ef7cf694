"""What votes of the models that a reading scored come to on the test part; from stored logits.

The winner of a sweep has a training a block, and those can vote: all of one sweep, training by
training across sweeps, and all of all. Nothing is scored anew, so that a reading that was made
before there were votes tells of them, too; it is then marked as asked after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sweeps.finalizing.intervals import (
    FEWEST_BLOCKS,
    Estimate,
    crossed_estimate,
    images_estimate,
)
from sweeps.finalizing.telling import span
from sweeps.finalizing.telling_votes import VERBS, percent
from sweeps.finalizing.votes import KINDS, Kind, Word, answers, word_of
from sweeps.records import Telling
from sweeps.records.readings import Reading
from sweeps.report.numbers import counted

VOTED: Final = "voted-"
"""How the anchors of what is told here begin."""
VOTE_QUESTIONS: Final = (
    "vote of all trainings of a winner, soft (hard beside it), minus the mean of one of them",
    "of several sweeps: vote across their winners, training by training, soft (hard beside it), "
    "minus the best single winner",
    "of several sweeps: vote of all trainings of all winners, soft (hard beside it), minus the "
    "best single winner",
)


@dataclass(frozen=True)
class _Winner:
    """The winner of a sweep: `correct` (trainings, n), `logits` (trainings, n, classes)."""

    name: str
    label: str
    correct: NDArray[np.bool_] = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)

    @property
    def of_images(self) -> NDArray[np.float64]:
        """(n,) in which share of its trainings each image was recognised."""
        shares: NDArray[np.float64] = self.correct.mean(axis=0)
        return shares


@dataclass(frozen=True)
class _Compared:
    """A row: an accuracy and what it is ahead of `of` by.

    `ensembles` is how many were made, of trainings of their own; None of one that exists once.
    """

    name: str
    members: int
    kind: Kind
    mean: Estimate
    ahead: Estimate
    of: _Winner
    ensembles: int | None = None

    def interval(self, at_once: int) -> tuple[float, float, Word]:
        """Return the ends of the interval, for so many compared at once, and what it says."""
        low, high = self.ahead.interval(at_once)
        is_enough = self.ensembles is None or self.ensembles >= FEWEST_BLOCKS
        return low, high, word_of(low, high) if is_enough else "cannot tell yet"


def tell_reading_votes(
    reading: Reading, scores: Mapping[str, np.ndarray], readings: int
) -> Telling | None:
    """Return what votes came to in a reading; None if it scored nothing that can vote.

    Args:
        reading: Which.
        scores: See `Ledger.scores`.
        readings: How many there are by now.
    """
    winners = _winners(reading, scores)
    if not winners or (len(winners) == 1 and len(winners[0].logits) < 2):
        return None
    classes = np.asarray(scores["labels"], np.int64)
    best = max(winners, key=lambda winner: float(winner.correct.mean()))
    compared = [row for w in winners if len(w.logits) > 1 for row in _of_one(w, classes)]
    if len(winners) > 1:
        compared += [*_across(winners, best, classes), *_of_all(winners, best, classes)]
    at_once = len(winners) + len(compared)
    rows = [[w.name, "1", percent(_crossed(w.correct.astype(float))), "", "", ""] for w in winners]
    rows += [_row(row, at_once) for row in compared]
    columns = ["vote", "of", "test, %", "ahead", "95 %", "so"]
    was_asked = set(VOTE_QUESTIONS) <= set(reading.questions)
    note = (
        f"Frozen on {reading.day} among the questions of reading {reading.number}."
        if was_asked
        else f"Asked after the reading: it was frozen on {reading.day} without votes. They come "
        "from the logits it stored; nothing was scored again."
    )
    ordinal = "read once" if readings == 1 else f"reading {reading.number} of {readings}"
    title = f"Votes on the test part, {ordinal}"
    lines = _lines(winners, best)
    return Telling(
        f"{VOTED}{reading.name}", title, _lead(compared, at_once), columns, rows, lines, note
    )


def _winners(reading: Reading, scores: Mapping[str, np.ndarray]) -> list[_Winner]:
    return [
        _Winner(e.name, e.label, scores[f"correct_{k}"] != 0, scores[f"logits_{k}"])
        for k, e in enumerate(reading.entries)
        if e.role == "winner" and f"logits_{k}" in scores
    ]


def _crossed(values: NDArray[np.float64]) -> Estimate:
    """Return the mean of (trainings, n); where there is one training, with images' error alone."""
    trainings, n = values.shape
    if trainings < 2:
        return images_estimate(values[0])
    return crossed_estimate(values, np.tile(np.arange(n, dtype=np.int64), (trainings, 1)))


def _of_one(winner: _Winner, classes: NDArray[np.int64]) -> list[_Compared]:
    """Compare the vote of a winner's trainings with the mean of single ones, image by image."""
    members = len(winner.logits)
    made = []
    for kind in KINDS:
        right = (answers(winner.logits, kind) == classes).astype(float)
        ahead = images_estimate(right - winner.of_images)
        name = f"{winner.name}, {kind}"
        made.append(_Compared(name, members, kind, images_estimate(right), ahead, winner))
    return made


def _across(
    winners: Sequence[_Winner], best: _Winner, classes: NDArray[np.int64]
) -> list[_Compared]:
    """Compare ensembles of one training a sweep with the best winner's training in the same place.

    As many as every sweep has trainings.
    """
    places = min(len(winner.logits) for winner in winners)
    made = []
    for kind in KINDS:
        right = np.array([
            answers(np.stack([winner.logits[place] for winner in winners]), kind) == classes
            for place in range(places)
        ]).astype(float)  # fmt: skip
        ahead = _crossed(right - best.correct[:places])
        mean = _crossed(right)
        name = f"winners, {kind}"
        made.append(_Compared(name, len(winners), kind, mean, ahead, best, places))
    return made


def _of_all(
    winners: Sequence[_Winner], best: _Winner, classes: NDArray[np.int64]
) -> list[_Compared]:
    everything = np.concatenate([winner.logits for winner in winners])
    made = []
    for kind in KINDS:
        right = (answers(everything, kind) == classes).astype(float)
        ahead = images_estimate(right - best.of_images)
        mean = images_estimate(right)
        made.append(_Compared(f"all, {kind}", len(everything), kind, mean, ahead, best))
    return made


def _row(row: _Compared, at_once: int) -> list[str]:
    low, high, word = row.interval(at_once)
    return [
        row.name,
        str(row.members),
        percent(row.mean),
        f"{100 * row.ahead.value:+.2f}",
        span(low, high),
        word,
    ]


def _lead(compared: Sequence[_Compared], at_once: int) -> str:
    """Say what the widest soft vote came to: of all trainings there are."""
    row = next(row for row in reversed(compared) if row.kind == "soft")
    low, high, word = row.interval(at_once)
    return (
        f"On the test part the soft vote of {row.members} trainings {VERBS[word]} "
        f"one of {row.of.name} ({row.of.label}): {100 * row.mean.value:.2f} %, "
        f"{100 * row.ahead.value:+.2f} points ({100 * low:+.2f} to {100 * high:+.2f})."
    )


def _lines(winners: Sequence[_Winner], best: _Winner) -> list[str]:
    singles = (f"{w.name} is {w.label}, {counted(len(w.logits), 'training')}" for w in winners)
    lines = [
        f"A row of 1 is the mean of single trainings ({'; '.join(singles)}). The column 'of' says "
        "how many models answer as one; a prediction needs each of them."
    ]
    if len(winners) > 1:
        lines.append(
            "A vote of one sweep is compared with the mean of that sweep's single trainings, the "
            f"others with {best.name}, the single winner that did best on this very part. The vote "
            "of the winners takes one training of each sweep, as often as there are trainings: its "
            "interval is for new images and new seeds, as those of single winners."
        )
    lines.append(
        "Trainings on different blocks saw different images: together they saw more than one "
        "alone, which is a part of what they gain. A vote of all of them exists once: its interval "
        "is for new images only, and does not say how others, trained alike, would vote. Soft: the "
        "mean of probabilities, the vote to go by; hard: the majority. All differences at once."
    )
    return lines
