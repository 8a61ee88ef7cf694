"""Throughput and utilisation between the start of a sweep, when workers fill, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.process_tree import records_of

Span = tuple[float, float]
"""When a trial was begun and when it had ended, seconds since the epoch."""


def spans_of(home: Path, name: str) -> list[Span]:
    """Return the spans of all trials of a sweep, in the order in which they ended.

    Raises:
        RuntimeError: One of them did not complete.
    """
    records = records_of(home, name)
    failed = [record for record in records if record.outcome != "complete"]
    if failed:
        raise RuntimeError(f"trial {failed[0].key}: {failed[0].outcome}, {failed[0].error}")
    spans = [(record.started_at / 1000, record.finished_at / 1000) for record in records]
    return sorted(spans, key=lambda span: span[1])


def steady_range(trials: int, workers: int) -> tuple[int, int]:
    """Return two ends of trials, counted as they end, between which the sweep is in full swing.

    Before, the first trials in flight are proposed all at once: two a worker. After, those of the
    last are worked off, and nothing is proposed any more.

    Raises:
        RuntimeError: There are too few trials.
    """
    in_flight = 2 * workers
    first, last = max(trials // 4, in_flight), trials - 1 - in_flight
    if last <= first:
        raise RuntimeError(f"{trials} trials are too few for {workers} workers: more --trials")
    return first, last


def steady(spans: Sequence[Span], workers: int) -> dict[str, float]:
    """Return trials per second, mean seconds of a trial, and how busy workers were.

    Args:
        spans: Of all trials, in the order in which they ended.
        workers: How many trials could run at once.

    Returns:
        `per_second`, `mean_seconds`, `busy` (share of the workers' time that trials took, in the
        steady part) and `busy_overall` (from the first start to the last end).
    """
    first, last = steady_range(len(spans), workers)
    begin, end = spans[first][1], spans[last][1]
    whole = max(span[1] for span in spans) - min(span[0] for span in spans)
    inside = sum(max(0.0, min(span[1], end) - max(span[0], begin)) for span in spans)
    total = sum(span[1] - span[0] for span in spans)
    return {
        "per_second": (last - first) / (end - begin),
        "mean_seconds": total / len(spans),
        "busy": inside / (workers * (end - begin)),
        "busy_overall": total / (workers * whole),
    }
