"""JSON files beside the records: one reader for all of them, which checks what they hold.

A file that is torn, garbled or not what it is to be is damaged: the reader says which one, what is
wrong with it and the way out. Whoever can go on without it says that once (`heard`).
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sweeps.records.bounds import MOST_PARSED, FormatError, NoFileError, parse_json, read_file
from sweeps.records.shapes import NewerError, shaped

T = TypeVar("T")
Report = Callable[[str], None]  # takes one line about a damaged file
TORN: Final = ".torn"
"""How the name ends of what was damaged and was put aside."""


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
    """Return what to say of a file or folder that cannot be read."""
    return RecordError(f"{path}: cannot be read ({error.strerror}); have it made readable for you")


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

    To `Path.glob` a folder that cannot be read is an empty one; `os` makes no path of what does
    not fit, which is most of it.

    Raises:
        RecordError: It cannot be read.
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
    """Keep a damaged file under another name, over none that was put aside before; return it."""
    others = (path.with_name(f"{path.name}.{number}{TORN}") for number in itertools.count(2))
    names = itertools.chain([path.with_name(f"{path.name}{TORN}")], others)
    aside = next(name for name in names if not name.exists())
    path.replace(aside)
    return aside
