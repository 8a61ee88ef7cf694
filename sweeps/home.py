"""The home: the folder that holds everything of its sweeps, `mlruns/` by default."""

from __future__ import annotations

import os
import re
import resource
import secrets
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from search_spaces.errors import did_you_mean
from sweeps.errors import UsageError
from sweeps.journal.events import MOST_BYTES, UnknownEventError
from sweeps.journal.file import FILE
from sweeps.records import RecordError, RecordStore, SweepInfo
from sweeps.records.schema import Report, warn
from sweeps.records.store import BINDING, TRIALS
from sweeps.workspace.addresses import redacted
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import make_folder, open_file, remove, sync_folder
from sweeps.workspace.locks import check_locks, exclusive, is_locked, owner_of

if TYPE_CHECKING:
    from sweeps.shared import SharedStorage

FORMER: Final = "records"
"""The folder in which earlier versions kept their sweeps, see `sweeps.manage.former`."""
_ARRIVING: Final = ".import-"
"""Prefix of a folder that holds what is being imported."""
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

        Args:
            option: The folder.
            storage: Address of the database that hosts share, else `SWEEPS_STORAGE`.

        Raises:
            UsageError: The path is a file, or cannot stand in the address of a database; an earlier
                version wrote the home; or the storage cannot be used.
        """
        home = cls(home_folder(option))
        home.check_layout()
        address = storage or os.environ.get("SWEEPS_STORAGE")
        if not address:
            return home
        from sweeps.shared import open_shared

        return cls(home.path, open_shared(home.path, address))

    def check_layout(self) -> None:
        """Refuse a home of an earlier version, so that no empty sweep is made beside its own.

        Raises:
            UsageError: It is one.
        """
        if (self.path / FORMER).is_dir():
            raise UsageError(
                f"home {self.path} was written by an earlier version; take its sweeps over first: "
                f"`sweeps import {shlex.quote(str(self.path))}` (docs/upgrading.md)"
            )

    def check_exists(self) -> None:
        """Refuse a folder that does not exist, for commands that look at everything in it.

        Raises:
            UsageError: There is no such folder.
        """
        if not self.path.exists():
            raise UsageError(f"home {self.path}: there is no such folder; give it with --home")

    def check_writable(self) -> None:
        """Refuse a folder that nothing may be written into, before anything is created.

        Raises:
            UsageError: It is read-only, its file system has no locks, or it is a copy of a database
                that was not given; or this process may not open enough files.
        """
        _allow_open_files()
        self.check_storage()
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

    def sweeps(self, report: Report = warn) -> list[SweepInfo]:
        """Return every sweep, oldest first.

        Args:
            report: Called with a line for each sweep that cannot be read; it is left out.

        Raises:
            UsageError: The folder is a link that leads nowhere, as to a disk that is away.
        """
        return self._sweeps(lambda error: report(str(error)))

    def _sweeps(self, on_error: Callable[[Exception], None]) -> list[SweepInfo]:
        infos = []
        if self.sweeps_folder.is_symlink() and not self.sweeps_folder.is_dir():
            raise UsageError(
                f"home {self.path}: sweeps is a link to no folder; bring back what it leads to"
            )
        # Not `glob`: it treats a folder that cannot be read as an empty one.
        folders = self.sweeps_folder.iterdir() if self.sweeps_folder.is_dir() else ()
        for folder in sorted(path for path in folders if not path.name.startswith(".")):
            try:
                info = self.store(folder.name).info() if folder.is_dir() else None
            except (RecordError, UnknownEventError) as error:
                on_error(error)
                continue
            if info is not None and info.id != folder.name:
                on_error(RecordError(f"{folder}: a copy of sweep {info.id}; move it away"))
            elif info is not None:
                infos.append(info)
        return sorted(infos, key=lambda i: (i.created_at, i.id))

    def remove_unborn(self) -> None:
        """Remove what a process left that was killed while it created or imported a sweep.

        The caller must be inside `exclusive`, so that nobody creates a sweep meanwhile.
        """
        for folder in self.sweeps_folder.iterdir() if self.sweeps_folder.is_dir() else []:
            is_import = folder.name.startswith(_ARRIVING)
            if is_import or not (folder.name.startswith(".") or _is_born(folder)):
                remove(folder)

    @contextmanager
    def arriving(self, target: Path) -> Iterator[Path]:
        """Yield a new folder for what is imported; it gets its place in the end, or is removed.

        The caller must be inside `exclusive`.
        """
        part = self.sweeps_folder / f"{_ARRIVING}{secrets.token_hex(4)}"
        make_folder(part)
        try:
            yield part
            reached("import.unpacked")
            part.rename(target)
            sync_folder(target.parent)
        finally:
            remove(part)
        reached("import.done")

    def find(self, name: str) -> SweepInfo | None:
        """Return the sweep of that name or id, or None.

        Raises:
            RecordError: No readable sweep has that name, but one cannot be read and may have it.
            UnknownEventError: Likewise, and a newer version wrote it.
        """
        errors: list[Exception] = []
        found = next((i for i in self._sweeps(errors.append) if name in {i.name, i.id}), None)
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
        """Return the sweeps of these names or ids, each once.

        Raises:
            UsageError: See `get`.
        """
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
        with exclusive(self.sweeps_folder):
            if self.shared is None:
                yield
            else:
                with self.shared.alone():
                    yield

    def check_storage(self) -> None:
        """Refuse to change a copy of a database without that database.

        Raises:
            UsageError: The home is a copy of a database that was not given.
        """
        if self.shared is None and (self.path / BINDING).exists():
            from sweeps.shared import bound_to

            raise UsageError(
                f"home {self.path} is a copy of {bound_to(self.path)}; give it as --storage or "
                "SWEEPS_STORAGE, or another folder with --home"
            )

    def publish_evaluations(self) -> None:
        """Send test-set evaluations to other hosts."""
        if self.shared is not None:
            self.shared.send_evaluations()

    def give(self, folder: Path, sweep_id: str) -> None:
        """Give a sweep that came from elsewhere to other hosts, before it appears here.

        Args:
            folder: Its files, whose folder is not yet that of a sweep.
            sweep_id: Its id.
        """
        if self.shared is not None:
            self.shared.give(folder, sweep_id)

    def refresh(self, sweep_id: str | None = None) -> None:
        """Fetch what other hosts have written since, of one sweep or of all."""
        if self.shared is not None:
            self.shared.refresh(sweep_id)

    def owner(self, sweep_id: str) -> str:
        """Return who works on a sweep, such as `process 7 on host since ...`."""
        if self.shared is not None and (holder := self.shared.holder(sweep_id)) is not None:
            return holder.described
        return owner_of(self.sweeps_folder / sweep_id / "lock")

    def is_running(self, sweep_id: str) -> bool:
        """Whether a coordinator works on the sweep now, here or on another host."""
        if is_locked(self.sweeps_folder / sweep_id / "lock"):
            return True
        holder = self.shared.holder(sweep_id) if self.shared is not None else None
        return holder is not None and holder.is_held


def _allow_open_files() -> None:
    """Raise this process's limit of open files if it is too low for databases.

    Raises:
        UsageError: The system does not allow enough.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= FEWEST_FILES:
        return
    if hard != resource.RLIM_INFINITY and hard < FEWEST_FILES:
        raise UsageError(
            f"the system lets this process have {hard} open files, too few for databases; allow "
            f"more first: ulimit -n {ENOUGH_FILES}"
        )
    more = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))


def home_folder(option: str | Path | None = None) -> Path:
    """Return the folder of a home: `option`, else `SWEEPS_HOME`, else `./mlruns`; absolute.

    Raises:
        UsageError: See `Home.resolve`.
    """
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
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        raise UsageError(
            f"home {shown}: a path that is not UTF-8 cannot stand in a database address; give "
            "another folder with --home"
        ) from None
    if set("%?{}") & set(str(path)):
        raise UsageError(
            f"home {path}: a path with %, ?, {{ or }} cannot stand in a database address; give "
            "another folder with --home"
        )
    blocker = next((p for p in (path, *path.parents) if p.exists()), path)
    if blocker.exists() and not blocker.is_dir():
        raise UsageError(f"home {path}: {blocker} is a file; give a folder with --home")
    return path


def _is_born(folder: Path) -> bool:
    """Whether a sweep was created: it was run, trained, or its first event is whole or damaged."""
    if (folder / "lock").exists() or (folder / TRIALS).exists():
        return True
    try:
        with open_file(folder / FILE) as file:
            return file.read(2 * MOST_BYTES).count(b"\n") > 1  # a line has one at each end
    except FileNotFoundError:
        return False
    except OSError:  # whatever it is, it is not ours to remove
        return True
