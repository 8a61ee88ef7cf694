"""The values one parameter may take: Float, Int, Categorical, or Fixed to one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces.errors import SpaceError, did_you_mean, listing, show
from search_spaces.parameters import Value
from search_spaces.suggesting import Suggester
from search_spaces.values.ranges import Float, Int
from search_spaces.values.scalars import is_number, same


@dataclass(frozen=True)
class Categorical:
    """One of several values; with `bundles`, each is a label that sets several parameters."""

    choices: tuple[Value, ...]
    bundles: Mapping[str, Mapping[str, Value]] | None = None

    def __post_init__(self) -> None:
        if not self.choices:
            raise SpaceError("choices is empty; at least one value is needed")
        for index, choice in enumerate(self.choices):
            check_scalar(choice)
            if (
                choice in self.choices[:index]
            ):  # also true beside 1: samplers cannot tell them apart
                raise SpaceError(f"choices has {show(choice)} twice")

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.choices)

    @property
    def text(self) -> str:
        """The choices as a person writes them."""
        return listing(self.choices, limit=12)

    def value_at(self, index: int) -> Value:
        """Return choice number `index`, from 0."""
        return self.choices[index]

    def accept(self, value: object) -> Value:
        """Return the choice equal to the value, or raise SpaceError."""
        for choice in self.choices:
            if same(choice, value):
                return choice
        hint = did_you_mean(value, self.choices)
        raise SpaceError(f"received {show(value)}; allowed: {self.text}{hint}")

    def suggest(self, trial: Suggester, name: str) -> Value:
        """Ask the trial for a value."""
        return self.accept(trial.suggest_categorical(name, self.choices))

    def pick(self, fraction: float) -> Value:
        """Return the choice at a fraction in [0, 1] of the list."""
        return self.choices[min(int(fraction * self.size), self.size - 1)]

    def expand(self, name: str, value: Value) -> dict[str, Value]:
        """Return what a choice sets: the parameter itself, or everything in its bundle."""
        if self.bundles is None:
            return {name: value}
        return dict(self.bundles[str(value)])

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        if self.bundles is None:
            return {"type": "categorical", "choices": list(self.choices)}
        bundles = [
            {"label": label, "values": dict(self.bundles[str(label)])} for label in self.choices
        ]
        return {"type": "categorical", "bundles": bundles}


@dataclass(frozen=True)
class Fixed:
    """One value, set by an override: still in every configuration, no longer sampled."""

    value: Value
    bundle: Mapping[str, Value] | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return 1

    @property
    def text(self) -> str:
        """The value."""
        return f"{show(self.value)} (fixed)"

    def value_at(self, index: int) -> Value:
        """Return the value."""
        return self.value

    def accept(self, value: object) -> Value:
        """Return the value if it is equal, or raise SpaceError."""
        if not same(value, self.value):
            raise SpaceError(f"received {show(value)}; it is fixed to {show(self.value)}")
        return self.value

    def expand(self, name: str) -> dict[str, Value]:
        """Return what the value sets: the parameter itself, or everything in its bundle."""
        return {name: self.value} if self.bundle is None else dict(self.bundle)

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        bundle = None if self.bundle is None else dict(self.bundle)
        return {"type": "fixed", "value": self.value, "bundle": bundle}


Sampled = Float | Int | Categorical
Domain = Sampled | Fixed


def domain_from_dict(stored: Mapping[str, Any]) -> Domain:
    """Rebuild a domain from `to_dict()`."""
    kind = stored["type"]
    if kind == "float":
        return Float(stored["low"], stored["high"], stored["log"], stored["step"])
    if kind == "int":
        return Int(stored["low"], stored["high"], stored["log"], stored["step"])
    if kind == "fixed":
        return Fixed(stored["value"], stored["bundle"])
    if "bundles" in stored:
        bundles = {bundle["label"]: bundle["values"] for bundle in stored["bundles"]}
        return Categorical(tuple(bundles), bundles)
    return Categorical(tuple(stored["choices"]))


def check_scalar(value: object) -> None:
    """Refuse what a record could not store: anything but text, a finite number, a bool or None."""
    if value is None or isinstance(value, str | bool) or is_number(value):
        return
    raise SpaceError(
        f"received {show(value)}; text, a finite number, true, false or null is needed"
    )
