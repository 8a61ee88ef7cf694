"""Logs of this machine: which test set was evaluated and which data confirmed, by any home.

A home may be new while its data are not. So the logs lie in the user's state folder, a file per
digest of data, to which lines are appended. `SWEEPS_STATE` names another folder, or turns them
`off`; without them a home counts what it did itself. They are never in the way: a log that cannot
be written, or a line that cannot be read, is reported, and the work goes on.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from sweeps.errors import StoreError
from sweeps.records.schema import (
    Count,
    Line,
    Moment,
    Report,
    SweepKey,
    json_bytes,
    shaped,
    warn,
)
from sweeps.workspace.files import FormatError, make_folder, parse_json, read_file
from sweeps.workspace.locks import exclusive

VARIABLE: Final = "SWEEPS_STATE"
OFF: Final = "off"
_MOST_BYTES: Final = 2**24


def state_folder() -> Path | None:
    """Return the folder of the logs; None if they are turned off, or there is no home directory.

    It is `SWEEPS_STATE`, else `sweeps` in `XDG_STATE_HOME`, else `~/.local/state/sweeps`.
    """
    asked = os.environ.get(VARIABLE)
    if asked == OFF:
        return None
    try:
        if asked:
            return Path(asked).expanduser().absolute()
        state = Path(os.environ.get("XDG_STATE_HOME") or "")
        # The specification has relative paths ignored.
        base = state if state.is_absolute() else Path("~/.local/state").expanduser()
    except RuntimeError:
        return None
    return base / "sweeps"


@dataclass(frozen=True)
class TestSetUse:
    """An evaluation of a test set.

    Attributes:
        key: SHA-256 of its frozen list: the same list is the same evaluation, in whatever home.
        number: Its number.
        at: Milliseconds since the epoch (UTC) when it was frozen.
        sweeps: Names of the sweeps whose models it scored.
    """

    __test__ = False  # keeps pytest from collecting a class whose name begins with Test

    key: Line
    number: Count
    at: Moment
    sweeps: Sequence[Line]


@dataclass(frozen=True)
class DataUse:
    """A confirmation, which judged finalists on folds of the data.

    Attributes:
        key: Its id, and the number of its finalists: one that is continued with more has more.
        sweep: Id of the sweep that it confirms.
        finalists: A digest of the configuration of each finalist.
    """

    key: Line
    sweep: SweepKey
    finalists: Sequence[Line]


class _HasKey(Protocol):
    @property
    def key(self) -> str: ...


Use = TypeVar("Use", bound=_HasKey)


class MachineLog(Generic[Use]):
    """The log of one kind about the data of one digest.

    Args:
        kind: The first part of the file's name.
        digest: Digest of the data.
        use: The class of its lines.
        report: Receives a line about each problem.

    Attributes:
        is_kept: Whether what is counted is the whole machine's; False if the log is turned off, or
            could not be read or written.
    """

    def __init__(self, kind: str, digest: str, use: type[Use], report: Report = warn) -> None:
        folder = state_folder()
        known = re.fullmatch("[0-9a-f]{16,64}", digest) is not None
        name = digest if known else hashlib.sha256(digest.encode()).hexdigest()
        self.path = folder / f"{kind}-{name}.jsonl" if folder else None
        self.is_kept = folder is not None
        self._use, self._report = use, report
        self._said = False

    def read(self) -> list[Use]:
        """Return its lines, the oldest first, each key once; empty if it is turned off."""
        try:
            content = read_file(self.path, _MOST_BYTES) if self.path else b""
        except FileNotFoundError:
            return []
        except (OSError, FormatError) as error:
            self._fail("read", error)
            return []
        found: dict[str, Use] = {}
        damaged = 0
        for line in content.splitlines():
            try:
                use = shaped(self._use, parse_json(line))
                found.setdefault(use.key, use)
            except ValueError:
                damaged += 1
        if damaged:
            self._say(
                f"{self.path}: {damaged} damaged line{'s' if damaged > 1 else ''} left out, so "
                "that counts may be too small; delete what is no JSON"
            )
        return list(found.values())

    def add(self, uses: Sequence[Use]) -> None:
        """Append those whose key is not there yet."""
        if self.path is None or not self.is_kept:
            return
        try:
            make_folder(self.path.parent)
            with exclusive(self.path.parent):
                known = {use.key for use in self.read()}
                lines = [json_bytes(asdict(u)) + b"\n" for u in uses if u.key not in known]  # type: ignore[call-overload]
                if lines and self.is_kept:
                    self._append(self.path, lines)
        except (OSError, StoreError) as error:
            self._fail("written", error)

    def _append(self, path: Path, lines: Sequence[bytes]) -> None:
        with path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":  # torn: what follows is a line of its own
                    file.write(b"\n")
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())

    def _fail(self, done: str, error: Exception) -> None:
        cause = getattr(error.__cause__ or error, "strerror", None) or str(error)
        self.is_kept = False
        self._say(
            f"{self.path}: cannot be {done} ({cause}), so that only this home is counted; make it "
            f"accessible, or name another folder: {VARIABLE}=FOLDER ({OFF} for none)"
        )

    def _say(self, line: str) -> None:
        if not self._said:
            self._said = True
            self._report(line)
