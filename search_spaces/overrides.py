"""`--set NAME=...`: fixes or narrows parameters that a space samples, and sets all others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from search_spaces.bodies import MAX_REPEAT, Declaration, Declared, Open, Replay
from search_spaces.errors import SpaceError, did_you_mean, listing, show
from search_spaces.parameters import ParameterInfo, Value, find_parameter
from search_spaces.python_space import PythonBody
from search_spaces.space import Space, unknown_parameter
from search_spaces.values import (
    HELP,
    Categorical,
    Fixed,
    Request,
    narrow,
    parse_request,
    value_problem,
)

_OVERRIDE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)", re.DOTALL)


def apply_overrides(
    space: Space, overrides: Sequence[str], parameters: Mapping[str, ParameterInfo]
) -> tuple[Space, tuple[str, ...]]:
    """Return the space that overrides leave, and the baselines that they exclude.

    A sampled parameter is fixed (`units_1=32`) or narrowed (`units_1=16..64`, `batch_size=16,32`),
    never widened. `units=16..64` means every repetition, `units_1=...` only the first. Any other
    parameter of the experiment takes one value, within the experiment's limits.

    Args:
        space: What the overrides are applied to; unchanged.
        overrides: Texts such as `learning_rate=1e-3`, in any order.
        parameters: What the experiment understands.

    Returns:
        The space, and the names of baselines that are no longer inside it.

    Raises:
        SpaceError: An override is wrong; the message names it, what is allowed and how to write it.
    """
    requests = _parsed(overrides)
    changed = space
    # Single repetitions last: `units_1=32 units=16..64` then means the same in either order, and
    # `units_3=32 hidden_layers=1` is refused in either.
    for name in sorted(requests, key=lambda name: _is_repetition(space, name)):
        try:
            changed = _apply(changed, name, requests[name], parameters)
        except SpaceError as error:
            raise SpaceError(f"--set {name}={requests[name].text}: {error}") from None
    return _without_outsiders(space, changed) if requests else (space, ())


def _parsed(overrides: Sequence[str]) -> dict[str, Request]:
    requests: dict[str, Request] = {}
    for text in overrides:
        match = _OVERRIDE.fullmatch(text)
        if match is None:
            raise SpaceError(f"--set {text}: not an override; {HELP}")
        name = match[1]
        if name in requests:
            raise SpaceError(f"--set {name}: given twice; keep one")
        try:
            requests[name] = parse_request(match[2])
        except SpaceError as error:
            raise SpaceError(f"--set {text}: {error}") from None
    return requests


def _is_repetition(space: Space, name: str) -> bool:
    """Whether the name is one repetition (`units_1`) of a repeated parameter."""
    if not isinstance(space.body, Declared):
        return bool(re.search(r"_[1-9][0-9]*$", name))
    return any(p.repeat and _index(p, name) for p in space.body.parameters)


def _index(parameter: Declaration, name: str) -> int | None:
    match = re.fullmatch(rf"{parameter.name}_([1-9][0-9]{{0,5}})", name)
    return int(match[1]) if match else None


def _apply(space: Space, name: str, request: Request, known: Mapping[str, ParameterInfo]) -> Space:
    body = space.body
    if isinstance(body, Open):
        raise SpaceError(
            f"{name}: what an objective function asks for stands in the function; change it there"
        )
    if isinstance(body, PythonBody):
        return _apply_to_function(space, body, name, request, known)
    changed: list[Declaration] = []
    for parameter in body.parameters:
        most = body.most(parameter, space.fixed) if parameter.repeat else 0
        changed.append(_narrowed(parameter, name, request, most))
    is_sampled = any(
        p.name == name or (p.repeat is not None and _index(p, name)) for p in body.parameters
    )
    if changed != list(body.parameters) or is_sampled:
        return replace(space, body=Declared(tuple(changed)))
    return _set(space, body, name, request, known)


def _narrowed(parameter: Declaration, name: str, request: Request, most: int) -> Declaration:
    """Return the parameter as the request leaves it; unchanged if it is not the one named."""
    if parameter.name == name:
        layers = {index: narrow(domain, request) for index, domain in parameter.layers.items()}
        return replace(parameter, domain=narrow(parameter.domain, request), layers=layers)
    index = _index(parameter, name) if parameter.repeat else None
    if index is None:
        return parameter
    if index > most:
        raise SpaceError(
            f"{parameter.repeat} is at most {most}, so {parameter.name}_{most} is the last"
            if most
            else f"{parameter.repeat} is 0, so there is no {parameter.name}_1"
        )
    domain = narrow(parameter.layers.get(index, parameter.domain), request)
    return replace(parameter, layers={**parameter.layers, index: domain})


def _set(
    space: Space,
    body: Declared,
    name: str,
    request: Request,
    known: Mapping[str, ParameterInfo],
) -> Space:
    """Give one value to a parameter that the space fixes, bundles or leaves alone."""
    info = find_parameter(name, known)
    if info is None:
        names = [row.name for row in space.parameters]
        hint = did_you_mean(name, names)
        raise SpaceError(hint.removeprefix("; ") if hint else unknown_parameter(name, known))
    value = _single_value(info, request)
    if name in {p.repeat for p in body.parameters} and not (
        type(value) is int and value <= MAX_REPEAT
    ):
        raise SpaceError(f"received {show(value)}; it counts repetitions, at most {MAX_REPEAT}")
    parameters = tuple(_without_bundled(p, name) for p in body.parameters)
    return replace(space, body=Declared(parameters), fixed={**space.fixed, name: value})


def _single_value(info: ParameterInfo, request: Request) -> Value:
    if not request.is_single:
        raise SpaceError("the space does not sample it, so it takes one value: NAME=VALUE")
    value = request.values[0]
    problem = value_problem(info, value)
    if problem and value_problem(info, request.text) is None:
        return request.text  # a choice that only looks like a number
    if problem:
        raise SpaceError(problem)
    return float(value) if info.type == "float" and isinstance(value, int) else value


def _without_bundled(parameter: Declaration, name: str) -> Declaration:
    """Take a value out of every bundle, because an override sets it for all of them."""
    domain = parameter.domain
    if isinstance(domain, Categorical) and domain.bundles is not None:
        bundles = {
            label: {key: value for key, value in values.items() if key != name}
            for label, values in domain.bundles.items()
        }
        return replace(parameter, domain=replace(domain, bundles=bundles))
    if isinstance(domain, Fixed) and domain.bundle is not None:
        bundle = {key: value for key, value in domain.bundle.items() if key != name}
        return replace(parameter, domain=replace(domain, bundle=bundle))
    return parameter


def _apply_to_function(
    space: Space,
    body: PythonBody,
    name: str,
    request: Request,
    known: Mapping[str, ParameterInfo],
) -> Space:
    if name in body.domains:
        for domain in body.domains[name]:
            narrow(domain, request)
        return replace(space, body=replace(body, requests={**body.requests, name: request}))
    info = find_parameter(name, known)
    if info is None:
        hint = did_you_mean(name, body.domains)
        sampled = f"the function samples {listing(body.domains)}{hint}"
        raise SpaceError(f"{unknown_parameter(name, known)}; {sampled}")
    replaced = {**body.replaced, name: _single_value(info, request)}
    return replace(space, body=replace(body, replaced=replaced))


def _without_outsiders(before: Space, after: Space) -> tuple[Space, tuple[str, ...]]:
    """Keep the baselines that the space still holds, with the values that are still sampled."""
    kept: dict[str, Mapping[str, Value]] = {}
    for label, params in before.baselines.items():
        replay = Replay(params)
        with suppress(SpaceError):
            walk = after.body.run(replay, after.fixed)
            replay.check_all_used(besides=walk.held)
            for name, value in walk.held.items():
                Fixed(value).accept(params.get(name))
            kept[label] = walk.params
    dropped = tuple(label for label in before.baselines if label not in kept)
    return replace(after, baselines=kept), dropped
