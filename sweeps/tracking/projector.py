"""Projects records in a thread of its own, so that training never waits for MLflow.

The thread imports MLflow while the workers import what they need, or else when the first job
arrives, and then opens the store, so that the first trial waits for neither. A store that is away
is tried again, with growing pauses. Runs that are still missing when the sweep ends are reported,
and `sweeps sync` adds them later.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sweeps.errors import LeaseLost, UntrustedError
from sweeps.journal.events import Record, SweepStatus
from sweeps.records.sweep import SweepInfo
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.content import SweepNote
from sweeps.tracking.projection import Projection
from sweeps.tracking.store import IncompleteError, abandon_store, is_outage, one_line, quiet

FilesFactory = Callable[[], Mapping[str, bytes]]

PARENT: Final = "sweep"
"""Key of the parent run, beside the keys `<trial>-<attempt>` of attempts."""
MAX_TRIES: Final = 3
"""Tries of a job whose error is no outage: the store answers, but refuses this job."""
LAST_TRIES: Final = 4
"""Tries of a store that is away when the sweep ends."""
UNSTEADY_TRIES: Final = 10
"""Tries of a job at the end if the store answers in between, so that an unsteady store gets all."""
AWAY_SECONDS: Final = 10.0
"""Longest wait at the end for a store that is away; each try of one that hangs takes long."""
NOTED_SECONDS: Final = 3.0
MANY_JOBS: Final = 20
"""Whoever waits is told of what is left if it is more than so many jobs after so long."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0


@dataclass(frozen=True)
class ProjectionReport:
    """The outcome of projecting a sweep.

    Attributes:
        done: Number of attempts whose run is complete.
        pending: Runs missing or incomplete in MLflow: keys of attempts, `sweep` for the parent run.
        error: The last error in one line, None if nothing is missing.
        lost: Set if another host has taken the sweep over, and writes what is missing.
    """

    done: int
    pending: list[str]
    error: str | None
    lost: LeaseLost | None = None


class GaveWay(BaseException):  # not an error: no `except Exception` may catch it
    """A job is broken off, and begun again later, because another job has to be done first."""


@dataclass(eq=False)
class _Job:
    """One thing to be written.

    Attributes:
        is_first: Whether it is done before all others, and a job under way is broken off for it.
    """

    name: str
    run: Callable[[], object]
    tries: int = 0
    last_tries: int = 0
    is_first: bool = False


