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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)  # fmt: skip

from search_spaces.parameters import Value
from sweeps.workspace.files import (
    MOST_PARSED,
    FormatError,
    NoFileError,
    parse_json,
    read_file,
    write_atomically,
)
from sweeps.workspace.names import NAME, NAME_IN_WORDS

# pydantic was measured in place of this, when each value was checked by a look at its type: it
# saved a ninth of the time of reading records, which functions made once (`_reader`) save more than
# twice, and its import costs each command a tenth of a second. The limits and messages
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
    return cast(T, _reader(kind)(found, where))


# A home has thousands of records of one kind. So a type is looked at once, and becomes a function
# that reads values of it. Names of members are put together only for a message.


_Where = str | tuple["_Where", str]
"""The name of a value, or of what it is a member of, and its own name or index there."""
_A_NAME: Final = "(a name)"
"""In place of a member's name: a name in the mapping itself."""
_Reader = Callable[[Any, _Where], Any]
_readers: Final[dict[int, tuple[Any, _Reader]]] = {}
"""By the id of a type, which is kept here so that no other one gets that id."""


def _reader(kind: Any) -> _Reader:
    """Return what checks a value against a type, and returns it as one of that type."""
    known = _readers.get(id(kind))
    if known is None:
        known = _readers[id(kind)] = (kind, _made(kind))
    return known[1]


def _made(kind: Any) -> _Reader:
    origin = get_origin(kind)
    if kind is Any:
        return lambda found, where: found
    if origin is Annotated:
        return _limited(kind)
    if dataclasses.is_dataclass(kind):
        return _object(kind)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind))
    if origin is not None and origin is not Literal:
        return _container(kind)
    return _plain(kind)


def _plain(kind: Any) -> _Reader:
    allowed = get_args(kind) or (kind,)
    wanted = " or ".join(_NAMES.get(one, repr(one)) for one in allowed)

    def read(found: Any, where: _Where) -> Any:
        if type(found) is kind or (isinstance(found, str) and found in allowed):
            return found
        if kind is float and type(found) is int:
            try:
                return float(found)
            except OverflowError:
                raise _unlike(where, found, "a number that can be computed with") from None
        raise _unlike(where, found, wanted)

    return read


def _limited(kind: Any) -> _Reader:
    inner, *limits = get_args(kind)
    read_inner = _reader(inner)

    def read(found: Any, where: _Where) -> Any:
        value = read_inner(found, where)
        for limit in limits:
            if isinstance(limit, Former):
                value = limit.names.get(value, value)
            elif isinstance(limit, Members):
                value = {limit.former.get(name, name): it for name, it in value.items()}
                if missing := [name for name in limit.needed if name not in value]:
                    raise ValueError(f"{_said(where)} lacks {', '.join(missing)}")
                for name in limit.kinds.keys() & value.keys():
                    value[name] = _reader(limit.kinds[name])(value[name], (where, name))
            elif not limit.allows(value):
                raise _unlike(where, found, limit.wanted)
        return value

    return read


def _container(kind: Any) -> _Reader:
    origin, inner = get_origin(kind), get_args(kind)
    if issubclass(origin, Mapping):
        return _mapping(*inner)
    read_item, plain = _reader(inner[0]), _plain_kinds(inner[0])
    make = tuple if origin is tuple else list

    def read(found: Any, where: _Where) -> Any:
        if not isinstance(found, list):
            raise _unlike(where, found, "a list")
        if plain and {*map(type, found)} <= plain:
            return make(found)
        return make(read_item(value, (where, f"[{n}]")) for n, value in enumerate(found))

    return read


def _mapping(of_names: Any, of_values: Any) -> _Reader:
    read_name = None if of_names is str else _reader(of_names)
    read_value, plain = _reader(of_values), _plain_kinds(of_values)

    def read(found: Any, where: _Where) -> Any:
        if not isinstance(found, dict):
            raise _unlike(where, found, "an object")
        if read_name is not None:
            for key in found:
                read_name(key, (where, _A_NAME))
        if plain and {*map(type, found.values())} <= plain:
            return found
        return {key: read_value(it, (where, key)) for key, it in found.items()}

    return read


def _plain_kinds(kind: Any) -> set[Any] | None:
    """Return the plain types that a type allows, for one look at many values; None if not all are.

    Histories are long.
    """
    kinds = {*get_args(kind)} if get_origin(kind) in (Union, types.UnionType) else {kind}
    return kinds if kinds <= _NAMES.keys() else None


