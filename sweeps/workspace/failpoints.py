"""Fail-points: named places, before and after every write, at which a test can end this process.

    SWEEPS_FAILPOINT=name[:n][:kill|raise|pause]

The n-th time (default: the first) that the process reaches the point of that name, it kills itself,
as a power cut would (`kill`, the default), raises an `OSError`, as a failing disk would (`raise`),
or stops until it is continued (`pause`). Without the variable nothing happens.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import signal
from functools import cache
from typing import Final

from sweeps.errors import UsageError

VARIABLE: Final = "SWEEPS_FAILPOINT"
_FORM: Final = re.compile(r"([^:]+)(?::([1-9][0-9]*))?(?::(kill|raise|pause))?")


def reached(name: str) -> None:
    """Say that the process is at the fail-point `name`.

    Raises:
        UsageError: The environment variable is not valid.
        OSError: A test asked for it at this point (`raise`).
    """
    armed = _armed()
    if armed is None:
        return
    wanted, number, action, passages = armed
    if name != wanted or next(passages) != number:
        return
    if action == "raise":
        raise OSError(errno.EIO, f"fail-point {os.environ[VARIABLE]}")
    os.kill(os.getpid(), signal.SIGSTOP if action == "pause" else signal.SIGKILL)


@cache
def _armed() -> tuple[str, int, str, itertools.count[int]] | None:
    """Return the point, at which of its passages something happens, what, and their count."""
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    form = _FORM.fullmatch(text)
    if form is None:
        raise UsageError(f"{VARIABLE}={text!r}: write name[:n][:kill|raise|pause], n from 1 on")
    return form[1], int(form[2] or 1), form[3] or "kill", itertools.count(1)
