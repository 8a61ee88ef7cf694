"""Keeps what confirming said of a sweep beside its records, for reports and MLflow to show.

Made from the records of other sweeps (its confirmations): the same command makes it again.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from sweeps.records.record import Record, SweepInfo
from sweeps.records.schema import (
    AttemptKey,
    Count,
    DamagedFileError,
    Line,
    Report,
    heard,
    json_bytes,
    listed,
    put_aside,
    read_document,
    shaped,
    warn,
)
from sweeps.workspace.files import write_atomically

FILE: Final = "confirmation.json"
_FORMER_FILE: Final = "finalized.json"
FINALIST, BLOCK = "finalist", "block"
"""What the space of a confirmation varies: whom it trains, and on which fresh fold."""
_TESTED: Final = "tested-*.json"
_VOTED: Final = "voted-*.json"
_REMEDY: Final = (
    "`sweeps doctor --fix` puts it aside; `sweeps confirm` with --top and --folds as before then "
    "makes it again, and trains nothing twice"
)
_TESTED_REMEDY: Final = (
    "`sweeps doctor --fix` puts it aside; `sweeps confirm --test` makes it again from what was "
    "scored"
)
SWEEP_ID: Final = re.compile(r"[0-9]{8}-[0-9a-f]{8}")
_CONFIRMATION: Final = re.compile(rf"({SWEEP_ID.pattern})/finalists-[0-9]+(/[a-z]+(-[0-9]+)?)?$")


@dataclass(frozen=True)
class Telling:
    """Something that was found out, in words and figures: a section of a report.

    Attributes:
        anchor: Its address on a page.
        title: Its heading.
        lead: The most important sentence.
        columns: Of its table.
        rows: Cells as they are shown.
        lines: What else there is to say.
        note: How it was made.
    """

    anchor: Line
    title: Line
    lead: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True)
class ConfirmationRecord:
    """What a confirmation came to.

    Attributes:
        confirmation: Id of its sweep.
        trained_in: Id of the sweep with the champion's training: the same, or that of a refit.
        champion: The training whose model is the champion, `<trial>-<attempt>`.
        winner: Whom it found the one to take, such as `trial-17`.
        tellings: What it says.
        top: How many of the best were finalists; None where that was not kept yet.
        folds: On how many folds; None likewise.
        left_out: Labels of those of the best that were not to take part.
    """

    confirmation: str
    trained_in: str
    champion: AttemptKey
    winner: Line
    tellings: Sequence[Telling]
    top: Count | None = None
    folds: Count | None = None
    left_out: Sequence[Line] = ()


def confirmed_by(directory: str | Path | None) -> str | None:
    """Return the id of the sweep that another one confirms, by the folder of that one's space.

    None if it is a search.
    """
    found = _CONFIRMATION.search(Path(directory or "").as_posix())
    return found[1] if found else None


def without_place(directory: str | None) -> str | None:
    """Return what a sweep's folder says without naming a place of the machine it was recorded on.

    None of a search; of a confirmation which sweep it confirms.
    """
    found = _CONFIRMATION.search(Path(directory or "").as_posix())
    return found[0] if found else None


def is_finalist(info: SweepInfo, record: Record) -> bool:
    """Whether an attempt is a finalist's training on fold 0: the champion is one of these."""
    if confirmed_by(info.directory) is None or record.outcome != "complete":
        return False
    return FINALIST in record.params and record.params.get(BLOCK) == 0


class Conclusions:
    """The conclusions in the folder of one sweep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def confirmed(self) -> ConfirmationRecord | None:
        """Return what the newest confirmation came to; None without one, or if that was deleted.

        Raises:
            RecordError: That is damaged.
        """
        path = self._confirmation_file()
        found = read_document(path, partial(shaped, ConfirmationRecord), _REMEDY)
        for name in (found.confirmation, found.trained_in) if found else ():
            if not SWEEP_ID.fullmatch(name):  # it may have come with an archive
                problem = f"{name!r} is no sweep's id"
                raise DamagedFileError(path, problem, _REMEDY)
        if found is None or not (self._folder.parent / found.confirmation).is_dir():
            return None
        return found

    def keep(self, confirmed: ConfirmationRecord) -> None:
        """Keep what a confirmation came to, in place of an earlier one's.

        Raises:
            StoreError: It cannot be written.
        """
        self._write(FILE, dataclasses.asdict(confirmed))
        (self._folder / _FORMER_FILE).unlink(missing_ok=True)

    def _confirmation_file(self) -> Path:
        """Return where a confirmation is kept, or was by format 1."""
        path = self._folder / FILE
        return path if path.exists() else self._folder / _FORMER_FILE

    def keep_tested(self, reading: str, telling: Telling, votes: Telling | None = None) -> None:
        """Keep what one reading of a test set said of the sweep.

        Args:
            reading: Its name, such as `1234abcd-1`: the same one is written over.
            telling: What it said.
            votes: What votes of the models it scored came to.

        Raises:
            StoreError: It cannot be written.
        """
        self._keep_telling(_TESTED.replace("*", reading), telling)
        if votes is not None:
            self._keep_telling(_VOTED.replace("*", reading), votes)

    def tellings(self, report: Report = warn) -> list[Telling]:
        """Return everything there is to say, the confirmation first.

        Args:
            report: Told of each damaged file, which is left out.
        """
        confirmed = heard(self.confirmed, report)
        tested = [told for read in self._tested() if (told := heard(read, report)) is not None]
        return [*(confirmed.tellings if confirmed else ()), *tested]

    def readers(self) -> list[Callable[[], object]]:
        """Return what reads each of the files; one that is damaged is an error of its reader."""
        return [self.confirmed, *self._tested()]

    def _tested(self) -> Iterator[Callable[[], Telling | None]]:
        paths = [path for kind in (_TESTED, _VOTED) for path in listed(self._folder, kind)]
        # Reading by reading, its votes last: `tested-1234abcd-1`, then `voted-1234abcd-1`.
        for path in sorted(paths, key=lambda path: (path.name.partition("-")[2], path.name)):
            yield partial(_read_telling, path)

    def _keep_telling(self, name: str, telling: Telling) -> None:
        try:
            _read_telling(self._folder / name)
        except DamagedFileError as error:  # it is made again; nothing is written over unseen
            warn(f"{error}: kept as {put_aside(error.path)}")
        self._write(name, dataclasses.asdict(telling))

    def _write(self, name: str, document: Mapping[str, Any]) -> None:
        content = json_bytes(document, indent=1)
        write_atomically(self._folder / name, content, "conclusion")


def _read_telling(path: Path) -> Telling | None:
    return read_document(path, partial(shaped, Telling), _TESTED_REMEDY)
