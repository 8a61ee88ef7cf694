"""What parameters of one space must agree on: conditions, repetitions, names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from search_spaces.bodies.declared import MAX_REPEAT, Declared, Parameter
from search_spaces.errors import Problems, SpaceError, did_you_mean, listing, show
from search_spaces.expressions import Comparison, Expression, Name
from search_spaces.parameters import Value
from search_spaces.values.domains import Categorical, Domain
from search_spaces.values.ranges import Float, Int
from search_spaces.values.scalars import is_number

MAX_DECIDING = 10_000
"""Most values of a parameter that others depend on; each is a branch when points are counted."""


def _unknown(name: str, earlier: list[Parameter], fixed: Mapping[str, Value]) -> str:
    known = [*(p.name for p in earlier if p.repeat is None), *fixed]
    return (
        f"{name!r} is neither a parameter declared above nor a fixed value; "
        f"allowed: {listing(known)}{did_you_mean(name, known)}"
    )


def condition_problems(
    when: Expression | None, earlier: list[Parameter], fixed: Mapping[str, Value]
) -> Iterator[str]:
    """Yield what is wrong with a `when`: names not declared above, values that never occur."""
    domains = {p.name: p.domain for p in earlier if p.repeat is None}
    for part in when.comparisons if when else ():
        names = [part.left, *([part.right.text] if isinstance(part.right, Name) else [])]
        unknown = [name for name in names if name not in domains and name not in fixed]
        if unknown:
            yield _unknown(unknown[0], earlier, fixed)
        elif part.left in domains:
            yield from _comparison_problems(part, domains[part.left])


def _comparison_problems(part: Comparison, domain: Domain) -> Iterator[str]:
    """Refuse comparisons that can never be true, such as with a misspelt choice."""
    if part.operator in ("==", "!=", "in"):
        values = part.right if isinstance(part.right, tuple) else (part.right,)
        for value in values:
            try:
                domain.accept(value)
            except SpaceError as error:
                yield f"{part.left}: {error}"
    elif isinstance(domain, Categorical) and not all(map(is_number, domain.choices)):
        yield f"{part.left} has choices that are not numbers; compare with == or in"


def repeat_problem(name: str, earlier: list[Parameter], fixed: Mapping[str, Value]) -> str | None:
    """Return what is wrong with a `repeat`, None if it names a sensible whole number."""
    domain = next((p.domain for p in earlier if p.name == name and p.repeat is None), None)
    if domain is None and name not in fixed:
        return _unknown(name, earlier, fixed)
    if isinstance(domain, Int):
        low, high = domain.low, domain.high
    else:
        values = domain.choices if isinstance(domain, Categorical) else (fixed.get(name),)
        if isinstance(domain, Float) or not all(type(value) is int for value in values):
            return f"{name!r} is not a whole number; it must be an int, or a choice of ints"
        low, high = min(values), max(values)  # type: ignore[type-var, assignment]
    if low < 0 or high > MAX_REPEAT:
        return f"{name!r} is {show(low)}..{show(high)}; repetitions must be 0 to {MAX_REPEAT}"
    return None


def check_names(body: Declared, fixed: Mapping[str, Value], problems: Problems) -> None:
    """Refuse two things that would set the same value of a configuration."""
    owners: dict[str, str] = dict.fromkeys(fixed, "fixed")
    for parameter, name, domain in body.named(fixed):
        sets = {name}
        if isinstance(domain, Categorical) and domain.bundles is not None:
            sets.update(key for bundle in domain.bundles.values() for key in bundle)
        for item in sorted(sets):
            if item in owners:
                text = f"sets {item!r}, which is set by {owners[item]} too; keep one of them"
                problems.add(("parameters", parameter.name), text)
            owners[item] = f"parameters.{parameter.name}"


def check_deciding(body: Declared, problems: Problems) -> None:
    """Refuse conditions on parameters with so many values that points cannot be counted."""
    deciding = {name for p in body.parameters if p.when for name in p.when.names}
    for p in body.parameters:
        size = p.domain.size
        if p.name in deciding and size is not None and size > MAX_DECIDING:
            text = f"has {size} values and others depend on it; at most {MAX_DECIDING}, use step"
            problems.add(("parameters", p.name), text)
