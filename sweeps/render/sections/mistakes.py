"""The validation samples that the best trial gets most wrong, as pictures."""

from __future__ import annotations

import numpy as np

from sweeps.analysis.data import SweepData, logits
from sweeps.records.confusion import class_names
from sweeps.render.section import Block, Gallery, Picture, Section, Text

_MOST = 40
_COMMITTEE = 10


def mistakes_section(data: SweepData) -> Section | None:
    """Return the gallery; None without logits, or where the samples cannot be had."""
    if data.samples is None or not data.ranking:
        return None
    best = data.full(data.leaders[0].slot)
    has_front = data.info.has_front
    whose = f"trial {best.spec.slot}" if has_front else f"the best trial, trial {best.spec.slot}"
    kind = "trials on the front" if has_front else "best trials"
    scores, labels = logits(best), data.samples.labels
    if scores is None or len(scores) != len(labels):
        return None
    names = class_names(best, scores.shape[1])
    chances = _softmax(scores.astype(np.float64))
    predicted = scores.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    if not len(wrong):
        return Section("mistakes", "Mistakes", [Text(f"{whose.capitalize()} makes none.")])
    agreed = _wrong_in(data)
    worst = sorted(wrong, key=lambda i: (chances[i, labels[i]], i))[:_MOST]
    pictures = [
        Picture(
            data.samples.picture(int(i)),
            f"{names[labels[i]]} as {names[predicted[i]]}",
            f"validation sample {i}: {100 * chances[i, predicted[i]]:.0f} % sure; wrong in "
            f"{agreed[0][i]} of {agreed[1]} {kind}",
        )
        for i in worst
    ]
    text = (
        f"{len(wrong)} of {len(labels)} validation samples are wrong in {whose}; shown: the "
        f"{len(pictures)} it gave the true class the least chance. Point at one for how sure it "
        f"was, and how many of {agreed[1]} {kind} err there."
    )
    blocks: list[Block] = [Text(text), Gallery(pictures)]
    return Section("mistakes", "Worst mistakes", blocks)


def _wrong_in(data: SweepData) -> tuple[np.ndarray, int]:
    """Return how many of the leading trials get each sample wrong, and how many were asked."""
    assert data.samples is not None
    labels = data.samples.labels
    counts, asked = np.zeros(len(labels), int), 0
    for row in data.leaders[:_COMMITTEE]:
        scores = logits(data.full(row.slot))
        if scores is not None and len(scores) == len(labels):
            counts += scores.argmax(axis=1) != labels
            asked += 1
    return counts, asked


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return chances
