"""JSON files beside the records: one reader for all of them, which checks what they hold.

A file that is torn, garbled or not what it is to be is damaged: the reader says which one, what is
wrong with it and the way out. Whoever can go on without it says that once (`heard`).
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Report = Callable[[str], None]  # takes one line about a damaged file
TORN: Final = ".torn"
"""How the name ends of what was damaged and was put aside."""
_NAMES: Final = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a text",
    type(None): "null",
}  # fmt: skip


class RecordError(Exception):
    """A record or a file beside it is missing or damaged; the message names the file."""


class DamagedFileError(RecordError):
    """A file beside the records is not what it is to be.

    Attributes:
        path: Which.
    """

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: damaged ({problem}); {remedy}")
        self.path = path


class DamagedRecordWarning(UserWarning):
    """A record or a file beside it is torn or altered; it was left out."""


def warn(line: str) -> None:
    """Report a damaged file as a warning of Python; commands print it."""
    warnings.warn(line, DamagedRecordWarning, stacklevel=4)


def heard(read: Callable[[], T], report: Report = warn) -> T | None:
    """Return what is read; None where it is damaged, which is reported."""
    try:
        return read()
    except RecordError as error:
        report(str(error))
        return None


def json_bytes(document: Any, indent: int | None = None) -> bytes:
    """Return a JSON document as it is stored; any text can be, half a surrogate pair escaped."""
    said = json.dumps(document, indent=indent, ensure_ascii=False)
    return said.encode("utf-8", "backslashreplace")


class _NewerError(ValueError):
    """A document has members that this version does not know."""


def read_document(path: Path, parse: Callable[[Any], T], remedy: str) -> T | None:
    """Return what a JSON file says, None if there is no such file.

    Args:
        path: The file.
        parse: Makes what it says of the JSON value, by `shaped` as a rule.
        remedy: The way out where it is damaged.

    Raises:
        DamagedFileError: It is no JSON, or not what `parse` expects.
        RecordError: It cannot be read, or a newer version wrote it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(
            f"{path}: cannot be read ({error.strerror}); have it made readable for you"
        ) from None
    if not content:
        raise DamagedFileError(path, "it is empty", remedy)
    try:
        return parse(json.loads(content.decode("utf-8")))
    except _NewerError as error:
        raise RecordError(f"{path}: {error}; use the version that wrote it") from None
    except RecursionError:
        raise DamagedFileError(path, "nested without an end", remedy) from None
    except ValueError as error:
        raise DamagedFileError(path, str(error), remedy) from None


def read_numbered(
    folder: Path, name: str, kind: type[T], remedy: str, first: int = 1
) -> Iterator[T]:
    """Yield what numbered JSON files say, in order.

    Args:
        folder: Where they lie.
        name: Of each, with `{}` for its number.
        kind: See `shaped`.
        remedy: The way out where one is damaged or missing: none of them can be put aside.
        first: The first number.

    Raises:
        RecordError: One is damaged, or missing before a later one.
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
    """Return what lies in a folder under names that fit a pattern, by name; none without a folder.

    To `Path.glob` a folder that cannot be read is an empty one.

    Raises:
        RecordError: It cannot be read.
    """
    try:
        found = [path for path in folder.iterdir() if fnmatchcase(path.name, pattern)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RecordError(
            f"{folder}: cannot be read ({error.strerror}); have it made readable for you"
        ) from None
    return sorted(found)


def put_aside(path: Path) -> Path:
    """Keep a damaged file under another name, over none that was put aside before; return it."""
    others = (path.with_name(f"{path.name}.{number}{TORN}") for number in itertools.count(2))
    names = itertools.chain([path.with_name(f"{path.name}{TORN}")], others)
    aside = next(name for name in names if not name.exists())
    path.replace(aside)
    return aside


def shaped(kind: type[T], found: object, where: str = "it") -> T:
    """Return a JSON value as what it is to be: a dataclass, a container of them, a plain value.

    Args:
        kind: What it is to be: a dataclass, `Mapping`, `Sequence`, `tuple[X, ...]`, a union, a
            `Literal` or a plain type. Members of a dataclass are checked likewise.
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
    if dataclasses.is_dataclass(kind):
        return _object(kind, found, where)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), found, where)
    if origin is not None and origin is not Literal:
        return _container(kind, found, where)
    allowed = get_args(kind) or (kind,)
    is_plain = type(found) is kind or (kind is float and type(found) is int)
    if not (is_plain or (isinstance(found, str) and found in allowed)):
        raise _unlike(where, found, " or ".join(_NAMES.get(one, repr(one)) for one in allowed))
    return found


def _container(kind: Any, found: Any, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if issubclass(origin, Mapping):
        if not isinstance(found, dict):
            raise _unlike(where, found, "an object")
        return {key: _shaped(inner[1], it, _within(where, key)) for key, it in found.items()}
    if not isinstance(found, list):
        raise _unlike(where, found, "a list")
    made = [_shaped(inner[0], value, f"{where}[{n}]") for n, value in enumerate(found)]
    return tuple(made) if origin is tuple else made


def _one_of(kinds: Sequence[Any], found: Any, where: str) -> Any:
    problems = []
    for kind in kinds:
        try:
            return _shaped(kind, found, where)
        except _NewerError:
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
        raise _NewerError(f"{where} has {', '.join(strange)}, which this version does not know")
    return kind(**known)


def _within(where: str, member: str) -> str:
    return member if where == "it" else f"{where}.{member}"


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _unlike(where: str, found: Any, wanted: str) -> ValueError:
    text = repr(found)
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return ValueError(f"{where} is {shown}, which is not {wanted}")
