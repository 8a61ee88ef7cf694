"""Damaged files: their errors, and how they are named; whether values fit their distributions.

A file that is torn, garbled or of another form is damaged. The reader's error names the file, the
problem and the way out. Code that can go on without the file reports the error instead (`heard`).
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from search_spaces.parameters import Value
from sweeps.workspace.files import FormatError, NoFileError, parse_json

Read = TypeVar("Read")
Report = Callable[[str], None]  # takes one line about a damaged file
TORN: Final = ".torn"
"""The ending of the name of a damaged file that was put aside."""


class RecordError(Exception):
    """A journal or a file beside it is missing or damaged; the message names the file."""


class DamagedFileError(RecordError):
    """A file beside the journal is damaged.

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


def heard(read: Callable[[], Read], report: Report = warn) -> Read | None:
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


# Distributions are kept as Optuna writes them, and checked without Optuna: a command that shows
# lists and tables need not import it.


_TOLERANCE: Final = 1e-8
"""How far a value may be from a multiple of its step, in steps; Optuna's number."""


class _Range(Struct, frozen=True, forbid_unknown_fields=True):
    low: float
    high: float
    log: bool
    step: float | None

    def __post_init__(self) -> None:
        is_finite = -math.inf < self.low <= self.high < math.inf
        # Optuna's decimals tell no more steps apart.
        is_stepped = self.step is None or 0 < self.high - self.low + self.step < 2**53 * self.step
        if not (is_finite and is_stepped and (self.low > 0 or not self.log)):
            raise ValueError("it allows nothing")

    def allows(self, value: Value) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < _TOLERANCE


class _Choices(Struct, frozen=True, forbid_unknown_fields=True):
    choices: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError("it allows nothing")

    def allows(self, value: Value) -> bool:
        # True equals 1, but a table that has one of them does not find the other.
        alike = (one for one in self.choices if isinstance(one, bool) == isinstance(value, bool))
        return value in alike


class _Stored(Struct, frozen=True, forbid_unknown_fields=True, tag_field="name"):
    """A distribution as Optuna writes it."""


class _Float(_Stored, frozen=True, tag="FloatDistribution"):
    attributes: _Range


class _Int(_Stored, frozen=True, tag="IntDistribution"):
    attributes: _Range


class _Categorical(_Stored, frozen=True, tag="CategoricalDistribution"):
    attributes: _Choices


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
        try:
            domain = _domain(text)
        except ValueError as error:
            raise ValueError(f"the distribution of {name} is not valid: {error}") from None
        if not domain.allows(params[name]):
            raise ValueError(f"{name} is {params[name]!r}, outside of its distribution")


@lru_cache(maxsize=1024)
def _domain(text: str) -> _Range | _Choices:
    stored = msgspec.convert(parse_json(text.encode()), _Float | _Int | _Categorical)
    return stored.attributes
