"""Whether a value or a range agrees with what the experiment says of its parameter."""

from __future__ import annotations

from search_spaces.errors import did_you_mean, listing, show
from search_spaces.parameters import ParameterInfo, Value
from search_spaces.values.domains import Categorical, Domain, Fixed
from search_spaces.values.scalars import is_number, same

_NOUNS = {"float": "a number", "int": "a whole number", "bool": "true or false", "any": "anything"}


def allowed(info: ParameterInfo) -> str:
    """Say in words what a parameter accepts: `a number from 0 to 1, or null`."""
    if info.type == "categorical":
        words = f"one of {listing(info.choices)}" if info.choices else "text"
    else:
        words = _NOUNS[info.type]
    if info.low is not None and info.high is not None:
        words += f" from {show(info.low)} to {show(info.high)}"
    elif info.low is not None:
        words += f" from {show(info.low)} up"
    elif info.high is not None:
        words += f" up to {show(info.high)}"
    return f"{words}, or null (off)" if info.optional else words


def value_problem(info: ParameterInfo, value: Value) -> str | None:
    """Return what is wrong with a value, None if the experiment accepts it."""
    if info.type == "any" or _accepts(info, value):
        return None
    hint = did_you_mean(value, info.choices or ()) if isinstance(value, str) else ""
    return f"received {show(value)}; allowed: {allowed(info)}{hint}"


def domain_problem(info: ParameterInfo, domain: Domain) -> tuple[str, str] | None:
    """Return the key at fault (`low`, `high`, `choices`, `type`) and what is wrong, or None."""
    if isinstance(domain, Fixed):
        problem = value_problem(info, domain.value)
        return ("value", problem) if problem else None
    if isinstance(domain, Categorical):
        problems = (value_problem(info, choice) for choice in domain.choices)
        first = next((problem for problem in problems if problem), None)
        return ("choices", first) if first else None
    kind = type(domain).__name__.lower()
    if info.type not in (kind, "float", "any"):
        return "type", f"is {kind}; the experiment needs {allowed(info)}"
    for key, bound in (("low", domain.low), ("high", domain.high)):
        problem = value_problem(info, bound)
        if problem:
            return key, problem
    return None


def _accepts(info: ParameterInfo, value: Value) -> bool:
    if value is None:
        return info.optional or (info.choices is not None and None in info.choices)
    if info.type == "bool":
        return isinstance(value, bool)
    if info.type == "categorical":
        if info.choices is None:
            return isinstance(value, str)
        return any(same(choice, value) for choice in info.choices)
    if not is_number(value) or (info.type == "int" and not isinstance(value, int)):
        return False
    assert isinstance(value, int | float)
    above = info.low is None or value >= info.low
    below = info.high is None or value <= info.high
    in_choices = info.choices is None or any(same(choice, value) for choice in info.choices)
    return above and below and in_choices
