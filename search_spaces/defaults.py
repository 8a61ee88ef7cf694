"""Options of a sweep that apply where the command line says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Component:
    """A sampler or pruner: a built-in name or import path, with keyword arguments."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Confirming:
    """Options for confirming a sweep whose trials have all ended: see `sweeps confirm --help`.

    Attributes:
        top: Number of best distinct configurations.
        folds: Number of fresh folds.
        metric: Metric of the comparison; None: the objective.
        margin: A difference that does not matter; None: a share of the distance from perfect.
        is_off: Whether the space says `confirm: none`; only an option then confirms the sweep.
    """

    top: int = 5
    folds: int = 20
    metric: str | None = None
    margin: float | None = None
    is_off: bool = False


@dataclass(frozen=True)
class Defaults:
    """Options of a sweep; without `confirm` it is confirmed only on demand."""

    trials: int = 20
    sampler: Component = Component("tpe")
    pruner: Component = Component("none")
    ask_ahead: int = 8
    confirm: Confirming | None = None

    @property
    def confirms_by_itself(self) -> bool:
        """Whether the sweep is confirmed when all its trials have ended."""
        return self.confirm is not None and not self.confirm.is_off

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Defaults:
        """Rebuild the options from `dataclasses.asdict`; KeyError or TypeError for other input."""
        # Format 1 calls it `finalize`; spaces that were stored earlier have neither.
        confirm = stored.get("confirm", stored.get("finalize"))
        return cls(
            trials=stored["trials"],
            sampler=Component(**stored["sampler"]),
            pruner=Component(**stored["pruner"]),
            ask_ahead=stored["ask_ahead"],
            confirm=None if confirm is None else Confirming(**confirm),
        )
