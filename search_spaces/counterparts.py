"""What a point of one space is in another: for a sweep that goes on in a changed space.

Two points are the same if the experiment receives the same configuration. What a space does not
set counts as the experiment's default, on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from search_spaces.bodies.answering import Answerer
from search_spaces.errors import SpaceError, show
from search_spaces.parameters import ParameterInfo, Value, find_parameter
from search_spaces.space import Space
from search_spaces.values.domains import Sampled
from search_spaces.values.scalars import is_number, same

_TOLERANCE: Final = 1e-8  # a value that is moved onto the exact step of a range stays the same one
_NOTHING: Final = object()


def counterpart(
    space: Space,
    params: Mapping[str, Value],
    config: Mapping[str, Value],
    parameters: Mapping[str, ParameterInfo],
) -> dict[str, Value]:
    """Return the point of `space` at which the experiment receives `config`.

    A parameter that `space` samples takes the value it was sampled with, else the one it had in
    the configuration, else the experiment's default.

    Args:
        space: The space to look in.
        params: What was sampled in the other space.
        config: What the experiment received then.
        parameters: What the experiment says of its parameters.

    Raises:
        SpaceError: There is no such point; names the parameter that stands in the way.
    """

    def answer(name: str, domain: Sampled) -> Value:
        value = params[name] if name in params else _value(name, config, parameters)
        if value is _NOTHING:
            raise SpaceError("had no value, and the experiment has no default for it")
        return domain.accept(value)

    walk = space.body.run(Answerer(answer), space.fixed)
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
        SpaceError: One is missing, or is not allowed; names it.
    """

    def answer(name: str, domain: Sampled) -> Value:
        if name not in values:
            raise SpaceError("is missing")
        return domain.accept(values[name])

    walk = space.body.run(Answerer(answer), space.fixed)
    return walk.params, walk.config


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
