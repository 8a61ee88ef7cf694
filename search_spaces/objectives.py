"""Objectives: the metrics that a sweep optimises, and which way each is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Direction = Literal["maximize", "minimize"]

MOST: Final = 4
"""Most objectives of a sweep. With more, hardly any trial is worse than another in all of them."""

_CLOCKED: Final = "_seconds"
"""Ending of the names of all durations."""


@dataclass(frozen=True)
class Objective:
    """A metric to optimise, and which way is better."""

    metric: str
    direction: Direction

    @property
    def is_measured_by_clock(self) -> bool:
        """Whether it is a duration: the same trial, trained again, then has another value."""
        return self.metric.endswith(_CLOCKED)

    def gain(self, value: float) -> float:
        """Return a value so that more is better."""
        return value if self.direction == "maximize" else -value


def stored_objectives(objectives: Sequence[Objective]) -> Any:
    """Return objectives as a space stores them: one as a mapping, several as a list of them."""
    documents = [asdict(objective) for objective in objectives]
    return documents[0] if len(documents) == 1 else documents


def objectives_from(stored: Any) -> tuple[Objective, ...]:
    """Return the objectives that `stored_objectives` wrote.

    Raises:
        TypeError: `stored` was not written by that function.
    """
    documents = [stored] if isinstance(stored, Mapping) else stored
    return tuple(Objective(**document) for document in documents)


def in_words(objectives: Sequence[Objective]) -> str:
    """Return `maximize best_val_accuracy, minimize parameters`."""
    return ", ".join(f"{one.direction} {one.metric}" for one in objectives)
