"""Which trials of a sweep are best."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from sweeps.records.record import Record


def ranked(records: Iterable[Record], direction: Literal["maximize", "minimize"]) -> list[Record]:
    """Return the records of complete trials, the best first; equal ones by slot."""
    sign = -1 if direction == "maximize" else 1
    final = {record.spec.slot: record for record in records if record.ends_slot}
    complete = [(r.objective, r) for r in final.values() if r.objective is not None]
    return [r for _, r in sorted(complete, key=lambda pair: (sign * pair[0], pair[1].spec.slot))]