def _one_of(kinds: Sequence[Any]) -> _Reader:
    readers = {id(kind): _reader(kind) for kind in kinds}
    hints = [(kind, _hints(cast(Any, kind))) for kind in kinds if dataclasses.is_dataclass(kind)]
    by_kind = [(kind, get_args(own.get("kind"))) for kind, own in hints]
    plain = {*kinds} if all(kind in _NAMES for kind in kinds) else None
    wanted = " or ".join(_NAMES[kind] for kind in kinds) if plain else ""

    def read(found: Any, where: _Where) -> Any:
        if plain and type(found) in plain:
            return found
        # The dataclass whose `kind` is what a document says of itself.
        named = found.get("kind") if isinstance(found, dict) else None
        problems = []
        for kind in [kind for kind, names in by_kind if named and named in names] or kinds:
            try:
                return readers[id(kind)](found, where)
            except NewerError:
                raise
            except ValueError as error:
                problems.append(str(error))
        if plain:
            raise _unlike(where, found, wanted)
        raise ValueError(problems[0])

    return read


def _object(kind: Any) -> _Reader:
    members = {field.name: field for field in dataclasses.fields(kind)}
    needed = [
        name
        for name, field in members.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    readers: dict[str, _Reader] = {}  # made by the first value: a type may be a part of itself

    def read(found: Any, where: _Where) -> Any:
        if not isinstance(found, dict):
            raise _unlike(where, found, "an object")
        if not readers:
            readers.update({name: _reader(hint) for name, hint in _hints(kind).items()})
        found = {n if n in members else _FORMER.get(n, n): value for n, value in found.items()}
        missing = [name for name in needed if name not in found]
        if missing:
            raise ValueError(f"{_said(where)} lacks {', '.join(missing)}")
        known = {n: readers[n](found[n], (where, n)) for n in members if n in found}
        if len(known) < len(found):
            strange = ", ".join(name for name in found if name not in members)
            raise NewerError(f"{_said(where)} has {strange}, which this version does not know")
        return kind(**known)

    return read


def _said(where: _Where) -> str:
    """Return the name of a value as a message has it."""
    if isinstance(where, str):
        return where
    above, name = _said(where[0]), where[1]
    if name is _A_NAME:
        return f"a name in {above}"
    if name.startswith("["):
        return f"{above}{name}"
    return name if above == "it" else f"{above}.{name}"


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _unlike(where: _Where, found: Any, wanted: str) -> ValueError:
    text = repr(found)
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return ValueError(f"{_said(where)} is {shown}, which is not {wanted}")


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
        # Optuna's decimals tell no more steps apart.
        is_stepped = self.step is None or 0 < self.high - self.low + self.step < 2**53 * self.step
        return is_finite and is_stepped and (self.low > 0 or not self.log)


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
    stored = shaped(_Stored, parse_json(text.encode()), f"the distribution of {name}")
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
        with said_of(path):
            content = read_file(path, MOST_PARSED // 2)
        if not content:
            raise FormatError("it is empty")
        return parse(parse_json(content))
    except FileNotFoundError:
        return None
    except NewerError as error:
        raise RecordError(f"{path}: {error}; use the version that wrote it") from None
    except ValueError as error:
        raise DamagedFileError(path, str(error), remedy) from None


@dataclass(frozen=True)
class SideFile(Generic[Loaded]):
    """A kind of file beside the records of a sweep: one JSON document, written whole.

    Attributes:
        name: Its name in the folder of the sweep.
        kind: Its schema, see `shaped`.
        remedy: The way out if it is damaged, for the message.
        what: First part of the names of its fail-points.
    """

    name: str
    kind: type[Loaded]
    remedy: str
    what: str = "sweep"

    def read(self, folder: Path) -> Loaded | None:
        """Return its content; None without it.

        Raises:
            RecordError: It is damaged.
        """
        return read_document(folder / self.name, partial(shaped, self.kind), self.remedy)

    def heard(self, folder: Path, report: Report = warn) -> Loaded | None:
        """Return its content; None without it, or if it is damaged, which is reported."""
        return heard(partial(self.read, folder), report)

    def write(self, folder: Path, content: Loaded) -> None:
        """Replace its content.

        Raises:
            StoreError: It cannot be written.
        """
        is_several = isinstance(content, tuple)
        document = [*map(_as_json, cast(Any, content))] if is_several else _as_json(content)
        write_atomically(folder / self.name, json_bytes(document, indent=1), self.what)


def _as_json(content: Any) -> Any:
    is_ours = dataclasses.is_dataclass(content) and not isinstance(content, type)
    return dataclasses.asdict(content) if is_ours else content


def unreadable(path: Path, error: OSError) -> RecordError:
    """Return the error for a file or folder that cannot be read."""
    return RecordError(f"{path}: cannot be read ({error.strerror}); have it made readable for you")


@contextmanager
def said_of(path: Path) -> Iterator[None]:
    """Make errors of reading name the file; a missing file stays a FileNotFoundError."""
    try:
        yield
    except NoFileError as error:
        raise FormatError(error.strerror) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(path, error) from None


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
