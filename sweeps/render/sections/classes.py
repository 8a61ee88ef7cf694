"""Confusion of classes, and the samples that the best trial gets most wrong."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sweeps.analysis.confusion import best_confusion, class_names, worst_confusions
from sweeps.analysis.data import SweepData, logits, softmax
from sweeps.errors import ExperimentError, SamplesWarning
from sweeps.interval import wilson
from sweeps.render.section import (
    Axis,
    Block,
    Chart,
    Folded,
    Gallery,
    Heatmap,
    Picture,
    Points,
    Role,
    Section,
    Table,
    Text,
)
from sweeps.render.sections.trials import name_of_chosen
from sweeps.render.verdict import values_line
from sweeps.wording import percent

_MOST_CLASSES = 30
_MISTAKES = 0.8
"""How dark the most frequent mistake is, of 1; `_FEWEST_FULL` are as dark, where all are fewer."""
_FEWEST_FULL = 5
Counts = NDArray[np.int64]


def confusion_section(data: SweepData) -> Section | None:
    """Return matrix and recalls of the chosen trial beside the baseline's; None without classes."""
    chosen = data.chosen
    record = None if chosen is None else data.full(chosen.trial)
    counts = None if record is None else best_confusion(record)
    if chosen is None or record is None or counts is None or len(counts) > _MOST_CLASSES:
        return None
    names, who = class_names(record, len(counts)), name_of_chosen(data)
    shown = [(who, chosen, counts)]
    reference, base = data.summary.reference, None
    if reference is not None and reference.trial != chosen.trial:
        base = best_confusion(data.full(reference.trial))
    if base is not None and reference is not None:
        shown.append((f"baseline {reference.baseline}", reference, base))
    most = max(most_mistakes(one) for _, _, one in shown)  # beside each other: to one scale
    charts = []
    for name, row, one in shown:
        title = f"{_capitalised(name)}: {values_line(row, data.info.objectives)}"
        charts.append(confusion_chart(f"confusion-{row.trial}", title, one, names, most))
    if base is not None:
        title = f"{_capitalised(who)} minus {shown[1][0]}"
        charts.append(difference_chart("confusion-difference", title, counts - base, names))
    compared = [(name, one) for name, _, one in shown]
    charts.append(replace(recall_chart(compared, names, ("best", "baseline")), size="half"))
    pairs = [
        [names[true], names[taken], str(number), percent(number / counts[true].sum())]
        for number, true, taken in worst_confusions(counts)[:8]
    ]
    columns = ["actual", "taken for", "times", "of its class"]
    tables = [Table(columns, pairs, title=f"Most confused pairs of {who}")]
    for name, one in compared:
        rows = [[names[true], *map(str, row)] for true, row in enumerate(one.tolist())]
        title = f"{_capitalised(name)}: counts"
        tables.append(Table(["actual, taken for", *names], rows, title=title))
    return Section("confusion", "Confusion matrices", [*charts, Folded("In figures", tables)])


