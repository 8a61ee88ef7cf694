"""Turns text into a value by the YAML 1.2 core schema: in space files, expressions and `--set`.

YAML 1.1, which PyYAML follows by itself, reads `1e-4` as text, `no` as false and `010` as eight.
Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import math
import re
from typing import TypeGuard

from search_spaces.errors import SpaceError
from search_spaces.parameters import Value

_WORDS: dict[str, Value] = {"": None, "~": None}
for _word, _value in (("null", None), ("true", True), ("false", False)):
    _WORDS.update({_word: _value, _word.title(): _value, _word.upper(): _value})

_INTEGER = re.compile(r"[-+]?[0-9]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|[-+]?(nan|inf)", re.IGNORECASE)
_MAX_DIGITS = 300


def parse_scalar(text: str) -> Value:
    """Return the value an unquoted text stands for.

    Raises:
        SpaceError: The text is a number that is not finite, or too long to be one.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise SpaceError(f"received {text}; only finite numbers are allowed")
    is_written_as_number = _FLOAT.fullmatch(text) or _HEXADECIMAL.fullmatch(text)
    if is_written_as_number and len(text) > _MAX_DIGITS:
        raise SpaceError(f"received a number of {len(text)} characters; at most {_MAX_DIGITS}")
    if _INTEGER.fullmatch(text):
        return int(text)
    if _HEXADECIMAL.fullmatch(text):
        number: int | float = int(text, 16)
        if not is_number(number):
            raise SpaceError(f"received {text[:20]}...; only numbers up to 1e308 are allowed")
        return number
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise SpaceError(f"received {text}; only finite numbers are allowed")
        return number
    return text


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a finite int or float; a bool is neither."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond what a float can hold
        return False


def same(left: object, right: object) -> bool:
    """Whether two values are equal and true is not taken for 1."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right
