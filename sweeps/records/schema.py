"""The schemas of files: each kind of file is a dataclass, and a file is checked against it.

A file that is torn, garbled or of another shape is damaged. The reader's error names the file, the
problem and the way out. Code that can go on without the file reports the error instead (`heard`).
"""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import json
import math
import os
import re
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
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

from search_spaces.parameters import Value
from sweeps.workspace.files import MOST_PARSED, FormatError, NoFileError, parse_json, read_file
from sweeps.workspace.names import NAME, NAME_IN_WORDS

# Checks JSON values against annotations: a dataclass is the schema of a kind of file.
#
# pydantic was measured in place of this. Of the 1.3 s that 3000 records take it saves 0.15 s, and
# it costs each command 0.12 s, for its import and the schema of a record. The limits and messages
# below would remain (translated into its own), its strict mode takes JSON text only, which bypasses
# the bounds of `parse_json`, and the classes of the contract, which hold arrays, would need its
# settings.


T = TypeVar("T")
_NAMES: Final = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a text",
    type(None): "null",
}  # fmt: skip


_FORMER: Final = {
    "slot": "trial", "ends_slot": "ends_trial", "first_slot": "first_trial", "blocks": "folds",
}  # fmt: skip
"""Former names of members of dataclasses: those of format 1, which is read for ever."""


class NewerError(ValueError):
    """A document has members that this version does not know."""


@dataclasses.dataclass(frozen=True)
class Only:
    """Part of an annotation: limits which values of the type are allowed.

    Attributes:
        allows: Returns whether a value is allowed.
        wanted: The allowed values, in words.
    """

    allows: Callable[[Any], object]
    wanted: str


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
    """Part of the annotation of a mapping: gives the types of some members, where it has them.

    It is for mappings to which an experiment or a later version may add members.

    Attributes:
        kinds: Annotations of members, by name.
        needed: Names of members that it must have.
        former: Today's name of each member that was renamed, by its former name.
    """

    kinds: Mapping[str, Any]
    needed: tuple[str, ...] = ()
    former: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Former:
    """Part of an annotation: maps values that were renamed.

    Attributes:
        names: Today's value, by the former one.
    """

    names: Mapping[str, str]


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
    """Check a JSON value against a type, and return it as one of that type.

    Args:
        kind: The type: a dataclass, `Mapping`, `Sequence`, `tuple[X, ...]`, a union, a `Literal` or
            a plain type, perhaps `Annotated` with `Only`, `Members` or `Former`. Members of a
            dataclass are checked likewise.
        found: A value from `json.loads`.
        where: The name of the value in messages.

    Raises:
        ValueError: The value does not fit; the message says where.
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
        if isinstance(limit, Former):
            value = limit.names.get(value, value)
        elif isinstance(limit, Members):
            value = {limit.former.get(name, name): it for name, it in value.items()}
            if missing := [name for name in limit.needed if name not in value]:
                raise ValueError(f"{where} lacks {', '.join(missing)}")
            for name in limit.kinds.keys() & value.keys():
                value[name] = _shaped(limit.kinds[name], value[name], _within(where, name))
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
    """Whether all values are of plain types; makes no call per value, since histories are long."""
    is_union = get_origin(kind) in (Union, types.UnionType)
    kinds = {*get_args(kind)} if is_union else {kind}
    return kinds <= _NAMES.keys() and {*map(type, values)} <= kinds


def _one_of(kinds: Sequence[Any], found: Any, where: str) -> Any:
    problems = []
    for kind in _named(kinds, found) or kinds:
        try:
            return _shaped(kind, found, where)
        except NewerError:
            raise
        except ValueError as error:
            problems.append(str(error))
    if all(kind in _NAMES for kind in kinds):
        raise _unlike(where, found, " or ".join(_NAMES[kind] for kind in kinds))
    raise ValueError(problems[0])


def _named(kinds: Sequence[Any], found: Any) -> list[Any]:
    """Return the dataclass of a union whose `kind` is what a document says of itself."""
    named = found.get("kind") if isinstance(found, dict) else None
    hints = [(kind, _hints(cast(Any, kind))) for kind in kinds if dataclasses.is_dataclass(kind)]
    return [kind for kind, own in hints if named in get_args(own.get("kind")) and named]


def _object(kind: Any, found: Any, where: str) -> Any:
    if not isinstance(found, dict):
        raise _unlike(where, found, "an object")
    members = {field.name: field for field in dataclasses.fields(kind)}
    found = {n if n in members else _FORMER.get(n, n): value for n, value in found.items()}
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


# Checks that each parameter lies within its distribution, which is kept as Optuna writes it.
#
# It does so without Optuna, so that a command that shows lists and tables need not import it.


_TOLERANCE: Final = 1e-8
"""How far a value may be from a multiple of its step, in steps; Optuna's number."""


@dataclass(frozen=True)
class _Range:
    low: float
    high: float
    log: bool
    step: float | None

    def allows(self, value: Value) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < _TOLERANCE

    @property
    def is_sound(self) -> bool:
        is_finite = -math.inf < self.low <= self.high < math.inf
        return is_finite and (self.step is None or self.step > 0) and (self.low > 0 or not self.log)


@dataclass(frozen=True)
class _Choices:
    choices: tuple[Value, ...]

    def allows(self, value: Value) -> bool:
        # True equals 1, but a table that has one of them does not find the other.
        alike = (one for one in self.choices if isinstance(one, bool) == isinstance(value, bool))
        return value in alike

    @property
    def is_sound(self) -> bool:
        return bool(self.choices)


