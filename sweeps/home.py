"""Where everything of a sweep lies: one folder, `mlruns/` unless told otherwise."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sweeps.errors import UsageError
from sweeps.naming import did_you_mean
from sweeps.records import RecordError, RecordStore, Report, SweepInfo, warn


@dataclass(frozen=True)
class Home:
    """A folder with `optuna.db`, `mlflow.db`, `records/` and `artifacts/`."""

    path: Path

    @classmethod
    def resolve(cls, option: str | Path | None = None) -> Home:
        """Return the home: `option`, else `SWEEPS_HOME`, else `./mlruns`; absolute.

        Raises:
            UsageError: The path is a file.
        """
        path = Path(option or os.environ.get("SWEEPS_HOME") or "mlruns").expanduser().resolve()
        if set("%?{}") & set(str(path)):
            raise UsageError(
                f"home {path}: a path with %, ?, {{ or }} cannot stand in a database address; give "
                "another folder with --home"
            )
        blocker = next((p for p in (path, *path.parents) if p.exists()), path)
        if blocker.exists() and not blocker.is_dir():
            raise UsageError(f"home {path}: {blocker} is a file; give a folder with --home")
        return cls(path)

    def check_exists(self) -> None:
        """Refuse a folder that is not there, for what looks at everything in it.

        Raises:
            UsageError: There is no such folder.
        """
        if not self.path.exists():
            raise UsageError(f"home {self.path}: there is no such folder; give it with --home")

    def check_writable(self) -> None:
        """Refuse a folder nothing can be written into, before anything is created.

        Raises:
            UsageError: It is read-only.
        """
        nearest = next(p for p in (self.path, *self.path.parents) if p.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise UsageError(f"home {self.path}: nothing can be written into {nearest}")

    @property
    def optuna_db(self) -> Path:
        """SQLite file of the studies."""
        return self.path / "optuna.db"

    @property
    def artifacts(self) -> Path:
        """Root of MLflow's artifacts."""
        return self.path / "artifacts"

    @property
    def records(self) -> Path:
        """Folder with one folder a sweep."""
        return self.path / "records"

    def store(self, sweep_id: str) -> RecordStore:
        """Return the records of a sweep."""
        return RecordStore(self.records / sweep_id)

    def sweeps(self, report: Report = warn) -> list[SweepInfo]:
        """Return every sweep, oldest first.

        Args:
            report: Told of each sweep that cannot be read any more, which is left out.
        """
        infos = []
        for folder in sorted(self.records.glob("[!.]*")):
            try:
                info = RecordStore(folder).info() if folder.is_dir() else None
            except RecordError as error:
                report(str(error))
            else:
                infos += [info] if info is not None else []
        return sorted(infos, key=lambda i: (i.created_at, i.id))

    def remove_unborn(self) -> None:
        """Remove what a process left that was killed while it created a sweep, or imported one.

        Only for who keeps others from creating one.
        """
        for folder in self.records.iterdir() if self.records.is_dir() else []:
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else ["a file"]
            is_import = folder.name.startswith(".import-")
            if is_import or all(name.startswith(".sweep.json.") for name in names):
                shutil.rmtree(folder)

    def find(self, name: str) -> SweepInfo | None:
        """Return the sweep of that name or id, or None.

        Raises:
            RecordError: It may be the one that cannot be read any more.
        """
        damaged: list[str] = []
        found = next((i for i in self.sweeps(damaged.append) if name in {i.name, i.id}), None)
        if found is None and damaged:
            raise RecordError(damaged[0])
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

    def is_running(self, sweep_id: str) -> bool:
        """Whether a coordinator holds the sweep's lock now."""
        try:
            descriptor = os.open(self.records / sweep_id / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False
