"""Watches the files of a running sweep, and reports at once if somebody deletes one.

Files whose content this process knows are written again: the lock, `sweep.json`, the generations.
The runs in MLflow are lost, but the records are safe, and `sweeps sync` sends the runs again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from sweeps.errors import LeaseLost, StoreError, UsageError
from sweeps.records import RecordStore, SweepInfo, write_missing
from sweeps.runner.ownership import SweepLock

LOOK_SECONDS: Final = 0.5


class Guard:
    """Looks for deleted files in a thread of its own.

    Attributes:
        lost: A line for each file that was deleted.
        runs_lost: The line about the deleted file that held runs of MLflow; None if there is none.
    """

    def __init__(
        self,
        lock: SweepLock,
        store: RecordStore,
        info: SweepInfo,
        note: Callable[[str], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.lost: list[str] = []
        self.runs_lost: str | None = None
        self._lock, self._store, self._info = lock, store, info
        self._note, self._on_lost = note, on_lost
        self._of_runs: dict[Path, int] = {}
        self._kept_open = contextlib.ExitStack()
        self._shows: Callable[[], list[Path]] = list
        self._problem: str | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sweeps-guard", daemon=True)

    def __enter__(self) -> Guard:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._kept_open.close()

    def watch(self, info: SweepInfo, shows: Callable[[], list[Path]]) -> None:
        """Watch the newest generation of the sweep, and the files of its runs in MLflow.

        Args:
            info: The sweep.
            shows: Returns the paths where MLflow keeps the runs; empty before they are written.
        """
        self._info, self._shows = info, shows

    def pending(self, done: int, missing: int, error: str | None) -> tuple[int, str | None]:
        """Return how many runs MLflow lacks, and why; deleted runs are counted as missing.

        Args:
            done: Number of attempts whose run had been completed.
            missing: Number of runs that have not arrived.
            error: The last error in one line.
        """
        if self.runs_lost is None:
            return missing, error
        return missing + done + 1, self.runs_lost

    def check(self) -> None:
        """Look once more, and refuse to go on with a sweep that another process has taken.

        Raises:
            LeaseLost: The lock was deleted, and another process has taken the sweep.
        """
        self._look()
        if self._problem is not None:
            raise LeaseLost(self._problem)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(OSError, StoreError):  # no folder: the next record reports that
            self._keep_lock()
            for line in (*self._written_anew(), *self._gone_of_runs()):
                self.lost.append(line)
                self._note(line)

    def _keep_lock(self) -> None:
        if self._problem is not None:
            return
        try:
            if self._lock.is_kept():
                return
        except UsageError as error:
            self._problem = f"the lock of this sweep was deleted while it ran: {error}"
            self._on_lost()
            return
        line = f"{self._lock.path} was deleted while the sweep runs; it was made anew"
        self.lost.append(line)
        self._note(line)

    def _written_anew(self) -> Iterator[str]:
        for path in write_missing(self._store, self._info):
            yield f"{path} was deleted while the sweep runs; it was written anew"

    def _gone_of_runs(self) -> Iterator[str]:
        for path in self._shows():
            found = path.stat().st_ino if path.exists() else None
            known = self._of_runs.get(path, found)
            if found is not None and self._of_runs.get(path) != found:
                self._of_runs[path] = found
                if path.is_dir():  # kept open, so that a new folder cannot get the same inode
                    self._kept_open.callback(os.close, os.open(path, os.O_RDONLY))
            if found != known:
                self._of_runs.pop(path, None)
                self.runs_lost = f"{path} was deleted while the sweep ran"
                yield (
                    f"{path} was deleted while the sweep runs: what is recorded is safe, and "
                    f"`sweeps sync {self._info.name}` sends its runs again"
                )