@dataclass(frozen=True)
class _Stored:
    name: Literal["FloatDistribution", "IntDistribution", "CategoricalDistribution"]
    attributes: _Range | _Choices


def check_sampled(params: Mapping[str, Value], distributions: Mapping[str, str]) -> None:
    """Refuse parameters that cannot have been sampled from their distributions.

    Args:
        params: Values by name.
        distributions: Distribution of each, as the JSON text that Optuna makes of it.

    Raises:
        ValueError: A parameter has no distribution while others have one, lies outside of its own,
            or a distribution is not valid.
    """
    odd = sorted(params.keys() ^ distributions.keys())
    if odd and distributions:
        raise ValueError(f"{odd[0]} has a value or a distribution, and not both")
    for name, text in distributions.items():
        if not _domain(text, name).allows(params[name]):
            raise ValueError(f"{name} is {params[name]!r}, outside of its distribution")


@lru_cache(maxsize=1024)
def _domain(text: str, name: str) -> _Range | _Choices:
    stored = shaped(_Stored, json.loads(text), f"the distribution of {name}")
    domain = stored.attributes
    if isinstance(domain, _Choices) != (stored.name == "CategoricalDistribution"):
        raise ValueError(f"the distribution of {name} has other attributes than its name says")
    if not domain.is_sound:
        raise ValueError(f"the distribution of {name} allows nothing")
    return domain


Loaded = TypeVar("Loaded")
Report = Callable[[str], None]  # takes one line about a damaged file
TORN: Final = ".torn"
"""The ending of the name of a damaged file that was put aside."""


class RecordError(Exception):
    """A record or a file beside it is missing or damaged; the message names the file."""


class DamagedFileError(RecordError):
    """A file beside the records is damaged.

    Attributes:
        path: The file.
        problem: What is wrong with it.
    """

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: damaged ({problem}); {remedy}")
        self.path, self.problem = path, problem


class DamagedRecordWarning(UserWarning):
    """A record or a file beside it is torn or altered; it was left out."""


def warn(line: str) -> None:
    """Report a damaged file as a warning of Python; commands print it."""
    warnings.warn(line, DamagedRecordWarning, stacklevel=4)


def heard(read: Callable[[], Loaded], report: Report = warn) -> Loaded | None:
    """Return the result of `read`; if that raises a RecordError, report it and return None."""
    try:
        return read()
    except RecordError as error:
        report(str(error))
        return None


def json_bytes(document: Any, indent: int | None = None) -> bytes:
    """Return a JSON document as it is stored: UTF-8, with lone surrogates escaped."""
    said = json.dumps(document, indent=indent, ensure_ascii=False)
    return said.encode("utf-8", "backslashreplace")


def read_document(path: Path, parse: Callable[[Any], Loaded], remedy: str) -> Loaded | None:
    """Return the content of a JSON file; None if there is no such file.

    Args:
        path: The file.
        parse: Converts the JSON value, usually by `shaped`.
        remedy: The way out if the file is damaged, for the message.

    Raises:
        DamagedFileError: It is no JSON, or `parse` refuses it with a ValueError.
        RecordError: It cannot be read, or a newer version wrote it.
    """
    try:
        content = read_file(path, MOST_PARSED // 2)
    except FileNotFoundError:
        return None
    except FormatError as error:
        raise DamagedFileError(path, str(error), remedy) from None
    except NoFileError as error:
        raise DamagedFileError(path, error.strerror, remedy) from None
    except OSError as error:
        raise unreadable(path, error) from None
    if not content:
        raise DamagedFileError(path, "it is empty", remedy)
    try:
        return parse(parse_json(content))
    except NewerError as error:
        raise RecordError(f"{path}: {error}; use the version that wrote it") from None
    except ValueError as error:
        raise DamagedFileError(path, str(error), remedy) from None


def unreadable(path: Path, error: OSError) -> RecordError:
    """Return the error for a file or folder that cannot be read."""
    return RecordError(f"{path}: cannot be read ({error.strerror}); have it made readable for you")


def read_numbered(
    folder: Path, name: str, kind: type[Loaded], remedy: str, first: int = 1
) -> Iterator[Loaded]:
    """Yield the contents of numbered JSON files, in order.

    Args:
        folder: The folder of the files.
        name: Name of each file, with `{}` for its number.
        kind: See `shaped`.
        remedy: The way out if one is damaged or missing: none of them can be put aside.
        first: The first number.

    Raises:
        RecordError: One is damaged, or one before a later file is missing.
    """
    for number in range(first, first + len(listed(folder, name.replace("{}", "*")))):
        path = folder / name.format(number)
        try:
            found = read_document(path, partial(shaped, kind), remedy)
        except DamagedFileError as error:
            raise RecordError(str(error)) from None
        if found is None:
            raise RecordError(f"{path}: missing, and there is a later one; {remedy}")
        yield found


def listed(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the paths in a folder whose names fit a pattern, sorted; none without a folder.

    `Path.glob` treats a folder that cannot be read as empty, and makes a path of every name, though
    most do not fit; hence `os.listdir`.

    Raises:
        RecordError: The folder cannot be read.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - see above
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(folder, error) from None
    fits = re.compile(fnmatch.translate(pattern)).match
    return [folder / name for name in sorted(filter(fits, names))]


def put_aside(path: Path) -> Path:
    """Rename a damaged file so that nothing is overwritten, and return its new path."""
    others = (path.with_name(f"{path.name}.{number}{TORN}") for number in itertools.count(2))
    names = itertools.chain([path.with_name(f"{path.name}{TORN}")], others)
    aside = next(name for name in names if not name.exists())
    path.replace(aside)
    return aside
