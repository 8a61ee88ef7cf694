"""What a sweep's time went on."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class TimeSplit(defaultdict[str, float]):
    """Seconds by part: `training`, `proposals`, `records`, `study`, ...; all threads together."""

    def __init__(self) -> None:
        super().__init__(float)
        self._lock = threading.Lock()

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add to a part the time spent inside, also if that raises."""
        start = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self[part] += time.monotonic() - start
