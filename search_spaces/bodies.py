"""Parameters of a space from a file, their conditions, and what answers for them."""

from __future__ import annotations

import math
import operator
import random
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from search_spaces.errors import SpaceError, did_you_mean, listing, show
from search_spaces.parameters import Value
from search_spaces.values import (
    Categorical,
    Domain,
    Fixed,
    Int,
    Sampled,
    domain_from_dict,
    is_number,
    parse_scalar,
    same,
)

HELP = "write it like `parameters <= 20000`, `optimizer == sgd` or `units_1 in [16, 32] and l2 > 0`"

_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_LEFT = re.compile(rf"({_NAME})\s*(<=|>=|==|!=|<(?!=)|>(?!=)|\bin\b)")
_BARE = re.compile(r"[^\s<>=!,\[\]'\"&|()*/]+")


@dataclass(frozen=True)
class Name:
    """A second name on the right side of a comparison."""

    text: str


@dataclass(frozen=True)
class Clause:
    """One `name operator value`."""

    left: str
    operator: str
    right: Value | Name | tuple[Value, ...]

    def holds(self, values: Mapping[str, Value], *, if_absent: bool) -> bool:
        """Return whether it is true, or `if_absent` if a name has no value at this point."""
        if self.left not in values:
            return if_absent
        left = values[self.left]
        if isinstance(self.right, tuple):
            return any(same(left, item) for item in self.right)
        if self.operator in ("==", "!="):
            return same(left, self.right) == (self.operator == "==")
        right: object = self.right
        if isinstance(right, Name):
            if right.text not in values:
                return if_absent
            right = values[right.text]
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            return if_absent  # a parameter that is switched off (null) has no order
        return _ORDER[self.operator](left, right)

    def __str__(self) -> str:
        if isinstance(self.right, tuple):
            return f"{self.left} in [{', '.join(_written(item) for item in self.right)}]"
        right = self.right.text if isinstance(self.right, Name) else _written(self.right)
        return f"{self.left} {self.operator} {right}"


