"""Values a parameter can take: ranges and choices, their text, and how `--set` narrows them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, ClassVar, TypeGuard

from search_spaces.errors import (
    HALF,
    HALF_CHARACTER,
    SpaceError,
    did_you_mean,
    listing,
    show,
)
from search_spaces.parameters import ParameterInfo, Value

_WORDS: dict[str, Value] = {"": None, "~": None}
for _word, _value in (("null", None), ("true", True), ("false", False)):
    _WORDS.update({_word: _value, _word.title(): _value, _word.upper(): _value})

_INTEGER = re.compile(r"[-+]?[0-9]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|[-+]?(nan|inf)", re.IGNORECASE)
_MAX_DIGITS = 300


def parse_scalar(text: str) -> Value:
    """Return the value an unquoted text stands for, by the core schema of YAML 1.2.

    YAML 1.1, which PyYAML follows by itself, reads `1e-4` as text, `no` as false, `010` as eight.
    Source: https://yaml.org/spec/1.2.2/#103-core-schema

    Raises:
        SpaceError: The text is a number that is not finite, or too long to be one.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise SpaceError(f"received {text}; only finite numbers are allowed")
    is_written_as_number = _FLOAT.fullmatch(text) or _HEXADECIMAL.fullmatch(text)
    if is_written_as_number and len(text) > _MAX_DIGITS:
        raise SpaceError(f"received a number of {len(text)} characters; at most {_MAX_DIGITS}")
    if _INTEGER.fullmatch(text):
        return int(text)
    if _HEXADECIMAL.fullmatch(text):
        number: int | float = int(text, 16)
        if not is_number(number):
            raise SpaceError(f"received {text[:20]}...; only numbers up to 1e308 are allowed")
        return number
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise SpaceError(f"received {text}; only finite numbers are allowed")
        return number
    return text


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a finite int or float; a bool is neither."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond what a float can hold
        return False


