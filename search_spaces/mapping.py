"""Compares two spaces: lists their differences, and maps a point of one into the other.

Two points are the same if the experiment receives the same configuration. What a space does not
set counts as the experiment's default, on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from search_spaces.bodies import Replay
from search_spaces.errors import SpaceError, show
from search_spaces.objectives import in_words, objectives_from
from search_spaces.parameters import ParameterInfo, Value, find_parameter
from search_spaces.space import Space
from search_spaces.values import Sampled, domain_from_dict, is_number, parse_scalar, same

_NAMELESS = ("name", "description", "defaults")  # as in Space.digest: they decide no point


def space_differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """Yield one phrase per difference between two results of `Space.to_dict()`.

    A Python function that has changed cannot be imported as it was; its stored form says enough.

    Args:
        there: The space that exists.
        asked: The space that is wanted instead.
    """
    for part in sorted((there.keys() | asked.keys()) - {*_NAMELESS, "body"}):
        old, new = _by_name(there.get(part)), _by_name(asked.get(part))
        if part == "objective" and list in (type(old), type(new)):
            old, new = (in_words(objectives_from(stored)) for stored in (old, new))
        if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
            if old != new:
                yield f"{part}: {old} there, {new} asked"
            continue
        names = [n for n in {**old, **new} if old.get(n) != new.get(n)]
        if names:
            yield f"{part}: {', '.join(names)}"
        elif part == "baselines" and list(old) != list(new):
            yield f"{part}: their order"
    yield from _body_differences(there["body"], asked["body"])


def _body_differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    old, new = ({p["name"]: p for p in body["parameters"]} for body in (there, asked))
    found = False
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            found = True
            yield f"{name}: {_text(old.get(name))} there, {_text(new.get(name))} asked"
    if not found and list(old) != list(new):
        yield "the order of the parameters"
    elif not found and there != asked and (code := asked.get("function") or there.get("function")):
        yield f"the code of {code}"


def _text(parameter: Mapping[str, Any] | None) -> str:
    if parameter is None:
        return "none"
    domains = parameter.get("domains") or [parameter["domain"]]
    text = " | ".join(domain_from_dict(domain).text for domain in domains)
    layers = parameter.get("layers") or {}
    changed = [f"{index}: {domain_from_dict(domain).text}" for index, domain in layers.items()]
    extras = [f"{key} {parameter[key]}" for key in ("when", "repeat") if parameter.get(key)]
    return " ".join([text, *(f"({extra})" for extra in (*changed, *extras))])


def _by_name(value: Any) -> Any:
    """Return baselines, which are stored as a list to keep their order, by name."""
    if isinstance(value, list) and all(
        isinstance(item, Mapping) and "name" in item for item in value
    ):
        return {item["name"]: dict(item["params"]) for item in value}
    return value


_TOLERANCE: Final = 1e-8  # a value that is moved onto the exact step of a range stays the same one
_NOTHING: Final = object()


def counterpart(
    space: Space,
    params: Mapping[str, Value],
    config: Mapping[str, Value],
    parameters: Mapping[str, ParameterInfo],
) -> dict[str, Value]:
    """Return the point of `space` at which the experiment receives `config`.

    A parameter that `space` samples takes the value it was sampled with in the other space
    (`params`), else the one it had in the configuration, else the experiment's default.

    Raises:
        SpaceError: There is no such point; the message names the parameter at fault.
    """

    def answer(name: str, domain: Sampled) -> object:
        value = params[name] if name in params else _value(name, config, parameters)
        if value is _NOTHING:
            raise SpaceError("had no value, and the experiment has no default for it")
        return value

    if space.is_open:  # the function asks for what it knows, and every point lies in there
        return dict(params)
    walk = space.walk(answer)
    for name in {**config, **walk.config}:
        before, now = (_value(name, c, parameters) for c in (config, walk.config))
        if not _agree(before, now):
            raise SpaceError(f"{name}: was {_shown(before)}, would be {_shown(now)}")
    return walk.params


def point_of(
    space: Space, values: Mapping[str, Value]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return the point that has these values, and what the experiment receives there.

    Args:
        space: The space it is to lie in.
        values: At least every parameter that is active at the point.

    Raises:
        SpaceError: A value is missing or not allowed; the message names the parameter.
    """
    walk = space.walk(Replay(values))
    return walk.params, walk.config


def point_found(
    space: Space, cells: Mapping[str, object], metrics: Container[str] = ()
) -> dict[str, Value]:
    """Return the point of a space that a result of another program describes.

    Args:
        space: The space it is to lie in.
        cells: Values by name; a text stands for the value that is written in it. What the space
            does not ask for is ignored; but a value that it fixes must be the same.
        metrics: Names that metrics have as well, such as `epochs`: their cells are taken for
            metrics where the space fixes the value.

    Raises:
        SpaceError: A value is missing or not allowed; the message names the parameter.
    """

    def answer(name: str, domain: Sampled) -> Value:
        if name not in cells:
            raise SpaceError("is missing")
        *others, last = _readings(cells[name])
        for reading in others:
            with suppress(SpaceError):
                return domain.accept(reading)
        return domain.accept(last)

    walk = space.walk(answer)
    for name in (walk.config.keys() - walk.params.keys()) & cells.keys():
        fixed, readings = walk.config[name], _readings(cells[name])
        if name not in metrics and not any(_agree(reading, fixed) for reading in readings):
            raise SpaceError(f"{name}: was {show(readings[-1])}, would be {show(fixed)}")
    return walk.params


def _readings(cell: object) -> list[object]:
    """Return the values that a cell may stand for, in the order in which they are tried."""
    if not isinstance(cell, str):
        return [cell]
    text = cell.strip()
    if text == "None":  # as Python writes it
        return [text, None]
    try:
        read = parse_scalar(text)
    except SpaceError:
        return [text]
    return [read] if isinstance(read, str) else [text, read]


def lies_in(space: Space, values: Mapping[str, Value]) -> bool:
    """Whether there is a point with these values."""
    try:
        point_of(space, values)
    except SpaceError:
        return False
    return True


def _value(
    name: str, config: Mapping[str, Value], parameters: Mapping[str, ParameterInfo]
) -> object:
    if name in config:
        return config[name]
    known = find_parameter(name, parameters)
    return _NOTHING if known is None or known.required else known.default


def _agree(left: object, right: object) -> bool:
    if is_number(left) and is_number(right):
        return math.isclose(left, right, rel_tol=_TOLERANCE)
    return same(left, right)


def _shown(value: object) -> str:
    return "not set" if value is _NOTHING else show(value)
