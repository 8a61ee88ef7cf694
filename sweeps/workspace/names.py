"""Names that people type: which names a sweep may have, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sweeps.errors import UsageError

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def check_sweep_name(name: str) -> str:
    """Return `name` if it may name a sweep.

    Raises:
        UsageError: It is empty, too long, or has characters that break file names and filters.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"sweep name {name!r}: use 1 to 80 letters, digits, '.', '_' or '-', beginning with a "
            "letter or digit"
        )
    return name


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return `name-2`, `name-3`, ...: the first that is not taken."""
    used = set(taken)
    return next(c for n in range(2, len(used) + 3) if (c := f"{name}-{n}") not in used)


def trial_of(text: str) -> tuple[str, int | None]:
    """Return sweep and trial number of `NAME` or `NAME:7`; a trial of None means the best.

    Raises:
        UsageError: No number follows the colon.
    """
    name, colon, number = text.partition(":")
    if colon and not (number.isdecimal() and len(number) < 10):
        raise UsageError(f"compare {text!r}: write NAME, or NAME:7 for trial 7 of it")
    return name, int(number) if colon else None


def check_text(what: str, text: str) -> str:
    """Return a text that can be stored and sent anywhere; the message calls it `what`.

    Raises:
        UsageError: It is not UTF-8: of such a command line, Python keeps bytes as half characters.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{what} {text!r}: character {error.start + 1} is not UTF-8; type it where the shell "
            "and the terminal use UTF-8"
        ) from None
    return text
