"""The pictures of one trial of somebody's own model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from digitexp.plots.confusion import draw_confusion
from digitexp.plots.curves import draw_curves
from digitexp.plots.residuals import draw_residuals

__all__ = ["draw"]


def draw(
    history: Mapping[str, Sequence[float]],
    arrays: Mapping[str, np.ndarray],
    best_epoch: float | None,
    title: str,
) -> dict[str, bytes]:
    """Draw `loss_curves.png`, and `confusion_matrix.png` or `residuals.png` of the best epoch.

    Of an output `a` among several it is `confusion_matrix_a.png` or `residuals_a.png`.

    Args:
        history: Per-epoch metrics, `loss` and `val_loss` among them.
        arrays: From `digitexp.keras_experiment.judging.judge`.
        best_epoch: From 1; None if training diverged before one was measured.
        title: What was trained, in one line.
    """
    measured = [name for name in history if f"val_{name}" in history and name != "loss"]
    epoch = None if best_epoch is None else int(best_epoch)
    beside = next(iter(measured), None)
    files = {"loss_curves.png": draw_curves(history, epoch, title, beside=beside)}
    for key, array in arrays.items():
        what, _, output = key.partition("_")
        suffix = f"_{output}" if output else ""
        of = f"{output}: validation" if output else "Validation"
        if what == "confusion":
            counts = array[0]
            names = [str(number) for number in range(len(counts))]
            right, total = int(np.trace(counts)), int(counts.sum())
            heading = f"{of} after epoch {epoch}: {right} of {total} right"
            content = {"labels": names, "counts": counts.tolist(), "best_epoch": epoch}
            files[f"confusion_matrix{suffix}.png"] = draw_confusion(counts, names, heading)
            files[f"confusion_matrix{suffix}.json"] = (json.dumps(content) + "\n").encode()
        elif what == "true":
            predicted = arrays[f"predicted{suffix}"]
            heading = f"{of} after epoch {epoch}"
            files[f"residuals{suffix}.png"] = draw_residuals(array, predicted, heading)
    return files
