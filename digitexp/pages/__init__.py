"""Three tools to play with, each one self-contained HTML page about a recorded trial."""

from __future__ import annotations

from collections.abc import Mapping

from digitexp.pages.decision_regions import decision_regions_page
from digitexp.pages.page import has_curve, softmax_page, training_page
from digitexp.trained import ShownTrial

__all__ = ["interactive_pages"]


def interactive_pages(trial: ShownTrial, beside: ShownTrial | None = None) -> Mapping[str, bytes]:
    """Return the pages by name: `softmax.html`, `training.html`, `decision_regions.html`.

    Args:
        trial: The trial to show. Without a history there is no `training.html`, without weights no
            `decision_regions.html`.
        beside: Another trial, whose training is shown beside it; left out if it has no history.
    """
    pages = {"softmax.html": softmax_page(trial)}
    if has_curve(trial):
        other = beside if beside is not None and has_curve(beside) else None
        pages["training.html"] = training_page(trial, other)
    if trial.weights is not None:
        pages["decision_regions.html"] = decision_regions_page(trial)
    return {name: page.encode() for name, page in pages.items()}
