"""Files that a running sweep needs, and that somebody deletes meanwhile: said at once.

What this process knows is written anew: the lock, `sweep.json`, the generations. What MLflow kept
is gone: the records are safe, and `sweeps sync` sends it again.
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
    """Looks whether they are there, in a thread of its own.

    Attributes:
        lost: A line for each that was deleted.
        runs_lost: That of them which has lost runs in MLflow; None if none has.
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
        """Look after the sweep as it goes on now, and after its runs.

        Args:
            info: The sweep.
            shows: Returns where MLflow has them; nothing before they are written.
        """
        self._info, self._shows = info, shows

    def pending(self, done: int, missing: int, error: str | None) -> tuple[int, str | None]:
        """Return how many runs MLflow lacks, and why; what was deleted had arrived before.

        Args:
            done: Attempts whose run is complete.
            missing: What has not arrived.
            error: The last error in one line.
        """
        if self.runs_lost is None:
            return missing, error
        return missing + done + 1, self.runs_lost

    def check(self) -> None:
        """Look once more, and refuse to go on with a sweep that another process has taken.

        Raises:
            LeaseLost: It has, since the lock was deleted.
        """
        self._look()
        if self._problem is not None:
            raise LeaseLost(self._problem)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(OSError, StoreError):  # the folder is gone: records say so
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
                if path.is_dir():  # kept open, or else one made anew may have its number
                    self._kept_open.callback(os.close, os.open(path, os.O_RDONLY))
            if found != known:
                self._of_runs.pop(path, None)
                self.runs_lost = f"{path} was deleted while the sweep ran"
                yield (
                    f"{path} was deleted while the sweep runs: what is recorded is safe, and "
                    f"`sweeps sync {self._info.name}` sends its runs again"
                )
