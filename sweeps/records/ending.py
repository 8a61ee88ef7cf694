"""How a start of a sweep ended, noted beside its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from sweeps.records.documents import json_bytes
from sweeps.records.shapes import Line

SweepStatus = Literal["FINISHED", "KILLED", "FAILED"]


@dataclass(frozen=True)
class Ending:
    """How the last start of a sweep ended; with the records, all that its parent run says.

    Attributes:
        status: FINISHED, KILLED by a signal (or found dead), or FAILED.
        stopped_by: What ended it before its total, None if nothing did.
        seconds: Wall time of that start.
        time_split: What they were spent on, see `sweeps.report.summary.Summary`.
        error: What ended it, if that was an exception.
        failure_cause: Why so many trials in a row failed that this ended it.
    """

    status: SweepStatus
    stopped_by: Line | None
    seconds: float = 0.0
    time_split: Mapping[Line, float] = field(default_factory=dict)
    error: str | None = None
    failure_cause: str | None = None

    def to_json(self) -> bytes:
        """Return it as a JSON document."""
        return json_bytes(asdict(self))