class Projector:
    """A background thread that writes one sweep's runs, in the order they are put."""

    def __init__(
        self,
        projection: Projection,
        info: SweepInfo,
        note: SweepNote | None = None,
        *,
        on_outage: Callable[[str], None] | None = None,
        pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            projection: Where runs go; used by this projector's thread only, until it is closed.
            info: The sweep.
            note: Text and tags of the parent run while the sweep runs.
            on_outage: Called once, with the problem in one line, when the store cannot be reached;
                in the projector's thread.
            pause_seconds: First pause before a retry; doubles up to half a minute.
        """
        self._projection, self._info, self._note = projection, info, note or SweepNote()
        self._on_outage = on_outage or (lambda message: None)
        self._pause_seconds = pause_seconds
        self._queue: deque[_Job] = deque()
        self._failed: list[str] = []
        self._done: set[str] = set()
        self._current: _Job | None = None
        self._error: str | None = None
        self._lost: LeaseLost | None = None
        self._warned = self._started_sweep = self._closing = self._is_away = False
        self._beforehand: Callable[[], object] | None = None
        self._has_just_looked = False
        self._last_tries = LAST_TRIES
        self._answers = 0
        self._deadline: float | None = None
        self._changed = threading.Condition()
        # A daemon: a store that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="sweeps-projector", daemon=True)

    def start(self) -> None:
        """Start the thread; it sleeps until `prepare` or the first `put`."""
        self._thread.start()

    def prepare(self, import_more: Callable[[], object] = lambda: None) -> None:
        """Import MLflow in the thread, since records will come, and what else they will need."""
        with self._changed:
            self._beforehand = import_more
            self._changed.notify_all()

    @property
    def files(self) -> list[Path]:
        """Paths of the runs once they are written: our SQLite database and the folder of files."""
        database = sqlite_path(self._projection.tracking_uri)
        written = database is not None and bool(self._done)
        return [database, self._projection.artifact_root] if database and written else []

    def put(
        self,
        record: Record,
        files_factory: FilesFactory,
        *,
        only_if_missing: bool = False,
        read: Callable[[], Record] | None = None,
    ) -> None:
        """Queue an attempt for projection; returns at once.

        Args:
            record: The attempt's record, which is already stored.
            files_factory: Draws its files, called in the projector's thread.
            only_if_missing: Whether to leave a complete run as it is: for the earlier records of
                a sweep that is resumed.
            read: Returns the record with its arrays, where `record` has none.
        """

        def project() -> None:
            if only_if_missing and self._projection.is_complete(self._info, record):
                return
            self._project(read() if read else record, files_factory)

        self._append(_Job(record.key, project))

    def discard(self, wrong: Callable[[str], bool]) -> None:
        """Queue the deletion of the runs of some attempts; see `Projection.discard`."""

        def discard() -> None:
            look_up = not self._has_just_looked
            self._projection.discard(self._info, wrong, look_up=look_up)

        self._append(_Job(PARENT, discard))

    def end_first(self, status: SweepStatus) -> None:
        """Queue the status of the parent run before all other jobs.

        A process that runs out of time then leaves no parent RUNNING; `finish` writes the rest.
        """
        self._note = replace(self._note, is_running=False)  # also where the parent is begun anew

        def end() -> None:
            self._projection.end_run(self._info, status, look_up=job.tries > 0)

        job = _Job(PARENT, end, is_first=True)
        with self._changed:
            self._queue.appendleft(job)
            self._changed.notify_all()

    def give_way(self) -> None:
        """Break off the job under way (`GaveWay`), between two requests, if another comes first."""
        with self._changed:
            first = self._queue[0] if self._queue else None
            if first is not None and first.is_first and first is not self._current:
                raise GaveWay

    def finish(self, finish: Callable[[Projection], object]) -> None:
        """Queue what is written about the sweep as a whole after all earlier jobs."""
        self._append(_Job(PARENT, lambda: finish(self._projection)))

    def close(
        self,
        timeout_seconds: float,
        *,
        is_urgent: Callable[[], bool] = lambda: False,
        urgent_seconds: float = 0.0,
        on_waiting: Callable[[int], None] | None = None,
    ) -> ProjectionReport:
        """Do the queued jobs within a time limit, and report what is missing; never raises.

        A store that is away gets a few more tries, not the whole time.

        Args:
            timeout_seconds: Longest wait; with `on_waiting`, longest wait for one job.
            is_urgent: Called repeatedly; once it returns True, the wait shrinks.
            urgent_seconds: Longest wait from then on.
            on_waiting: Called once, if many jobs are left after a while, with the number of runs
                that they are about.
        """
        moved = began = time.monotonic()
        end, left = moved + timeout_seconds, len(self._queue)
        with self._changed:
            self._closing = True
            self._deadline = end
            self._changed.notify_all()
        while self._thread.is_alive():
            now = time.monotonic()
            if on_waiting is not None and len(self._queue) != left:
                moved, left = now, len(self._queue)
                self._deadline = end = now + timeout_seconds
            if on_waiting is not None and left > MANY_JOBS and now >= began + NOTED_SECONDS:
                with self._changed:
                    runs = {job.name for job in self._queue}
                on_waiting(len(runs))
                began = math.inf
            # It was away at the last error, and has answered nothing since.
            is_silent = self._is_away and self._projection.answers == self._answers
            if now >= (min(end, moved + AWAY_SECONDS) if is_silent else end):
                break
            self._thread.join(min(0.1, timeout_seconds))
            if is_urgent():
                end, is_urgent = min(end, time.monotonic() + urgent_seconds), lambda: False
                on_waiting = None
        self._deadline = time.monotonic()  # the thread begins no other job
        if self._thread.is_alive():
            abandon_store(self._projection.tracking_uri)
        with self._changed:
            pending = list(dict.fromkeys([*self._failed, *(job.name for job in self._queue)]))
            done = len(self._done - {PARENT})
            error = self._error if pending else None
            return ProjectionReport(done, pending, error, self._lost if pending else None)

    def _append(self, job: _Job) -> None:
        with self._changed:
            self._queue.append(job)
            self._changed.notify_all()

    def _work(self) -> None:
        """Do the jobs in order; a job leaves the queue only once it is done or given up."""
        with contextlib.closing(self._projection):  # in this thread, which opened it
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing or self._beforehand)
            if self._beforehand is not None:
                with contextlib.suppress(Exception), quiet():  # the jobs meet it, and report it
                    self._beforehand()
            self._do_jobs()

    def _do_jobs(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                is_late = self._deadline is not None and time.monotonic() >= self._deadline
                if not self._queue or is_late or self._last_tries == 0:
                    return
                job = self._queue[0]
            self._current, self._has_just_looked = job, False
            try:
                if not (job.is_first or self._started_sweep):
                    self._projection.start_sweep(self._info, self._note)
                    self._started_sweep = self._has_just_looked = True
                job.run()
            except GaveWay:
                continue
            except Exception as error:
                self._on_error(job, error)
            else:
                with self._changed:
                    self._queue.remove(job)
                    self._done.add(job.name)
                    self._last_tries = LAST_TRIES
                    self._is_away = False

    def _project(self, record: Record, files_factory: FilesFactory) -> None:
        # Numbers without pictures beat no run at all; the error still counts.
        try:
            files = files_factory()
        except UntrustedError as error:  # no error: once trusted, `sync` adds the others
            self._projection.project(self._info, record, error.files, is_whole=False)
            return
        except IncompleteError as error:
            self._projection.project(self._info, record, error.files, is_whole=False)
            raise
        except Exception as error:
            self._projection.project(self._info, record, None, is_whole=False)
            raise IncompleteError(f"pictures of trial {record.trial}", error) from error
        self._projection.project(self._info, record, files)

    def _on_error(self, job: _Job, error: Exception) -> None:
        if isinstance(error, LeaseLost):  # another host writes what is missing
            with self._changed:
                self._error, self._lost, self._last_tries = one_line(error), error, 0
            return
        job.tries += 1
        outage, is_lacking = is_outage(error), isinstance(error, IncompleteError)
        before, self._answers = self._answers, self._projection.answers
        # If something was deleted in the store, the parent may be gone, too.
        self._started_sweep = self._started_sweep and (is_lacking or outage)
        with self._changed:
            self._error = one_line(error)
            self._is_away = outage and self._answers == before
            job.last_tries += self._closing
            is_hopeless = outage and job.last_tries >= UNSTEADY_TRIES
            self._last_tries -= self._closing and (self._is_away or is_hopeless)
            if is_lacking or is_hopeless or (not outage and job.tries >= MAX_TRIES):
                self._queue.remove(job)
                self._failed.append(job.name)
                return
        if outage and not self._warned:
            self._warned = True
            self._on_outage(one_line(error))
        # Ever longer before the next try; closing ends a pause, and makes the next one short.
        seconds = min(self._pause_seconds * 2 ** min(job.tries - 1, 10), LONGEST_PAUSE_SECONDS)
        with self._changed:
            if self._closing:
                self._changed.wait(min(seconds, 1.0))
            else:
                self._changed.wait_for(lambda: self._closing, seconds)
