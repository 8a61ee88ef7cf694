"""The sweep's side of MLflow: what is handed to the projector, and how the parent run ends."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Literal

from sweeps.config import SweepConfig
from sweeps.coordinator.failures import FAILURES
from sweeps.coordinator.signals import INTERRUPTIONS, StopRequest
from sweeps.progress import Progress
from sweeps.records import Record, RecordStore, SweepInfo
from sweeps.report.markdown import render_markdown
from sweeps.report.slots import slot_rows
from sweeps.report.summary import Summary
from sweeps.report.table import write_csv
from sweeps.tracking.address import redacted
from sweeps.tracking.content import SweepNote
from sweeps.tracking.projection import Projection
from sweeps.tracking.projector import ProjectionReport, Projector

CLOSE_TIMEOUT_SECONDS: Final = 60.0
"""How long the end of a sweep waits for MLflow; what is missing then is reported, not lost."""

INTERRUPTED_TIMEOUT_SECONDS: Final = 4.0
"""The same after Ctrl-C or SIGTERM: whoever asked for the end is waiting for it."""


class ParentRun:
    """Projects one sweep: its parent run and a child run an attempt."""

    def __init__(
        self, config: SweepConfig, info: SweepInfo, tracking_uri: str, progress: Progress
    ) -> None:
        self._config, self._info = config, info
        self._store: RecordStore = config.home.store(info.id)
        self._projector = Projector(
            Projection(tracking_uri, config.home.artifacts),
            info,
            SweepNote(
                tags={
                    "asked": str(config.limits.trials),
                    "reproducible": str(config.order == "slots").lower(),
                }
            ),
            on_outage=lambda _: progress.note(
                f"MLflow at {redacted(tracking_uri)} cannot be reached; the sweep goes on, "
                "its runs follow later"
            ),
        )
        self._projector.start()

    def catch_up(self, records: Sequence[Record]) -> None:
        """Project what an earlier start recorded but could not project any more."""
        for record in records:
            draw = partial(self._draw, record.spec.key)
            self._projector.put(record, draw, only_if_missing=True)

    def project(self, record: Record) -> None:
        """Project an attempt soon; returns at once."""
        self._projector.put(record, partial(self._draw, record.spec.key))

    def abandon(self, error: BaseException) -> None:
        """Give the parent run its terminal status when the sweep ends by an exception."""
        status: Literal["KILLED", "FAILED"] = "FAILED" if isinstance(error, Exception) else "KILLED"
        text = f"The sweep ended early: {type(error).__name__} {error}".strip()
        self._projector.finish(
            lambda projection: projection.finish_sweep(
                self._info, status, {"stopped_by": "error"}, text
            )
        )
        self._projector.close(INTERRUPTED_TIMEOUT_SECONDS)

    def finish(self, summary: Summary, *, failed: bool, request: StopRequest) -> ProjectionReport:
        """End the parent run and wait for everything handed over before.

        Args:
            summary: How the sweep ended.
            failed: Whether it missed what it was asked to reach.
            request: A signal shortens the wait.

        Returns:
            Which runs are missing in MLflow, and why.
        """
        status = _status(summary, failed=failed)
        records = self._store.read_all()
        best = summary.best
        best_records = [r for r in records if best and r.spec.slot == best.slot and r.ends_slot]
        table = io.StringIO(newline="")
        write_csv(slot_rows(records), table, objective=self._info.metric)
        tags = {
            "failed": str(summary.counts["FAILED"]),
            "done": str(summary.done),
            "stopped_by": summary.stopped_by or "",
        }
        self._projector.finish(
            lambda projection: projection.finish_sweep(
                self._info,
                status,
                tags,
                render_markdown(summary),
                best=best_records[-1] if best_records else None,
                files={"trials.csv": table.getvalue().encode()},
                finished_at=max((r.finished_at for r in records), default=self._info.created_at),
            )
        )
        return self._projector.close(
            CLOSE_TIMEOUT_SECONDS,
            is_urgent=lambda: request.reason is not None,
            urgent_seconds=INTERRUPTED_TIMEOUT_SECONDS,
        )

    def _draw(self, key: str) -> Mapping[str, bytes]:
        record = self._store.read(key)
        if record.result is None or not record.result.history:
            return {}
        return self._config.experiment.draw(record.spec, record.result)


def _status(summary: Summary, *, failed: bool) -> Literal["FINISHED", "KILLED", "FAILED"]:
    if summary.stopped_by in INTERRUPTIONS:
        return "KILLED"
    return "FAILED" if failed or summary.stopped_by == FAILURES else "FINISHED"
