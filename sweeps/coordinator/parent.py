"""The sweep's side of MLflow: what is handed to the projector, and how the parent run ends."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from sweeps.addresses import redacted
from sweeps.config import SweepConfig
from sweeps.coordinator.attempt_files import AttemptFiles
from sweeps.coordinator.failures import FAILURES
from sweeps.coordinator.holding import Hold
from sweeps.coordinator.parent_end import finish
from sweeps.coordinator.signals import INTERRUPTIONS, StopRequest
from sweeps.examining import Examiner
from sweeps.prepared_again import PreparedAgain
from sweeps.progress import Progress
from sweeps.records import (
    SWEEP,
    Ending,
    Notes,
    Record,
    RecordStore,
    SweepInfo,
    SweepStatus,
    heard,
)
from sweeps.report.summary import Summary
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
        self,
        config: SweepConfig,
        info: SweepInfo,
        tracking_uri: str,
        progress: Progress,
        held: Hold,
        *,
        is_away: bool = False,
    ) -> None:
        self._held = held
        self._home, self._info = config.home, info
        self._store: RecordStore = config.home.store(info.id)
        self._again = PreparedAgain(lambda: config.experiment, config.data)
        self._files = AttemptFiles(info, self._store, Examiner(self._again, info.experiment))

        def warn(problem: str) -> None:
            if not is_away:  # the user has been told
                progress.note(outage_note(tracking_uri, problem))

        def check() -> None:
            held.confirm()
            self._projector.give_way()

        projection = Projection(tracking_uri, config.home.artifacts, self._store.folder, check)
        note = sweep_note(info, config.limits.trials, is_running=True)
        self._projector = Projector(projection, info, note, on_outage=warn)
        self._projector.start()

    def files(self) -> list[Path]:
        """Return where its runs are; see `Projector.files`."""
        return self._projector.files

    def catch_up(self, records: Sequence[Record]) -> None:
        """Project what an earlier start recorded but could not project any more.

        A run whose record was torn, and put aside, is deleted: its trial runs again. So is one
        that another host began, and lost the sweep before others had its record.
        """
        recorded = {record.spec.key for record in records}
        if recorded or self._held.lease is not None:
            self._projector.discard(lambda key: key not in recorded)
        for record in records:
            key = record.spec.key
            read = partial(self._store.read, key)
            self._projector.put(record, self._draw(key), only_if_missing=True, read=read)

    def project(self, record: Record) -> None:
        """Project an attempt soon; returns at once."""
        self._projector.put(record, self._draw(record.spec.key))

    def abandon(self, error: BaseException) -> None:
        """Give the parent run its terminal status when the sweep ends by an exception."""
        status: SweepStatus = "FAILED" if isinstance(error, Exception) else "KILLED"
        text = f"{type(error).__name__} {error}".strip()
        self._end(Ending(status, "error", error=text))
        self._projector.close(INTERRUPTED_TIMEOUT_SECONDS)

    def leave(self) -> None:
        """Write nothing more: another host has the sweep. A request under way is waited for."""
        self._projector.close(CLOSE_TIMEOUT_SECONDS)

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
        self._end(
            Ending(
                status,
                summary.stopped_by,
                summary.seconds,
                summary.time_split,
                failure_cause=summary.failure_cause,
            )
        )
        return self._projector.close(
            CLOSE_TIMEOUT_SECONDS,
            is_urgent=lambda: request.reason is not None,
            urgent_seconds=INTERRUPTED_TIMEOUT_SECONDS,
        )

    def _end(self, ending: Ending) -> None:
        with contextlib.suppress(OSError):  # a full disk: `sweeps sync` will say `killed`
            self._store.end(ending)
        self._projector.end_first(ending.status)
        if self._held.lease is not None:  # a host that lost it may have been late with a request
            self.catch_up(self._store.read_all())
        send_notes(self._projector, self._store)
        self._info = dataclasses.replace(self._info, checked=self._store.checked())
        is_hurried = bool(ending.error) or ending.stopped_by in INTERRUPTIONS
        finish(self._projector, self._home, self._info, ending, self._again, is_hurried=is_hurried)

    def _draw(self, key: str) -> partial[Mapping[str, bytes]]:
        return partial(self._files, key)


def sweep_note(info: SweepInfo, asked: int, *, is_running: bool) -> SweepNote:
    """Return what the parent run says from the start on."""
    tags = {"asked": str(asked), "reproducible": str(info.is_reproducible).lower()}
    return SweepNote(tags=tags, is_running=is_running)


def send_notes(projector: Projector, store: RecordStore) -> None:
    """Have what people noted about trials shown by MLflow; notes that are damaged are reported."""
    notes = heard(Notes(store.folder).all) or {}
    for record in store.read_all() if notes.keys() - {SWEEP} else []:
        text = notes.get(str(record.spec.slot))
        if text is not None and record.ends_slot:
            projector.annotate(record.spec.key, text)


def outage_note(tracking_uri: str, problem: str) -> str:
    """Return the one warning about a store that is away."""
    return (
        f"MLflow at {redacted(tracking_uri)} cannot be reached ({problem}); the sweep goes on, "
        "its runs follow later"
    )


def _status(summary: Summary, *, failed: bool) -> SweepStatus:
    if summary.stopped_by in INTERRUPTIONS:
        return "KILLED"
    return "FAILED" if failed or summary.stopped_by == FAILURES else "FINISHED"
