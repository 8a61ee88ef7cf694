"""Times for people, durations for us: a clock that is set never makes a duration wrong.

The wall clock says when something began and decides nothing; how long it took, and every deadline,
is measured by the monotonic clock.
"""

from __future__ import annotations

import math
import re
import time
from typing import Final

from sweeps.errors import UsageError

_NUMBER: Final = r"(\d+\.?\d*|\.\d+)"
_DURATION: Final = re.compile(rf"(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s?)?")


def seconds_of(duration: float | str) -> float:
    """Return how many seconds a duration is.

    Args:
        duration: Seconds, or a text: `90`, `90s`, `3m`, `1h30m`, `1.5h`.

    Raises:
        UsageError: It is something else, or not a number.
    """
    if isinstance(duration, int | float) and not isinstance(duration, bool):
        if not math.isnan(duration):
            return duration
    elif isinstance(duration, str):
        written = _DURATION.fullmatch(duration.strip())
        if written is not None and any(written.groups()):
            hours, minutes, seconds = (float(part or 0) for part in written.groups())
            return 3600 * hours + 60 * minutes + seconds
    raise UsageError(f"{duration!r} is no duration: write seconds (90) or 90s, 3m, 1h30m")


def now_ms() -> int:
    """Return the wall clock's time in milliseconds since the epoch (UTC)."""
    return time.time_ns() // 1_000_000


class Stopwatch:
    """Times what begins now.

    Attributes:
        started_at: When that was, in milliseconds since the epoch (UTC).
    """

    def __init__(self) -> None:
        self.started_at = now_ms()
        self._began = time.monotonic()

    def now_ms(self) -> int:
        """Return the time since then added to `started_at`: never before it."""
        return self.started_at + round((time.monotonic() - self._began) * 1000)
