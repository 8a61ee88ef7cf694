"""Tells a store that is away (wait, try again) from one that refuses (a mistake or a defect)."""

from __future__ import annotations

from typing import Final

from sweeps.errors import StoreError
from sweeps.tracking.address import redacted

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


def is_outage(error: BaseException) -> bool:
    """Whether the same call may well succeed later."""
    refusal = getattr(getattr(error, "response", None), "status_code", 0)
    if 400 <= refusal < 500 and refusal not in _TRY_LATER:  # a file that the server does not want
        return False
    # OSError: timeouts, refused connections, a full disk. StoreError: a database that is locked,
    # full or damaged, and may have been seen to meanwhile.
    if isinstance(error, OSError | StoreError):
        return True
    return getattr(error, "error_code", None) in _OUTAGE_CODES


def one_line(error: BaseException) -> str:
    """Return the gist of an error: MLflow's messages run over pages and hold whole requests."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    words = " ".join(redacted(word) if "://" in word else word for word in first.split())
    text = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
