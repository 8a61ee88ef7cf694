"""The body of a YAML space: parameters in order, conditions, repetitions, bundles."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from search_spaces.bodies.fixed_trials import Walk, every_point, finite_size
from search_spaces.errors import SpaceError
from search_spaces.expressions import Expression, parse_expression
from search_spaces.parameters import Suggester, Value
from search_spaces.values.domains import Categorical, Domain, Fixed, Int, domain_from_dict

MAX_REPEAT = 100
"""Most repetitions of a parameter."""


@dataclass(frozen=True)
class Row:
    """One parameter, for tables: `name` is `units_1 .. units_n` where it repeats."""

    name: str
    kind: str
    range: str
    condition: str


@dataclass(frozen=True)
class Parameter:
    """One entry of `parameters`.

    Attributes:
        name: As declared; a repeated one is sampled as `name_1`, `name_2`, ...
        domain: The values it may take.
        when: Sampled only where this holds.
        repeat: Name of the earlier parameter, or fixed value, that is the number of repetitions.
        layers: Domains of single repetitions that an override changed, by number from 1.
    """

    name: str
    domain: Domain
    when: Expression | None = None
    repeat: str | None = None
    layers: Mapping[int, Domain] = field(default_factory=dict)

    def instances(self, values: Mapping[str, Value]) -> Iterator[tuple[str, Domain]]:
        """Yield sampled name and domain of all that is active, given the values so far."""
        if self.when is not None and not self.when.holds(values, if_absent=False):
            return
        if self.repeat is None:
            yield self.name, self.domain
            return
        count = values.get(self.repeat)
        for index in range(1, (count if isinstance(count, int) else 0) + 1):
            yield f"{self.name}_{index}", self.layers.get(index, self.domain)

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        return {
            "name": self.name,
            "domain": self.domain.to_dict(),
            "when": None if self.when is None else str(self.when),
            "repeat": self.repeat,
            "layers": {str(index): self.layers[index].to_dict() for index in sorted(self.layers)},
        }

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> Parameter:
        """Rebuild a parameter from `to_dict()`."""
        return Parameter(
            stored["name"],
            domain_from_dict(stored["domain"]),
            None if stored["when"] is None else parse_expression(stored["when"]),
            stored["repeat"],
            {int(index): domain_from_dict(item) for index, item in stored["layers"].items()},
        )


@dataclass(frozen=True)
class Declared:
    """Parameters that a space file declares, in its order."""

    parameters: tuple[Parameter, ...]

    def run(self, trial: Suggester, fixed: Mapping[str, Value]) -> Walk:
        """Ask the trial for every active parameter, in order."""
        walk = Walk(config=dict(fixed))
        values = dict(fixed)
        for parameter in self.parameters:
            for name, domain in parameter.instances(values):
                if isinstance(domain, Fixed):
                    values[name] = walk.held[name] = domain.value
                    walk.config.update(domain.expand(name))
                    continue
                values[name] = walk.params[name] = domain.suggest(trial, name)
                if isinstance(domain, Categorical):
                    walk.config.update(domain.expand(name, values[name]))
                else:
                    walk.config[name] = values[name]
        return walk

    def most(self, parameter: Parameter, fixed: Mapping[str, Value]) -> int:
        """Return the largest number of repetitions of a parameter; 0 if it does not repeat."""
        if parameter.repeat is None:
            return 0
        if parameter.repeat in fixed:
            count = fixed[parameter.repeat]
            return count if isinstance(count, int) else 0
        domain = next(other.domain for other in self.parameters if other.name == parameter.repeat)
        return most_of(domain)

    def named(self, fixed: Mapping[str, Value]) -> Iterator[tuple[Parameter, str, Domain]]:
        """Yield every name that can be sampled or held anywhere in the space, with its domain."""
        for parameter in self.parameters:
            if parameter.repeat is None:
                yield parameter, parameter.name, parameter.domain
                continue
            for index in range(1, self.most(parameter, fixed) + 1):
                domain = parameter.layers.get(index, parameter.domain)
                yield parameter, f"{parameter.name}_{index}", domain

    def size(self, fixed: Mapping[str, Value]) -> int | None:
        """Return the number of distinct points, None if there are infinitely many."""
        try:
            return self._count(fixed)
        except SpaceError:
            return None

    def points(self, fixed: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
        """Return an iterator over every point; see `every_point` for the order."""
        self._count(fixed)
        return every_point(lambda trial: self.run(trial, fixed))

    def _count(self, fixed: Mapping[str, Value]) -> int:
        """Count points without visiting them; branch only on parameters that others depend on."""
        deciding = {name for p in self.parameters for name in (p.when.names if p.when else ())}
        deciding |= {p.repeat for p in self.parameters if p.repeat}
        counts: dict[tuple[tuple[str, Value], ...], int] = {(): 1}
        for parameter in self.parameters:
            following: dict[tuple[tuple[str, Value], ...], int] = defaultdict(int)
            for decided, count in counts.items():
                active = list(parameter.instances({**fixed, **dict(decided)}))
                sizes = [finite_size(name, domain) for name, domain in active]
                if active and parameter.name in deciding:
                    for index in range(sizes[0]):
                        chosen = (parameter.name, parameter.domain.value_at(index))
                        following[(*decided, chosen)] += count
                else:
                    following[decided] += count * math.prod(sizes)
            counts = following
        return sum(counts.values())

    @property
    def conditional(self) -> bool:
        """Whether different points can have different parameters."""
        free = {p.name for p in self.parameters if not isinstance(p.domain, Fixed)}
        return any(
            p.repeat in free or (p.when is not None and not free.isdisjoint(p.when.names))
            for p in self.parameters
        )

    def rows(self, fixed: Mapping[str, Value]) -> list[Row]:
        """Return one row per declared parameter, and one per repetition that differs."""
        rows = []
        for p in self.parameters:
            most = self.most(p, fixed)
            name = p.name if p.repeat is None else f"{p.name}_1"
            name = f"{name} .. {p.name}_{most}" if most > 1 else name
            conditions = [f"when {p.when}"] if p.when else []
            if most > 1:
                conditions.append(f"as many as {p.repeat}")
            condition = ", ".join(conditions)
            rows.append(Row(name, kind(p.domain), p.domain.text, condition))
            for index, domain in sorted(p.layers.items()):
                if index > most:
                    break
                rows.append(Row(f"{p.name}_{index}", kind(domain), domain.text, condition))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        return {"parameters": [parameter.to_dict() for parameter in self.parameters]}

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> Declared:
        """Rebuild the body from `to_dict()`."""
        return Declared(tuple(Parameter.from_dict(item) for item in stored["parameters"]))


def kind(domain: Domain) -> str:
    """Return the one-word kind of a domain."""
    return type(domain).__name__.lower()


def most_of(domain: Domain) -> int:
    """Return the largest whole number a domain holds, 0 if it holds none."""
    if isinstance(domain, Int):
        return domain.high
    values: tuple[Value, ...] = ()
    if isinstance(domain, Categorical):
        values = domain.choices
    elif isinstance(domain, Fixed):
        values = (domain.value,)
    return max((value for value in values if isinstance(value, int)), default=0)
