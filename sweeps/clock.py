"""Times for people, durations for us: a clock that is set never makes a duration wrong.

The wall clock says when something began and decides nothing; how long it took, and every deadline,
is measured by the monotonic clock.
"""

from __future__ import annotations

import time


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