@dataclass(frozen=True)
class Expression:
    """Comparisons that must all hold."""

    comparisons: tuple[Clause, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name used, in order, once."""
        found: dict[str, None] = {}
        for comparison in self.comparisons:
            found[comparison.left] = None
            if isinstance(comparison.right, Name):
                found[comparison.right.text] = None
        return tuple(found)

    def holds(self, values: Mapping[str, Value], *, if_absent: bool) -> bool:
        """Return whether every comparison is true; see `Clause.holds`."""
        return all(part.holds(values, if_absent=if_absent) for part in self.comparisons)

    def __str__(self) -> str:
        return " and ".join(str(part) for part in self.comparisons)


def parse_expression(text: str) -> Expression:
    """Parse a condition or a constraint: `optimizer in [sgd, adam] and units_2 <= units_1`.

    A comparison has a name on its left and a value on its right; after `<`, `<=`, `>` and `>=` the
    right side may be a second name. Nothing is ever evaluated as code.

    Raises:
        SpaceError: A part is not understood; the message quotes it and says how to write it.
    """
    return Expression(tuple(_comparison(part) for part in re.split(r"\band\b", text)))


def _comparison(text: str) -> Clause:
    text = text.strip()
    match = _LEFT.match(text)
    right = text[match.end() :].strip() if match else ""
    if match is None or not right:
        raise SpaceError(f"received {show(text)}, which is not a comparison; {HELP}")
    left, symbol = match.groups()
    if symbol == "in":
        if not (right.startswith("[") and right.endswith("]") and right[1:-1].strip()):
            raise SpaceError(f"received {show(right)} after in; a list is needed: `in [16, 32]`")
        items = tuple(_operand(item.strip()) for item in right[1:-1].split(","))
        return Clause(left, symbol, items)
    value = _operand(right)
    if symbol in _ORDER and not is_number(value):
        if not (isinstance(value, str) and re.fullmatch(_NAME, right)):
            raise SpaceError(f"received {show(right)} after {symbol}; a number or a name is needed")
        return Clause(left, symbol, Name(right))
    return Clause(left, symbol, value)


def _operand(text: str) -> Value:
    if len(text) >= 2 and text[0] in "'\"" and text[-1] == text[0] and text[0] not in text[1:-1]:
        return text[1:-1]
    if not _BARE.fullmatch(text):
        raise SpaceError(f"received {show(text)}, which is not one value; {HELP}")
    return parse_scalar(text)


def _written(value: Value) -> str:
    if not isinstance(value, str):
        return show(value)
    if _BARE.fullmatch(value):
        with suppress(SpaceError):
            if isinstance(parse_scalar(value), str):
                return value
    return f"'{value}'" if '"' in value else f'"{value}"'


Answer = Callable[[str, Sampled], object]
"""Returns a value for a parameter, which is asked for by name and domain. So spaces of both kinds
are sampled, replayed, probed and enumerated by the same code."""


@dataclass(frozen=True)
class Walk:
    """The result of one walk through a space.

    Attributes:
        params: The parameters that were sampled, in the order they were asked for.
        config: Everything the experiment receives.
        held: The parameters that were active but fixed by an override.
    """

    params: dict[str, Value] = field(default_factory=dict)
    config: dict[str, Value] = field(default_factory=dict)
    held: dict[str, Value] = field(default_factory=dict)


def asked(answer: Answer, name: str, domain: Sampled) -> Value:
    """Return the answer for a parameter, as its domain stores it: 0.1 + 2 * 0.1 is 0.3.

    Raises:
        SpaceError: It is outside; the message names the parameter.
    """
    with naming(name):
        return domain.accept(answer(name, domain))


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Have an error name the parameter, if it names none."""
    try:
        yield
    except SpaceError as error:
        if error.parameter is not None:
            raise
        raise SpaceError(f"{name}: {error}", parameter=name) from None


class Replay:
    """Answers from a given point; what is missing or outside is an error."""

    def __init__(self, params: Mapping[str, Value]) -> None:
        self._params = params
        self._used: dict[str, None] = {}

    def __call__(self, name: str, domain: Sampled) -> Value:
        """Return the value of the point."""
        self._used[name] = None
        if name not in self._params:
            unused = [given for given in self._params if given not in self._used]
            hint = did_you_mean(name, unused).replace("did you mean", "is it what you called")
            raise SpaceError(f"is missing; a value in {domain.text} is needed{hint}")
        return self._params[name]

    def all(self) -> dict[str, Value]:
        """Return the whole point, of which nothing more is to be checked."""
        self._used |= dict.fromkeys(self._params)
        return dict(self._params)

    def check_all_used(self, besides: Collection[str] = ()) -> None:
        """Raise SpaceError if a value of the point was never asked for, and is not in `besides`."""
        for name in self._params:
            if name not in self._used and name not in besides:
                hint = did_you_mean(name, self._used)
                raise SpaceError(
                    f"{name}: is not active at this point; active: {listing(self._used)}{hint}",
                    parameter=name,
                )


def random_answers(seed: int) -> Answer:
    """Return answers that are drawn uniformly, each on its own scale."""
    rng = random.Random(seed)  # noqa: S311  samples, not secrets
    return lambda _, domain: domain.pick(rng.random())


def probes(run: Callable[[Answer], Walk], count: int = 64) -> Iterator[Walk]:
    """Walk the corners and `count` random points of a space; the same ones every time."""
    for fraction in (0.0, 1.0):
        yield run(lambda _, domain, at=fraction: domain.pick(at))  # type: ignore[misc]
    for seed in range(count):
        yield run(random_answers(seed))


def every_point(run: Callable[[Answer], Walk]) -> Iterator[dict[str, Value]]:
    """Yield every point of a finite space.

    The order is that of nested loops: the first parameter varies slowest; numbers ascend and
    choices keep their order.

    Raises:
        SpaceError: A parameter is continuous; the message says how to make it finite.
    """
    indices: list[int] = []
    sizes: list[int] = []

    def answer(name: str, domain: Sampled) -> Value:
        """Answer with the value that the indices so far name, and then with first values."""
        sizes.append(finite_size(name, domain))
        if len(sizes) > len(indices):
            indices.append(0)
        return domain.value_at(indices[len(sizes) - 1])

    while True:
        sizes.clear()
        yield run(answer).params
        while indices and indices[-1] + 1 == sizes[len(indices) - 1]:
            indices.pop()
        if not indices:
            return
        indices[-1] += 1


def finite_size(name: str, domain: Domain) -> int:
    """Return the number of values; refuse a continuous range and say what to do about it."""
    if domain.size is None:
        raise SpaceError(
            f"{name}: is continuous ({domain.text}), so the space has no end of points; "
            f"give it a step, or a list: `--set {name}=A,B,C`",
            parameter=name,
        )
    return domain.size


@dataclass(frozen=True)
class Open:
    """The parameters of an objective function: which they are, it says while it runs.

    So nothing is known of them before: every point lies in the space.
    """

    conditional = True

    def run(self, answer: Answer, fixed: Mapping[str, Value]) -> Walk:
        """Return the point that is replayed; for any other answer a walk without parameters."""
        params = answer.all() if isinstance(answer, Replay) else {}
        return Walk(params, {**fixed, **params})

    def size(self, _fixed: Mapping[str, Value]) -> int | None:
        """Return None: there is no end of points."""
        return None

    def points(self, _fixed: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
        """Refuse to enumerate what is not known."""
        raise SpaceError("an objective function names its parameters only while it runs")

    def rows(self, _fixed: Mapping[str, Value]) -> list[Row]:
        """Return nothing."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        return {"open": True, "parameters": []}


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
class Declaration:
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
    def from_dict(stored: Mapping[str, Any]) -> Declaration:
        """Rebuild a parameter from `to_dict()`."""
        return Declaration(
            stored["name"],
            domain_from_dict(stored["domain"]),
            None if stored["when"] is None else parse_expression(stored["when"]),
            stored["repeat"],
            {int(index): domain_from_dict(item) for index, item in stored["layers"].items()},
        )


@dataclass(frozen=True)
class Declared:
    """Parameters that a space file declares, in its order."""

    parameters: tuple[Declaration, ...]

    def run(self, answer: Answer, fixed: Mapping[str, Value]) -> Walk:
        """Ask for every active parameter, in order."""
        walk = Walk(config=dict(fixed))
        values = dict(fixed)
        for parameter in self.parameters:
            for name, domain in parameter.instances(values):
                if isinstance(domain, Fixed):
                    values[name] = walk.held[name] = domain.value
                    walk.config.update(domain.expand(name))
                    continue
                values[name] = walk.params[name] = asked(answer, name, domain)
                if isinstance(domain, Categorical):
                    walk.config.update(domain.expand(name, values[name]))
                else:
                    walk.config[name] = values[name]
        return walk

    def most(self, parameter: Declaration, fixed: Mapping[str, Value]) -> int:
        """Return the largest number of repetitions of a parameter; 0 if it does not repeat."""
        if parameter.repeat is None:
            return 0
        if parameter.repeat in fixed:
            count = fixed[parameter.repeat]
            return count if isinstance(count, int) else 0
        domain = next(other.domain for other in self.parameters if other.name == parameter.repeat)
        if isinstance(domain, Int):
            return domain.high
        values = getattr(domain, "choices", (getattr(domain, "value", None),))
        return max((value for value in values if isinstance(value, int)), default=0)

    def named(self, fixed: Mapping[str, Value]) -> Iterator[tuple[Declaration, str, Domain]]:
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
        return every_point(lambda answer: self.run(answer, fixed))

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
        return Declared(tuple(Declaration.from_dict(item) for item in stored["parameters"]))


def kind(domain: Domain) -> str:
    """Return the one-word kind of a domain."""
    return type(domain).__name__.lower()
