"""The home: the folder that holds everything of its sweeps, `mlruns/` by default."""

from __future__ import annotations

import os
import re
import resource
import secrets
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from search_spaces.errors import did_you_mean
from sweeps.errors import UsageError
from sweeps.journal.events import UnknownEventError
from sweeps.records import RecordError, RecordStore, SweepInfo
from sweeps.records.schema import warn
from sweeps.records.store import BINDING
from sweeps.workspace.addresses import redacted
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import make_folder, remove, sync_folder
from sweeps.workspace.locks import check_locks, exclusive, is_locked, owner_of

if TYPE_CHECKING:
    from sweeps.shared import SharedStorage

FORMER: Final = "records"
"""The folder in which earlier versions kept their sweeps, see `sweeps.manage.former`."""
_ARRIVING: Final = ".import-"
"""Prefix of a folder that holds what is being made or imported."""
FEWEST_FILES: Final = 24
ENOUGH_FILES: Final = 256


@dataclass(frozen=True)
class Home:
    """A folder with `sweeps/`, `mlflow.db` and `artifacts/`.

    Attributes:
        path: The folder.
        shared: The storage that it shares with homes of other hosts; None without one.
    """

    path: Path
    shared: SharedStorage | None = field(default=None, compare=False)

    @classmethod
    def resolve(cls, option: str | Path | None = None, storage: str | None = None) -> Home:
        """Return the home: `option`, else `SWEEPS_HOME`, else `./mlruns`; absolute.

        `storage` is the address of the database that hosts share, else `SWEEPS_STORAGE` says it.

        Raises:
            UsageError: The path is a file, or cannot stand in the address of a database; an earlier
                version wrote the home; or the storage cannot be used.
        """
        path = home_folder(option)
        if (path / FORMER).is_dir():
            raise UsageError(
                f"home {path} was written by an earlier version; take its sweeps over first: "
                f"`sweeps import {shlex.quote(str(path))}` (docs/upgrading.md)"
            )
        address = storage or os.environ.get("SWEEPS_STORAGE")
        if not address:
            return cls(path)
        from sweeps.shared import open_shared

        return cls(path, open_shared(path, address))

    def check_exists(self) -> None:
        """Refuse a folder that does not exist, for commands that look at everything in it."""
        if not self.path.exists():
            raise UsageError(f"home {self.path}: there is no such folder; give it with --home")

    def check_writable(self) -> None:
        """Refuse a folder that nothing may be written into, before anything is created.

        Raises:
            UsageError: It is read-only, its file system has no locks, or it is a copy of a database
                that was not given; or this process may not open enough files.
        """
        _allow_open_files()
        if self.shared is None and (self.path / BINDING).exists():
            from sweeps.shared import bound_to

            raise UsageError(
                f"home {self.path} is a copy of {bound_to(self.path)}; give it as --storage or "
                "SWEEPS_STORAGE, or another folder with --home"
            )
        nearest = next(p for p in (self.path, *self.path.parents) if p.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise UsageError(f"home {self.path}: nothing can be written into {nearest}")
        check_locks(nearest)

    @property
    def storage(self) -> str | None:
        """Address of the shared database, with its password: never show it; None without one."""
        return self.shared.server.url.render_as_string(hide_password=False) if self.shared else None

    @property
    def artifacts(self) -> Path:
        """Root of MLflow's artifacts."""
        return self.path / "artifacts"

    @property
    def sweeps_folder(self) -> Path:
        """Folder that holds a folder per sweep."""
        return self.path / "sweeps"

    def store(self, sweep_id: str) -> RecordStore:
        """Return the records of a sweep."""
        folder = self.sweeps_folder / sweep_id
        return RecordStore(folder, self.shared.remote(sweep_id) if self.shared else None)

    def sweeps(
        self, leave: Callable[[Exception], None] = lambda error: warn(str(error))
    ) -> list[SweepInfo]:
        """Return every sweep, oldest first; `leave` gets the error of each that cannot be read.

        Raises:
            UsageError: Its folder is a file, or a link that leads nowhere, as to a lost disk.
        """
        infos, top = [], self.sweeps_folder
        if not top.is_dir() and (top.exists() or top.is_symlink()):
            way = "a file and no folder; move it away"
            if top.is_symlink():
                way = "a link to no folder; bring back what it leads to"
            raise UsageError(f"home {self.path}: sweeps is {way}")
        # Not `glob`: it treats a folder that cannot be read as an empty one.
        folders = top.iterdir() if top.is_dir() else ()
        for folder in sorted(path for path in folders if not path.name.startswith(".")):
            try:
                info = self.store(folder.name).info() if folder.is_dir() else None
            except (RecordError, UnknownEventError) as error:
                leave(error)
                continue
            if info is not None and info.id != folder.name:
                leave(RecordError(f"{folder}: a copy of sweep {info.id}; move it away"))
            elif info is not None:
                infos.append(info)
        return sorted(infos, key=lambda i: (i.created_at, i.id))

    def remove_unborn(self) -> None:
        """Remove what a process left that was killed while it created or imported a sweep.

        The caller must be inside `exclusive`, so that nobody creates a sweep meanwhile.
        """
        for folder in self.sweeps_folder.glob(f"{_ARRIVING}*"):
            remove(folder)

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """Yield a new folder for what is made or imported; it goes, unless it gets its `place`.

        The caller must be inside `exclusive`.
        """
        part = self.sweeps_folder / f"{_ARRIVING}{secrets.token_hex(4)}"
        make_folder(part)
        try:
            yield part
        finally:
            remove(part)

    def place(self, part: Path, target: Path) -> None:
        """Give a folder its place: a sweep is there whole or not at all, also for other hosts."""
        reached("import.unpacked")
        if self.shared is not None and target.parent == self.sweeps_folder:
            self.shared.give(part, target.name)
        part.rename(target)
        sync_folder(target.parent)
        reached("import.done")

    def find(self, name: str) -> SweepInfo | None:
        """Return the sweep of that name or id, or None.

        Raises:
            RecordError: No readable sweep has that name, but one cannot be read and may have it.
            UnknownEventError: Likewise, and a newer version wrote it.
        """
        errors: list[Exception] = []
        found = next((i for i in self.sweeps(errors.append) if name in {i.name, i.id}), None)
        if found is None and errors:
            raise errors[0]
        return found

    def get(self, name: str) -> SweepInfo:
        """Return the sweep of that name or id.

        Raises:
            UsageError: There is none; the message lists those that exist.
        """
        info = self.find(name)
        if info is None:
            names = [i.name for i in self.sweeps()]
            known = f"existing: {', '.join(names)}" if names else "there are no sweeps yet"
            raise UsageError(
                f"no sweep {name!r} in {self.path}{did_you_mean(name, names)}; {known}"
            )
        return info

    def get_each(self, names: Iterable[str]) -> list[SweepInfo]:
        """Return the sweeps of these names or ids, each once; errors are those of `get`."""
        return list({info.id: info for info in map(self.get, names)}.values())

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other processes and hosts out while sweeps are made, named or deleted.

        Raises:
            UsageError: The home is read-only, or a copy of a database that was not given.
            StoreError: Another process stays inside for too long.
        """
        self.check_writable()
        make_folder(self.sweeps_folder)
        with exclusive(self.sweeps_folder), self.shared.alone() if self.shared else nullcontext():
            yield

    def refresh(self, sweep_id: str | None = None) -> None:
        """Fetch what other hosts have written since, of one sweep or of all."""
        if self.shared is not None:
            self.shared.refresh(sweep_id)

    def owner(self, sweep_id: str) -> str:
        """Return who works on a sweep, such as `process 7 on host since ...`."""
        holder = self.shared.holder(sweep_id) if self.shared is not None else None
        return holder.described if holder else owner_of(self.sweeps_folder / sweep_id / "lock")

    def is_running(self, sweep_id: str) -> bool:
        """Whether a coordinator works on the sweep now, here or on another host."""
        if is_locked(self.sweeps_folder / sweep_id / "lock"):
            return True
        holder = self.shared.holder(sweep_id) if self.shared is not None else None
        return holder is not None and holder.is_held


def _allow_open_files() -> None:
    """Raise this process's limit of open files if it is too low for databases."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FEWEST_FILES:
        return
    most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if most < FEWEST_FILES:
        raise UsageError(
            f"the system lets this process have {hard} open files, too few for databases; allow "
            f"more first: ulimit -n {ENOUGH_FILES}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def home_folder(option: str | Path | None = None) -> Path:
    """Return the folder of a home, and refuse what can be none; see `Home.resolve`."""
    asked = option or os.environ.get("SWEEPS_HOME") or "mlruns"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(asked)):  # a Path has made one slash of two
        raise UsageError(
            f"home {redacted(str(asked))}: this is an address; give a folder with --home, and the "
            "address of a server with --tracking-uri or --storage"
        )
    try:
        path = Path(asked).expanduser().resolve()
        path.exists()  # from Python 3.13 on, only this complains of a link to itself
    except (RuntimeError, OSError):
        raise UsageError(
            f"home {asked}: it leads nowhere (a link to itself, or a user who is not known here); "
            "give a folder with --home"
        ) from None
    shown = str(path).encode("utf-8", "backslashreplace").decode()
    is_text = shown == str(path)
    if not is_text or set("%?{}") & set(shown):
        odd = "with %, ?, { or }" if is_text else "that is not UTF-8"
        raise UsageError(
            f"home {shown}: a path {odd} cannot stand in a database address; give another folder "
            "with --home"
        )
    blocker = next(p for p in (path, *path.parents) if p.exists())
    if not blocker.is_dir():
        raise UsageError(f"home {path}: {blocker} is a file; give a folder with --home")
    return path
