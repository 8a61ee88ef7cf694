"""Damaged files: their errors, and how they are named; whether values fit their distributions.

A file that is torn, garbled or of another form is damaged. The reader's error names the file, the
problem and the way out. Code that can go on without the file reports the error instead (`heard`).
"""

from __future__ import annotations

import fnmatch
import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

from search_spaces.errors import SpaceError
from search_spaces.parameters import Value
from search_spaces.values import Categorical, Float, Int
from sweeps.workspace.files import FormatError, NoFileError, parse_json

Read = TypeVar("Read")
Report = Callable[[str], None]  # takes one line about a damaged file
TORN: Final = ".torn"
"""The ending of the name of a damaged file that was put aside."""


class RecordError(Exception):
    """A journal or a file beside it is missing or damaged; the message names the file."""


class DamagedFileError(RecordError):
    """A file beside the journal is damaged."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: damaged ({problem}); {remedy}")
        self.path, self.problem = path, problem


class DamagedRecordWarning(UserWarning):
    """A record or a file beside it is torn or altered; it was left out."""


def warn(line: str) -> None:
    """Report a damaged file as a warning of Python; commands print it."""
    warnings.warn(line, DamagedRecordWarning, stacklevel=4)


def heard(read: Callable[[], Read], report: Report = warn) -> Read | None:
    """Return the result of `read`; if that raises a RecordError, report it and return None."""
    try:
        return read()
    except RecordError as error:
        report(str(error))
        return None


def json_bytes(document: Any, indent: int | None = None) -> bytes:
    """Return a JSON document as it is stored: UTF-8, with lone surrogates escaped."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")


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


def listed(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the paths in a folder whose names fit a pattern, sorted; none without a folder.

    `Path.glob` treats a folder that cannot be read as empty, and makes a path of every name.

    Raises:
        RecordError: The folder cannot be read.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - see above
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(folder, error) from None
    return [folder / name for name in sorted(fnmatch.filter(names, pattern))]


def put_aside(path: Path) -> Path:
    """Rename a damaged file so that nothing is overwritten, and return its new path."""
    aside, number = path.with_name(f"{path.name}{TORN}"), 2
    while aside.exists():
        aside, number = path.with_name(f"{path.name}.{number}{TORN}"), number + 1
    return path.replace(aside)


def check_sampled(params: Mapping[str, Value], distributions: Mapping[str, str]) -> None:
    """Refuse parameters that cannot have been sampled from their distributions.

    A distribution is the JSON text that Optuna makes of it.

    Raises:
        ValueError: A parameter has no distribution while others have one, lies outside of its own,
            or a distribution is not valid.
    """
    odd = sorted(params.keys() ^ distributions.keys())
    if odd and distributions:
        raise ValueError(f"{odd[0]} has a value or a distribution, and not both")
    for name, text in distributions.items():
        try:
            domain = _domain(text)
        except (ValueError, TypeError, LookupError) as error:
            raise ValueError(f"the distribution of {name} is not valid: {error}") from None
        try:
            domain.accept(params[name])
        except SpaceError:
            raise ValueError(f"{name} is {params[name]!r}, outside of its distribution") from None


_DOMAINS: Final = {
    "FloatDistribution": Float, "IntDistribution": Int, "CategoricalDistribution": Categorical,
}  # fmt: skip


@lru_cache(maxsize=1024)
def _domain(text: str) -> Float | Int | Categorical:
    """Return a distribution of Optuna as the domain of a space, whose attributes it has."""
    stored = parse_json(text.encode())
    domain: Float | Int | Categorical = _DOMAINS[stored["name"]](**stored["attributes"])
    return domain
