"""Three tools to play with, each one self-contained HTML page about a recorded trial."""

from __future__ import annotations

from collections.abc import Mapping

from digitexp.shown import ShownTrial

__all__ = ["interactive_pages"]


def interactive_pages(trial: ShownTrial, beside: ShownTrial | None = None) -> Mapping[str, bytes]:
    """Return the pages by name: `softmax.html`, `training.html`, `decision_regions.html`.

    Args:
        trial: What they show.
        beside: Whose training is shown beside it.
    """
    return {}
