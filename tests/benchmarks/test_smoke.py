"""Whether the smoke sweep keeps its limit is judged by medians."""

from __future__ import annotations

import pytest

from benchmarks import smoke
from benchmarks.timing import Timing


@pytest.mark.parametrize(("seconds", "verdict"), [(14.0, "kept"), (14.1, "missed")])
def test_the_limit_follows_the_import_of_the_same_run(seconds, verdict):
    timings = [Timing(smoke.IMPORT, (5.0, 4.0, 9.0)), Timing(smoke.SWEEP, (1.0, seconds, 99.0))]
    result = {"runs": 3, "load": 0.0, "timings": [timing.as_json() for timing in timings]}
    assert smoke.table(result).endswith(f"= 14.0 s (medians): {verdict}")
