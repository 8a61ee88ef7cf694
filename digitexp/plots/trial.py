"""The files people look at after a training, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from digitexp.plots.confusion import draw_confusion
from digitexp.plots.curves import draw_curves
from digitexp.plots.lettering import ENGLISH, Lettering

__all__ = ["draw_trial"]


def draw_trial(
    history: Mapping[str, Sequence[float]],
    confusion: np.ndarray,
    class_names: Sequence[str],
    best_epoch: int | None,
    title: str,
    lettering: Lettering = ENGLISH,
) -> dict[str, bytes]:
    """Draw one training: `loss_curves.png`, `confusion_matrix.png`, `confusion_matrix.json`.

    Args:
        history: Per-epoch metrics.
        confusion: (epochs, classes, classes), unsigned, [true, predicted].
        class_names: Names in the order of the labels.
        best_epoch: Epoch (from 1) whose weights were kept; None when training diverged before
            one was measured, then only the curves are drawn.
        title: What was trained, in one line.
        lettering: Language and font of the words.
    """
    files = {"loss_curves.png": draw_curves(history, best_epoch, title, lettering=lettering)}
    if best_epoch is None:
        return files
    counts = confusion[best_epoch - 1]
    right, total = int(np.trace(counts)), int(counts.sum())
    heading = lettering.say(
        "Validation after epoch {epoch}: {right} of {total} right ({share})",
        epoch=best_epoch,
        right=right,
        total=total,
        share=f"{right / total:.1%}",
    )
    content = {"labels": list(class_names), "counts": counts.tolist(), "best_epoch": best_epoch}
    files["confusion_matrix.png"] = draw_confusion(counts, class_names, heading, lettering)
    files["confusion_matrix.json"] = (json.dumps(content) + "\n").encode()
    return files
