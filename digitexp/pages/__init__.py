"""Four tools to play with, each one self-contained HTML page about a recorded trial."""

from __future__ import annotations

from collections.abc import Mapping

from digitexp.pages.decision_regions import decision_regions_page
from digitexp.pages.page import pad_page, softmax_page, training_page
from digitexp.trained import ShownTrial

__all__ = ["interactive_pages"]


def interactive_pages(trial: ShownTrial, *others: ShownTrial) -> Mapping[str, bytes]:
    """Return the pages by name: softmax, training, pad and decision_regions, each with `.html`.

    Args:
        trial: The trial to show. Without weights there is neither a pad nor decision regions.
        others: Trials beside it: the training of the first is shown beside its own, and the
            networks of all that have weights answer on the pad, four at most.
    """
    pages = {
        "softmax.html": softmax_page(trial),
        "training.html": training_page(trial, *others[:1]),
    }
    if trial.weights is not None:
        pages["decision_regions.html"] = decision_regions_page(trial)
        pages["pad.html"] = pad_page([trial, *(one for one in others if one.weights is not None)])
    return {name: page.encode() for name, page in pages.items()}