def same(left: object, right: object) -> bool:
    """Whether two values are equal and true is not taken for 1."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


MAX_INTEGER = 2**53
"""Optuna stores every number as a float; beyond this, neighbours become equal."""


@dataclass(frozen=True)
class Float:
    """Numbers from `low` to `high`, both included; on a grid from `low` where `step` is given.

    A range that makes no sense raises SpaceError when it is made, wherever it comes from. Messages
    leave out the place, which callers know.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)
        if self.log and self.low <= 0:
            raise SpaceError(f"low is {show(self.low)}; with log it must be above 0")
        if self.step is None:
            return
        if self.log:
            raise SpaceError("log and step exclude each other; leave one out")
        if not is_number(self.step) or self.step <= 0:
            raise SpaceError(f"step is {show(self.step)}; a number above 0 is needed")
        if _steps(self.low, self.high, self.step) > MAX_INTEGER:
            raise SpaceError(
                f"step is {show(self.step)}, too small for {show(self.low)}..{show(self.high)}; "
                "leave it out: the range is then continuous"
            )
        _check_whole_steps(self.low, self.high, self.step)

    @property
    def size(self) -> int | None:
        """Number of values; None for a continuous range."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return int(_steps(self.low, self.high, self.step)) + 1

    @property
    def text(self) -> str:
        """The range as a person writes it."""
        step = "" if self.step is None else f" step {show(self.step)}"
        return f"{show(self.low)}..{show(self.high)}{' log' if self.log else ''}{step}"

    def value_at(self, index: int) -> float:
        """Return the value number `index`, from 0, of a finite range."""
        if self.step is None:
            return float(self.low)
        return float(Decimal(str(self.low)) + index * Decimal(str(self.step)))

    def accept(self, value: object) -> float:
        """Return the value as this range stores it, or raise SpaceError."""
        if not is_number(value):
            raise SpaceError(f"received {show(value)}; a number in {self.text} is needed")
        if not self.low <= value <= self.high:
            raise SpaceError(f"received {show(value)}, outside {self.text}")
        if self.step is None:
            return float(value)
        index = round((value - self.low) / self.step)
        nearest = self.value_at(index)
        if abs(value - nearest) > 1e-8 * max(self.step, abs(nearest)):
            raise SpaceError(f"received {show(value)}, not on the steps of {self.text}")
        return nearest

    def pick(self, fraction: float) -> float:
        """Return the value at a fraction in [0, 1] of the range, on its own scale."""
        if (size := self.size) is not None:
            return self.value_at(min(int(fraction * size), size - 1))
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            value = math.exp(low + fraction * (high - low))
        else:
            value = self.low * (1 - fraction) + self.high * fraction
        return min(max(float(value), float(self.low)), float(self.high))

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        step = None if self.step is None else float(self.step)
        low, high = float(self.low), float(self.high)
        return {"type": "float", "low": low, "high": high, "log": self.log, "step": step}


@dataclass(frozen=True)
class Int:
    """Whole numbers from `low` to `high`, both included, `step` apart."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        for key, value in (("low", self.low), ("high", self.high), ("step", self.step)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise SpaceError(f"{key} is {show(value)}; a whole number is needed")
            if abs(value) > MAX_INTEGER:
                raise SpaceError(f"{key} is {show(value)}; at most {MAX_INTEGER} either way")
        _check_range(self.low, self.high)
        if self.log and self.low < 1:
            raise SpaceError(f"low is {self.low}; with log it must be at least 1")
        if self.step < 1:
            raise SpaceError(f"step is {self.step}; at least 1 is needed")
        if self.log and self.step != 1:
            raise SpaceError("log and step exclude each other; leave one out")
        _check_whole_steps(self.low, self.high, self.step)

    @property
    def size(self) -> int:
        """Number of values."""
        return (self.high - self.low) // self.step + 1

    @property
    def text(self) -> str:
        """The range as a person writes it."""
        step = "" if self.step == 1 else f" step {self.step}"
        return f"{self.low}..{self.high}{' log' if self.log else ''}{step}"

    def value_at(self, index: int) -> int:
        """Return the value number `index`, from 0."""
        return self.low + index * self.step

    def accept(self, value: object) -> int:
        """Return the value as this range stores it, or raise SpaceError."""
        if not is_number(value) or value != int(value):
            raise SpaceError(f"received {show(value)}; a whole number in {self.text} is needed")
        number = int(value)
        if not self.low <= number <= self.high:
            raise SpaceError(f"received {show(value)}, outside {self.text}")
        if (number - self.low) % self.step:
            raise SpaceError(f"received {show(value)}, not on the steps of {self.text}")
        return number

    def pick(self, fraction: float) -> int:
        """Return the value at a fraction in [0, 1] of the range, on its own scale."""
        if self.log:
            value = self.low * math.pow(self.high / self.low, fraction)
            return min(max(round(value), self.low), self.high)
        return self.value_at(min(int(fraction * self.size), self.size - 1))

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form."""
        return {"type": "int", **asdict(self)}


def _check_range(low: object, high: object) -> None:
    if not is_number(low):
        raise SpaceError(f"low is {show(low)}; a finite number is needed")
    if not is_number(high):
        raise SpaceError(f"high is {show(high)}; a finite number is needed")
    if low > high:
        raise SpaceError(f"low is {show(low)}, above high, which is {show(high)}; swap them?")


def _steps(low: float, high: float, step: float) -> Decimal:
    return (Decimal(str(high)) - Decimal(str(low))) / Decimal(str(step))


def _check_whole_steps(low: float, high: float, step: float) -> None:
    steps = _steps(low, high, step)
    if steps == int(steps):
        return
    start, width = Decimal(str(low)), Decimal(str(step))
    below, above = (show(float(start + (int(steps) + more) * width)) for more in (0, 1))
    raise SpaceError(
        f"high is {show(high)}, not low plus a whole number of steps; use {below} or {above}"
    )


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
            # Also true beside 1: samplers cannot tell them apart.
            if choice in self.choices[:index]:
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
    size: ClassVar[int] = 1

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
    if (kind := stored["type"]) in {"float", "int"}:
        number = Float if kind == "float" else Int
        return number(stored["low"], stored["high"], stored["log"], stored["step"])
    if kind == "fixed":
        return Fixed(stored["value"], stored["bundle"])
    if "bundles" in stored:
        bundles = {bundle["label"]: bundle["values"] for bundle in stored["bundles"]}
        return Categorical(tuple(bundles), bundles)
    return Categorical(tuple(stored["choices"]))


def check_scalar(value: object) -> None:
    """Refuse what a record could not store: anything but text, a finite number, a bool or None."""
    if isinstance(value, str) and HALF_CHARACTER.search(value):
        raise SpaceError(f"received {show(value)}, {HALF}")
    if value is None or isinstance(value, str | bool) or is_number(value):
        return
    raise SpaceError(
        f"received {show(value)}; text, a finite number, true, false or null is needed"
    )


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
        low, high = (parse_scalar(end.strip()) for end in text.split("..", 1))
        if not (is_number(low) and is_number(high)):
            raise SpaceError(f"received {show(text)}, not a range of two numbers; {HELP}")
        if low > high:
            raise SpaceError(
                f"received {text}, an empty range; swap the ends: {show(high)}..{show(low)}"
            )
        return Request(text, bounds=(low, high))
    items = [item.strip() for item in text.split(",")]
    if len(items) > 1 and not all(items):
        raise SpaceError(f"received {show(text)}, a list with a gap; {HELP}")
    return Request(text, tuple(parse_scalar(item) for item in items))


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
