"""The page where logits and a temperature are moved, and probabilities follow."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from digitexp.evaluation.diagnostics import surest_first
from digitexp.pages.page import pack, render
from digitexp.trained import ShownTrial

__all__ = ["choose_images", "softmax_page"]

MISTAKES: Final = 20
RIGHT_ONES: Final = 20


def softmax_page(trial: ShownTrial, plotly: str | None = None) -> str:
    """Return the page, self-contained HTML.

    Without a network (it diverged) or images the page has logits of one's own only, and says so.

    Args:
        trial: The trial whose images can be chosen, and whose fitted temperature is marked.
        plotly: See `digitexp.pages.page.render`.
    """
    data = {
        "trial": trial.name,
        "classes": list(trial.class_names),
        "fitted": None if trial.weights is None else float(trial.temperature),
        "part": trial.part,
        "images": _images(trial),
    }
    return render("softmax", f"Softmax and temperature: {trial.name}", data, plotly)


def _images(trial: ShownTrial) -> dict[str, Any] | None:
    if trial.weights is None or not len(trial.images):
        return None
    chosen, mistakes = choose_images(trial.logits, trial.labels)
    ink = np.rint(trial.images[chosen].clip(0, 1) * 255).astype(np.uint8)
    return {
        "ink": pack(ink),
        "logits": pack(trial.logits[chosen]),
        "labels": [int(label) for label in trial.labels[chosen]],
        "numbers": [int(index) for index in chosen],
        "mistakes": mistakes,
    }


def choose_images(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Choose instructive images: the surest mistakes, and right answers from sure to unsure.

    Args:
        logits: (n, classes).
        labels: (n,), integers from 0 to classes - 1.

    Returns:
        Indices, and how many of them are mistakes: these come first, the surest first, at most
        `MISTAKES`. Then right answers, class by class, the surest first and the least sure last,
        `RIGHT_ONES` in all but at least one of each class.
    """
    surest = surest_first(logits)
    is_right = (logits.argmax(axis=1) == labels)[surest]
    mistakes, right = surest[~is_right][:MISTAKES], surest[is_right]
    n_classes = logits.shape[1]
    each = max(1, RIGHT_ONES // n_classes)
    by_class = [_spread(right[labels[right] == label], each) for label in range(n_classes)]
    return np.concatenate([mistakes, *by_class]), len(mistakes)


def _spread(indices: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` of the indices, evenly spread from the first to the last."""
    if len(indices) <= count:
        return indices
    places = np.linspace(0, len(indices) - 1, count).round().astype(int)
    spread: np.ndarray = indices[places]
    return spread
