"""Narrows a parameter's values by `--set`, and checks that they agree with the experiment.

A request fixes or narrows, never widens: everything left was possible before.
"""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.errors import SpaceError, did_you_mean, listing, show
from search_spaces.parameters import ParameterInfo, Value
from search_spaces.values.domains import Categorical, Domain, Fixed, Float, Int
from search_spaces.values.scalars import is_number, parse_scalar, same

# Whether a value or a range agrees with what the experiment says of its parameter.


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


HELP = "write NAME=VALUE, NAME=LOW..HIGH or NAME=A,B,C"


@dataclass(frozen=True)
class Request:
    """The right side of an override: one value, a list or a range.

    Attributes:
        text: The text as the user wrote it; a choice may be this very text.
        values: The values named: one (fix), or several (a list to keep).
        bounds: Lowest and highest value to keep, for a range.
    """

    text: str
    values: tuple[Value, ...] = ()
    bounds: tuple[float, float] | None = None

    @property
    def is_single(self) -> bool:
        """Whether it fixes the parameter to one value."""
        return self.bounds is None and len(self.values) == 1

    def __str__(self) -> str:
        if self.bounds is not None:
            return "..".join(show(bound) for bound in self.bounds)
        if self.is_single and isinstance(self.values[0], str):
            return self.text
        return ",".join(item if isinstance(item, str) else show(item) for item in self.values)


def parse_request(text: str) -> Request:
    """Parse the text after the `=` of an override.

    Raises:
        SpaceError: The text is empty, an incomplete range or list, or a range that runs downwards.
    """
    text = text.strip()
    if not text:
        raise SpaceError(f"nothing stands after the `=`; {HELP} (`null` switches off)")
    if ".." in text:
        return Request(text, bounds=_bounds(text))
    items = [item.strip() for item in text.split(",")]
    if len(items) > 1 and not all(items):
        raise SpaceError(f"received {show(text)}, a list with a gap; {HELP}")
    return Request(text, tuple(parse_scalar(item) for item in items))


def _bounds(text: str) -> tuple[float, float]:
    low_text, _, high_text = text.partition("..")
    low, high = parse_scalar(low_text.strip()), parse_scalar(high_text.strip())
    for bound in (low, high):
        if not is_number(bound):
            raise SpaceError(f"received {show(text)}, not a range of two numbers; {HELP}")
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if low > high:
        raise SpaceError(
            f"received {text}, an empty range; swap the ends: {show(high)}..{show(low)}"
        )
    return low, high


def narrow(domain: Domain, request: Request) -> Domain:
    """Return the part of a domain that a request leaves.

    Raises:
        SpaceError: The request reaches outside the domain, or leaves nothing.
    """
    try:
        return _narrowed(domain, request)
    except SpaceError as error:
        raise SpaceError(f"{error} (an override narrows what the space allows)") from None


def _narrowed(domain: Domain, request: Request) -> Domain:
    if isinstance(domain, Categorical):
        return _narrow_choices(domain, request)
    if request.is_single:
        return Fixed(domain.accept(request.values[0]), getattr(domain, "bundle", None))
    if isinstance(domain, Fixed):
        raise SpaceError(f"received {request}; it is already fixed to {show(domain.value)}")
    return _narrow_range(domain, request)


def _narrow_range(domain: Float | Int, request: Request) -> Domain:
    if request.bounds is None:
        return Categorical(tuple(domain.accept(value) for value in request.values))
    low, high = (domain.accept(bound) for bound in request.bounds)
    if low == high:
        return Fixed(low)
    if isinstance(domain, Int):
        return Int(int(low), int(high), domain.log, domain.step)
    return Float(low, high, domain.log, domain.step)


def _narrow_choices(domain: Categorical, request: Request) -> Domain:
    kept: list[Value]
    if request.bounds is not None:
        low, high = request.bounds
        kept = [item for item in domain.choices if is_number(item) and low <= item <= high]
    elif request.text in domain.choices:
        kept = [request.text]
    else:
        wanted = [_choice(domain, value, request) for value in request.values]
        kept = [choice for choice in domain.choices if choice in wanted]
    if not kept:
        raise SpaceError(f"received {request}, which leaves nothing of {domain.text}")
    if len(kept) == 1:
        bundle = None if domain.bundles is None else domain.bundles[str(kept[0])]
        return Fixed(kept[0], bundle)
    bundles = domain.bundles and {str(label): domain.bundles[str(label)] for label in kept}
    return Categorical(tuple(kept), bundles)


def _choice(domain: Categorical, value: Value, request: Request) -> Value:
    """Return the choice meant; `16` may be the text '16' where the choices are texts."""
    texts = [choice for choice in domain.choices if isinstance(choice, str)]
    for item in request.text.split(","):
        if item.strip() in texts and parse_scalar(item.strip()) == value:
            return item.strip()
    return domain.accept(value)
