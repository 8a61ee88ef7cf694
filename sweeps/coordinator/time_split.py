"""What a sweep's time went on."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class TimeSplit(defaultdict[str, float]):
    """Seconds by part: `training`, `proposals`, `records`, `study`, ..."""

    def __init__(self) -> None:
        super().__init__(float)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add to a part the time spent inside, also if that raises."""
        start = time.monotonic()
        try:
            yield
        finally:
            self[part] += time.monotonic() - start
