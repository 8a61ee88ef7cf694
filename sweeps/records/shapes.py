"""Checks JSON values against annotations: a dataclass is the schema of a kind of file.

pydantic was measured in its place: of a list of 3000 records (1.3 s) it saves 0.15 s, and it costs
0.12 s of each command, to be imported and to build the schema of a record. The limits and the
messages below would remain (translated into its own), strict mode takes JSON text only, past the
bounds of `parse_json`, and the classes of the contract, which hold arrays, would need its settings.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)  # fmt: skip

from sweeps.naming import NAME, NAME_IN_WORDS

T = TypeVar("T")
_NAMES: Final = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a text",
    type(None): "null",
}  # fmt: skip


class NewerError(ValueError):
    """A document has members that this version does not know."""


@dataclasses.dataclass(frozen=True)
class Only:
    """Part of an annotation: which values of the type are allowed.

    Attributes:
        allows: Whether it allows one.
        wanted: What they are, in words.
    """

    allows: Callable[[Any], object]
    wanted: str


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
    """Part of the annotation of a mapping: of what kind some members are, if it has them.

    For what an experiment or a later version may add to.

    Attributes:
        kinds: Annotations by name.
        needed: Names of members that it must have.
    """

    kinds: Mapping[str, Any]
    needed: tuple[str, ...] = ()


def _matching(pattern: str, wanted: str) -> Only:
    return Only(re.compile(pattern).fullmatch, wanted)


Moment = Annotated[int, Only(lambda ms: 0 <= ms < 253_402_300_800_000, "a time, in ms since 1970")]
Count = Annotated[int, Only(lambda n: 0 <= n < 2**31, "a whole number from 0 to 2147483647")]
Line = Annotated[
    str, Only(lambda text: len(text) <= 1000 and text.isprintable(), "one line that can be shown")
]
Digest = Annotated[str, _matching("[0-9a-f]{64}", "a SHA-256 in hexadecimal")]
AttemptKey = Annotated[str, _matching("[0-9]{4,}-[0-9]+", "the key of an attempt")]
SweepName = Annotated[str, Only(NAME.fullmatch, f"a sweep name: {NAME_IN_WORDS}")]
SweepKey = Annotated[str, Only(NAME.fullmatch, "the id of a sweep")]


def shaped(kind: type[T], found: object, where: str = "it") -> T:
    """Return a JSON value as what it is to be: a dataclass, a container of them, a plain value.

    Args:
        kind: What it is to be: a dataclass, `Mapping`, `Sequence`, `tuple[X, ...]`, a union, a
            `Literal` or a plain type, perhaps `Annotated` with `Only` or `Members`. Members of a
            dataclass are checked likewise.
        found: From `json.loads`.
        where: What it is called in messages.

    Raises:
        ValueError: It is something else; says where.
    """
    return cast(T, _shaped(kind, found, where))


def _shaped(kind: Any, found: Any, where: str) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return found
    if origin is Annotated:
        return _limited(kind, found, where)
    if dataclasses.is_dataclass(kind):
        return _object(kind, found, where)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), found, where)
    if origin is not None and origin is not Literal:
        return _container(kind, found, where)
    return _plain(kind, found, where)


def _plain(kind: Any, found: Any, where: str) -> Any:
    allowed = get_args(kind) or (kind,)
    if kind is float and type(found) is int:
        try:
            return float(found)
        except OverflowError:
            raise _unlike(where, found, "a number that can be computed with") from None
    if not (type(found) is kind or (isinstance(found, str) and found in allowed)):
        raise _unlike(where, found, " or ".join(_NAMES.get(one, repr(one)) for one in allowed))
    return found


def _limited(kind: Any, found: Any, where: str) -> Any:
    inner, *limits = get_args(kind)
    value = _shaped(inner, found, where)
    for limit in limits:
        if isinstance(limit, Members):
            if missing := [name for name in limit.needed if name not in value]:
                raise ValueError(f"{where} lacks {', '.join(missing)}")
            for name in limit.kinds.keys() & value.keys():
                _shaped(limit.kinds[name], value[name], _within(where, name))
        elif not limit.allows(value):
            raise _unlike(where, found, limit.wanted)
    return value


def _container(kind: Any, found: Any, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if issubclass(origin, Mapping):
        if not isinstance(found, dict):
            raise _unlike(where, found, "an object")
        if inner[0] is not str:
            for key in found:
                _shaped(inner[0], key, f"a name in {where}")
        if _are_plain(inner[1], found.values()):
            return found
        return {key: _shaped(inner[1], it, _within(where, key)) for key, it in found.items()}
    if not isinstance(found, list):
        raise _unlike(where, found, "a list")
    if _are_plain(inner[0], found):
        return tuple(found) if origin is tuple else found
    made = [_shaped(inner[0], value, f"{where}[{n}]") for n, value in enumerate(found)]
    return tuple(made) if origin is tuple else made


def _are_plain(kind: Any, values: Iterable[Any]) -> bool:
    """Whether all are of a plain type, found without a call a value: a history is long."""
    kinds = {kind} if kind in _NAMES else {*get_args(kind)}
    return kinds <= _NAMES.keys() and {*map(type, values)} <= kinds


def _one_of(kinds: Sequence[Any], found: Any, where: str) -> Any:
    problems = []
    for kind in kinds:
        try:
            return _shaped(kind, found, where)
        except NewerError:
            raise
        except ValueError as error:
            problems.append(str(error))
    if all(kind in _NAMES for kind in kinds):
        raise _unlike(where, found, " or ".join(_NAMES[kind] for kind in kinds))
    raise ValueError(problems[0])


def _object(kind: Any, found: Any, where: str) -> Any:
    if not isinstance(found, dict):
        raise _unlike(where, found, "an object")
    members = {field.name: field for field in dataclasses.fields(kind)}
    needed = [
        name
        for name, field in members.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in needed if name not in found]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    hints = _hints(kind)
    known = {n: _shaped(hints[n], found[n], _within(where, n)) for n in members if n in found}
    strange = [name for name in found if name not in members]
    if strange:
        raise NewerError(f"{where} has {', '.join(strange)}, which this version does not know")
    return kind(**known)


def _within(where: str, member: str) -> str:
    return member if where == "it" else f"{where}.{member}"


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _unlike(where: str, found: Any, wanted: str) -> ValueError:
    text = repr(found)
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return ValueError(f"{where} is {shown}, which is not {wanted}")
