"""Draws the files in which people see one training: curves, confusion matrix."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from digitexp.plots.language import say
from digitexp.plots.sheet import font_of
from digitexp.plots.training import draw_curves


def draw_trial(
    history: Mapping[str, Sequence[float]],
    confusion: np.ndarray,
    class_names: Sequence[str],
    best_epoch: float | None,
    title: str,
) -> dict[str, bytes]:
    """Draw one training: `loss_curves.png`, and the files of `draw_matrix`.

    Args:
        history: Per-epoch metrics.
        confusion: (epochs, classes, classes), unsigned, [true, predicted].
        class_names: Names in the order of the labels.
        best_epoch: Epoch (from 1) whose weights were kept; None when training diverged before
            one was measured, then only the curves are drawn.
        title: The configuration that was trained, in one line.
    """
    best = None if best_epoch is None else int(best_epoch)
    files = {"loss_curves.png": draw_curves(history, best, title)}
    return files if best is None else files | draw_matrix(confusion[best - 1], class_names, best)


def draw_matrix(
    counts: np.ndarray, class_names: Sequence[str], epoch: int | None, output: str = ""
) -> dict[str, bytes]:
    """Draw `confusion_matrix.png`, and write its numbers as `confusion_matrix.json`.

    Args:
        counts: (classes, classes), unsigned, [true, predicted], of the validation part.
        class_names: Names in the order of the labels.
        epoch: Epoch (from 1) after which they were counted.
        output: Name of one output of several, which ends the names of its files.
    """
    from sweeps.render.confusion import draw_confusion, png  # loads Pillow

    right, total = int(np.trace(counts)), int(counts.sum())
    heading = say(
        "Validation after epoch {epoch}: {right} of {total} right ({share})",
        epoch=epoch,
        right=right,
        total=total,
        share=f"{right / total:.1%}",
    )
    title = f"{output}: {heading}" if output else heading
    picture = draw_confusion(counts, class_names, title, say=say, font=font_of)
    content = {"labels": list(class_names), "counts": counts.tolist(), "best_epoch": epoch}
    name = f"confusion_matrix_{output}" if output else "confusion_matrix"
    return {
        f"{name}.png": png(picture),
        f"{name}.json": (json.dumps(content) + "\n").encode(),
    }
