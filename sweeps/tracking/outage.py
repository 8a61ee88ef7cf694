"""Tells a store that is away (wait, try again) from one that refuses (a mistake or a defect)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sweeps.errors import StoreError
from sweeps.workspace.addresses import in_text

_OUTAGE_CODES: Final = frozenset(
    {
        "TEMPORARILY_UNAVAILABLE",
        "INTERNAL_ERROR",
        "REQUEST_LIMIT_EXCEEDED",
        "DEADLINE_EXCEEDED",
        "ABORTED",
    }
)
"""MLflow's codes for 429, 5xx, a locked database and a connection that failed."""
_TRY_LATER: Final = frozenset({408, 425, 429})
_AUTOFLUSH: Final = re.compile(r"\(raised as a result of Query-invoked autoflush;[^)]*\)\s*")
"""Text that SQLAlchemy puts on the line before the cause of some errors."""


class IncompleteError(Exception):
    """A part of a run could not be made; the rest is written, or is in `files`.

    Trying again at once does not help. The part stays pending, and `sweeps sync` makes it once the
    cause is mended.
    """

    def __init__(
        self, what: str, cause: BaseException, files: Mapping[str, bytes] | None = None
    ) -> None:
        """Say what is missing and why; `files` are those of the run that could be made."""
        super().__init__(f"{what}: {one_line(cause)}")
        self.files = files


def is_outage(error: BaseException) -> bool:
    """Whether the same call may well succeed later."""
    refusal = getattr(getattr(error, "response", None), "status_code", 0)
    if 400 <= refusal < 500 and refusal not in _TRY_LATER:  # a file that the server does not want
        return False
    # OSError: timeouts, refused connections, a full disk. StoreError: a database that is locked,
    # full or damaged, which somebody may mend meanwhile.
    if isinstance(error, OSError | StoreError):
        return True
    return getattr(error, "error_code", None) in _OUTAGE_CODES


def one_line(error: BaseException) -> str:
    """Return an error in one line; MLflow's messages fill pages and hold whole requests."""
    said = _AUTOFLUSH.sub("", str(error))
    first = next((line.strip() for line in said.splitlines() if line.strip()), "")
    words = in_text(first)
    kind = "" if isinstance(error, IncompleteError) else type(error).__name__
    text = ": ".join(part for part in (kind, words) if part)
    return text if len(text) <= 300 else text[:297] + "..."