def _capitalised(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def confusion_chart(
    name: str, title: str, counts: Counts, names: Sequence[str], most: int | None = None
) -> Chart:
    """Return a matrix with its counts; right answers are blue, mistakes orange, to be visible.

    Args:
        name: Name of the chart.
        title: Title of the chart.
        counts: (classes, classes), actual by predicted.
        names: Names of the classes.
        most: The number of mistakes that is darkest; None: the most of this matrix.
    """
    colors = -_MISTAKES * (counts / max(most or most_mistakes(counts), _FEWEST_FULL)) ** 0.7
    np.fill_diagonal(colors, np.diag(counts) / np.maximum(counts.sum(axis=1), 1))
    texts = []
    for actual, row in enumerate(counts.tolist()):
        total, said = sum(row) or 1, [f"taken for {name}" for name in names]
        said[actual] = "recognised"
        texts.append(
            [
                f"{names[actual]} {what}: {number} of {total} ({percent(number / total)})"
                for what, number in zip(said, row, strict=True)
            ]
        )
    heat = Heatmap(counts.tolist(), names, names, texts, ("right", "wrong"), colors.tolist())
    note = "Darker blue: a larger share of its class. Darker orange: more mistakes."
    return Chart(name, title, [heat], Axis("predicted"), Axis("actual"), note=note)


def most_mistakes(counts: Counts) -> int:
    """Return how often one class was taken for another one at most."""
    return int((counts - np.diag(np.diag(counts))).max())


def difference_chart(name: str, title: str, difference: Counts, names: Sequence[str]) -> Chart:
    """Return a chart of the difference of two matrices."""
    texts = [
        [f"{names[r]} as {names[c]}: {difference[r, c]:+d}" for c in range(len(names))]
        for r in range(len(names))
    ]
    heat = Heatmap(difference.tolist(), names, names, texts, ("more", "fewer"))
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


_MOST = 40
_COMMITTEE = 10


def mistakes_section(data: SweepData) -> Section | None:
    """Return the gallery of mistakes, or why there is none; None if the experiment shows none."""
    if not data.ranking:
        return None
    if data.samples is None:
        return _not_shown(data, data.without_samples) if data.without_samples else None
    assert data.chosen is not None
    best, whose = data.full(data.chosen.trial), name_of_chosen(data)
    kind = "trials on the front" if data.info.has_front else "best trials of the search"
    scores, labels = logits(best), data.samples.labels
    if scores is None or len(scores) != len(labels):
        kept = "no" if scores is None else f"{len(scores)} rows of"
        return _not_shown(
            data,
            f"`validation_labels` returned {len(labels)} labels, and {whose} kept {kept} "
            "`validation_logits`",
        )
    names = class_names(best, scores.shape[1])
    chances = softmax(scores.astype(np.float64))
    predicted = scores.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    if not len(wrong):
        return Section("mistakes", "Mistakes", [Text(f"{_capitalised(whose)}, makes none.")])
    asked, agreed = 0, np.zeros(len(labels), int)  # of the leading trials, those that are wrong
    for row in data.leaders[:_COMMITTEE]:
        others = logits(data.full(row.trial))
        if others is not None and len(others) == len(labels):
            agreed += others.argmax(axis=1) != labels
            asked += 1
    worst = sorted(wrong, key=lambda i: (chances[i, labels[i]], i))[:_MOST]
    try:
        drawn = [data.samples.picture(int(i)) for i in worst]
    except ExperimentError as error:
        return _not_shown(data, str(error))
    pictures = [
        Picture(
            picture,
            f"{names[labels[i]]} as {names[predicted[i]]}",
            _unbroken(f"{percent(chances[i, predicted[i]], 0)} sure,")
            + f" {_unbroken(f'{agreed[i]} of {asked} err')}",
            f"validation sample {i}: {names[labels[i]]} taken for {names[predicted[i]]}, "
            f"{percent(chances[i, predicted[i]], 0)} sure; wrong in {agreed[i]} of {asked} "
            f"{kind}",
        )
        for i, picture in zip(worst, drawn, strict=True)
    ]
    text = (
        f"{len(wrong)} of {len(labels)} validation samples are wrong in {whose}; shown: the "
        f"{len(pictures)} it gave the true class the least chance, how sure it was, and how many "
        f"of {asked} {kind} err there, too."
    )
    blocks: list[Block] = [Text(text), Gallery(pictures)]
    return Section("mistakes", "Worst mistakes", blocks)


def _not_shown(data: SweepData, why: str) -> Section:
    line = f"{data.info.name}: its samples cannot be shown: {why}"
    warnings.warn(line, SamplesWarning, stacklevel=3)
    return Section("mistakes", "Worst mistakes", [Text(f"The samples cannot be shown: {why}.")])


def _unbroken(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")
