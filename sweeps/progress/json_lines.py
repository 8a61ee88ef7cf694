"""One JSON object an event on stdout, for scripts.

Every object has `event` and `time` (milliseconds since the epoch, UTC). The others by event:

- `started`: `id`, `name`, `metric`, `direction` (of the first objective), `objectives`, `total`,
  `done`
- `note`: `text`
- `trial_started`: `slot`, `attempt`, `seed`, `params`
- `epoch`: `slot`, `attempt`, `epoch` (from 0), `metrics`
- `trial_finished`: the keys of `sweeps.report.slots.SlotRow` (`attempts` is this attempt's number;
  `state` is RUNNING if the slot is run again), `done`, `total`
- `finished`: `summary`, with the keys of `sweeps.report.summary.Summary.to_dict`; the last event

Numbers that JSON lacks (NaN, infinity) are null. New keys may appear; these stay. What an
experiment prints goes to stderr meanwhile, so that stdout holds nothing else.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from sweeps.clock import now_ms
from sweeps.progress.stream import LossyStream
from sweeps.progress.tally import Tally

if TYPE_CHECKING:
    from search_spaces.parameters import Value
    from sweeps.experiment import TrialSpec
    from sweeps.records.record import Record, SweepInfo
from sweeps.report.summary import Summary


class JsonLines:
    """`--json`. See `Progress` and the module's text for the keys."""

    def __init__(self, stream: TextIO) -> None:
        self._out = LossyStream(stream)
        self._aside = contextlib.ExitStack()
        self._tally: Tally | None = None

    def started(
        self,
        info: SweepInfo,
        total: int,
        done: Sequence[Record],
        longest_seconds: float | None = None,
    ) -> None:
        """Write `started`."""
        self._aside.enter_context(contextlib.redirect_stdout(sys.stderr))
        self._tally = Tally(info, total, done, longest_seconds=longest_seconds)
        self._event(
            "started",
            id=info.id,
            name=info.name,
            metric=info.metric,
            direction=info.direction,
            objectives=[asdict(objective) for objective in info.objectives],
            total=total,
            done=self._tally.done,
        )

    def note(self, text: str) -> None:
        """Write `note`."""
        self._event("note", text=text)

    def trial_started(self, spec: TrialSpec, params: Mapping[str, Value]) -> None:
        """Write `trial_started`."""
        self._event(
            "trial_started",
            slot=spec.slot,
            attempt=spec.attempt,
            seed=spec.seed,
            params=dict(params),
        )

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write `epoch`."""
        self._event(
            "epoch", slot=spec.slot, attempt=spec.attempt, epoch=epoch, metrics=dict(metrics)
        )

    def trial_finished(self, record: Record) -> None:
        """Write `trial_finished`."""
        if self._tally:
            row = self._tally.finish(record)
            counts = {"done": self._tally.done, "total": self._tally.total}
            self._event("trial_finished", **row.to_dict(), **counts)

    def finished(self, summary: Summary) -> None:
        """Write `finished`."""
        self._event("finished", summary=summary.to_dict())

    def close(self) -> None:
        """Give stdout back."""
        self._aside.close()

    def _event(self, event: str, **values: Any) -> None:
        entry = {"event": event, "time": now_ms(), **values}
        self._out.line(json.dumps(_finite(entry), allow_nan=False))


def _finite(value: Any) -> Any:
    """Replace what JSON cannot say by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
