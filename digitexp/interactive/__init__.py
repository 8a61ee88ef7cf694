"""Three tools to play with, each one self-contained HTML page about a recorded trial."""

from __future__ import annotations

from collections.abc import Mapping

from digitexp.interactive.softmax import softmax_page
from digitexp.interactive.training import has_course, training_page
from digitexp.shown import ShownTrial

__all__ = ["interactive_pages"]


def interactive_pages(trial: ShownTrial, beside: ShownTrial | None = None) -> Mapping[str, bytes]:
    """Return the pages by name: `softmax.html`, `training.html`.

    Args:
        trial: What they show. Without a history there is no `training.html`.
        beside: Whose training is shown beside it; left out if it has no history.
    """
    pages = {"softmax.html": softmax_page(trial)}
    if has_course(trial):
        other = beside if beside is not None and has_course(beside) else None
        pages["training.html"] = training_page(trial, other)
    return {name: page.encode() for name, page in pages.items()}
