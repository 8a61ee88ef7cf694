"""Who answers when a space asks for a value: an Optuna trial, or one of the answerers here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from search_spaces.parameters import Value


class Suggester(Protocol):
    """The part of an Optuna trial that a space uses."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Propose a number from `low` to `high`."""
        ...

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Propose a whole number from `low` to `high`."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        """Propose one of the choices."""
        ...
