"""Times and durations: setting the system's clock never makes a duration wrong.

The wall clock says only when something began, for people to read. The monotonic clock measures
durations and deadlines.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sweeps.errors import UsageError

_NUMBER: Final = r"(\d+\.?\d*|\.\d+)"
_DURATION: Final = re.compile(rf"(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s?)?")


def seconds_of(duration: float | str) -> float:
    """Return a duration, a number or a text (`90s`, `3m`, `1h30m`, `1.5h`), in seconds.

    Raises:
        UsageError: It is something else, or NaN.
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
    """Measures the time since its creation.

    Attributes:
        started_at: Time of its creation, in milliseconds since the epoch (UTC).
    """

    def __init__(self) -> None:
        self.started_at = now_ms()
        self._began = time.monotonic()

    def now_ms(self) -> int:
        """Return `started_at` plus the time elapsed since, so never an earlier time."""
        return self.started_at + round(self.seconds * 1000)

    @property
    def seconds(self) -> float:
        """The time elapsed since its creation, in seconds."""
        return time.monotonic() - self._began


command: Stopwatch | None = None
"""Begins with the process of a command, before it imports what takes its time."""


@contextmanager
def repeated(action: Callable[[], None], seconds: float, name: str) -> Iterator[None]:
    """Call an action every so many seconds in a thread of that name, until the block ends."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds):
            action()

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
