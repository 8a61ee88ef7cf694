"""Confusion of classes, and the samples that the best trial gets most wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sweeps.analysis.data import SweepData, logits, softmax
from sweeps.analysis.rows import TrialRow
from sweeps.interval import wilson
from sweeps.records import Record
from sweeps.records.confusion import best_confusion, class_names, worst_confusions
from sweeps.render.charts.chart import Axis, Chart, Heatmap, Points, Role
from sweeps.render.section import Block, Gallery, Picture, Section, Table, Text
from sweeps.wording import format_metric, percent

# Confusion matrices of the best trials, and the change against the baseline.


_BEST = 3
_MOST_CLASSES = 30
Counts = NDArray[np.int64]


def confusion_section(data: SweepData) -> Section | None:
    """Return the matrices and recalls of the best trials; None if they do not classify."""
    shown = [(row, data.full(row.trial)) for row in data.leaders[:_BEST]]
    found = [(row, record, c) for row, record in shown if (c := best_confusion(record)) is not None]
    if not found or len(found[0][2]) > _MOST_CLASSES:
        return None
    names = class_names(found[0][1], len(found[0][2]))
    charts = [
        confusion_chart(
            f"confusion-{row.trial}",
            _title(data, place, row),
            counts,
            names,
        )
        for place, (row, _, counts) in enumerate(found, 1)
    ]
    first = f"trial {found[0][0].trial}"
    compared = [(first if data.info.has_front else f"best, {first}", found[0][2])]
    reference = data.summary.reference
    base = _baseline(data, found[0][1])
    if base is not None and reference is not None:
        compared.append((f"baseline {reference.baseline}", base))
        whose = first.capitalize() if data.info.has_front else "Best"
        title = f"{whose} minus baseline {reference.baseline}"
        charts.append(difference_chart("confusion-difference", title, found[0][2] - base, names))
    blocks: list[Block] = [
        *charts,
        recall_chart(compared, names, ("best", "baseline")),
        _pairs(found[0][2], names, first if data.info.has_front else "the best trial"),
    ]
    return Section("confusion", "Confusion matrices", blocks)


def _title(data: SweepData, place: int, row: TrialRow) -> str:
    if not data.info.has_front:
        return f"#{place}, trial {row.trial}: {format_metric(row.objective or 0.0)}"
    values = zip(data.info.objectives, row.values(data.info.objectives) or (), strict=True)
    worth = ", ".join(f"{one.metric} {format_metric(value)}" for one, value in values)
    return f"On the front, trial {row.trial}: {worth}"


def _baseline(data: SweepData, best: Record) -> Counts | None:
    reference = data.summary.reference
    if reference is None or reference.trial == best.spec.trial:
        return None
    return best_confusion(data.full(reference.trial))


def confusion_chart(name: str, title: str, counts: Counts, names: Sequence[str]) -> Chart:
    """Return a matrix with its counts; mistakes have a colour scale of their own, to be visible."""
    colors = counts.astype(float)
    diagonal = np.diag(counts).astype(float)
    worst = float((counts - np.diag(np.diag(counts))).max() or 1)
    largest = float(diagonal.max() or 1)
    np.fill_diagonal(colors, diagonal / largest * worst)
    texts = [
        [_cell(names, row, column, counts) for column in range(len(names))]
        for row in range(len(names))
    ]
    heat = Heatmap(counts.tolist(), names, names, text=texts, colors=colors.tolist())
    return Chart(name, title, [heat], Axis("predicted"), Axis("actual"))


def _cell(names: Sequence[str], row: int, column: int, counts: Counts) -> str:
    total = int(counts[row].sum()) or 1
    what = "recognised" if row == column else f"taken for {names[column]}"
    number = int(counts[row, column])
    return f"{names[row]} {what}: {number} of {total} ({percent(number / total)})"


def difference_chart(name: str, title: str, difference: Counts, names: Sequence[str]) -> Chart:
    """Return a chart of the difference of two matrices."""
    texts = [
        [f"{names[r]} as {names[c]}: {difference[r, c]:+d}" for c in range(len(names))]
        for r in range(len(names))
    ]
    heat = Heatmap(difference.tolist(), names, names, diverging=True, text=texts)
    note = "Blue on the diagonal and orange off it is better."
    return Chart(name, title, [heat], Axis("predicted"), Axis("actual"), note=note)


def recall_chart(
    compared: Sequence[tuple[str, Counts]], names: Sequence[str], roles: Sequence[Role]
) -> Chart:
    """Return the share of each class that was recognised, with 95 % intervals (Wilson 1927)."""
    marks = []
    for place, (label, counts) in enumerate(compared):
        right, totals = np.diag(counts), counts.sum(axis=1)
        ends = [wilson(int(r), int(t)) for r, t in zip(right, totals, strict=True)]
        shares = [float(r / t) if t else None for r, t in zip(right, totals, strict=True)]
        texts = [
            f"{label}: {name} {r} of {t}" for name, r, t in zip(names, right, totals, strict=True)
        ]
        marks.append(
            Points(
                label, list(names), shares, roles[place], texts,
                low=[end.low for end in ends], high=[end.high for end in ends],
                shift=(place - (len(compared) - 1) / 2) * 0.16,
            )
        )  # fmt: skip
    axes = Axis("class", labels=tuple(names)), Axis("share recognised")
    note = "Lines are 95 % intervals for other samples of the class."
    return Chart("recalls", "Recall by class", marks, *axes, size="wide", note=note)


def _pairs(counts: Counts, names: Sequence[str], whose: str) -> Table:
    rows = [
        [names[true], names[taken], str(number), percent(number / counts[true].sum())]
        for number, true, taken in worst_confusions(counts)[:8]
    ]
    columns = ["actual", "taken for", "times", "of its class"]
    return Table(columns, rows, title=f"Most confused pairs of {whose}", size="half")


_MOST = 40
_COMMITTEE = 10


def mistakes_section(data: SweepData) -> Section | None:
    """Return the gallery of mistakes; None without logits or samples."""
    if data.samples is None or not data.ranking:
        return None
    best = data.full(data.leaders[0].trial)
    has_front = data.info.has_front
    whose = f"trial {best.spec.trial}" if has_front else f"the best trial, trial {best.spec.trial}"
    kind = "trials on the front" if has_front else "best trials"
    scores, labels = logits(best), data.samples.labels
    if scores is None or len(scores) != len(labels):
        return None
    names = class_names(best, scores.shape[1])
    chances = softmax(scores.astype(np.float64))
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
            f"validation sample {i}: {percent(chances[i, predicted[i]], 0)} sure; wrong in "
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
    """Return (n,) the number of leading trials that get each sample wrong, and their number."""
    assert data.samples is not None
    labels = data.samples.labels
    counts, asked = np.zeros(len(labels), int), 0
    for row in data.leaders[:_COMMITTEE]:
        scores = logits(data.full(row.trial))
        if scores is not None and len(scores) == len(labels):
            counts += scores.argmax(axis=1) != labels
            asked += 1
    return counts, asked
