"""Keeps the conclusions about a sweep beside its records, for reports and MLflow to show.

They are made from the records of other sweeps (its confirmations), so the same command makes them
again.
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
"""The two parameters of a confirmation's space: the finalist to train, and the fresh fold."""
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
    """One conclusion in words and figures: a section of a report.

    Attributes:
        anchor: Its address on a page.
        title: Its heading.
        lead: The most important sentence.
        columns: Headings of its table.
        rows: Cells of the table, as they are shown.
        lines: Further sentences.
        note: The method by which it was found.
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
    """The conclusion of a confirmation.

    Attributes:
        confirmation: Id of its sweep.
        trained_in: Id of the sweep that trained the champion: the confirmation, or a refit.
        champion: The attempt whose model is the champion, `<trial>-<attempt>`.
        winner: Label of the finalist to take, such as `trial-17`.
        tellings: The sections that it adds to a report.
        top: How many of the best trials were finalists; None in files from before this was kept.
        folds: Number of folds; None likewise.
        left_out: Labels of finalists that the user left out.
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
    """Return the id of the sweep that a confirmation confirms; None for a search.

    Args:
        directory: Folder of the confirmation's space file, which holds that id.
    """
    found = _CONFIRMATION.search(Path(directory or "").as_posix())
    return found[1] if found else None


def without_place(directory: str | None) -> str | None:
    """Return a sweep's folder without the part that names a place on one machine.

    For a confirmation, the rest says which sweep it confirms; for a search, nothing is left (None).
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
        """Return the newest confirmation's conclusion; None if there is none, or it was deleted.

        Raises:
            RecordError: Its file is damaged.
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
        """Keep the conclusion of a confirmation, in place of an earlier one.

        Raises:
            StoreError: It cannot be written.
        """
        self._write(FILE, dataclasses.asdict(confirmed))
        (self._folder / _FORMER_FILE).unlink(missing_ok=True)

    def _confirmation_file(self) -> Path:
        """Return the file of the conclusion, under its name of format 1 if only that is there."""
        path = self._folder / FILE
        return path if path.exists() else self._folder / _FORMER_FILE

    def keep_tested(self, reading: str, telling: Telling, votes: Telling | None = None) -> None:
        """Keep the results of one test-set evaluation of the sweep.

        Args:
            reading: Name of the evaluation, such as `1234abcd-1`; its earlier results are replaced.
            telling: The section with its results.
            votes: The section about ensembles of the models that it scored.

        Raises:
            StoreError: It cannot be written.
        """
        self._keep_telling(_TESTED.replace("*", reading), telling)
        if votes is not None:
            self._keep_telling(_VOTED.replace("*", reading), votes)

    def tellings(self, report: Report = warn) -> list[Telling]:
        """Return all sections, those of the confirmation first.

        Args:
            report: Receives a line about each damaged file, which is left out.
        """
        confirmed = heard(self.confirmed, report)
        tested = [told for read in self._tested() if (told := heard(read, report)) is not None]
        return [*(confirmed.tellings if confirmed else ()), *tested]

    def readers(self) -> list[Callable[[], object]]:
        """Return one function per file that reads it, and raises if the file is damaged."""
        return [self.confirmed, *self._tested()]

    def _tested(self) -> Iterator[Callable[[], Telling | None]]:
        paths = [path for kind in (_TESTED, _VOTED) for path in listed(self._folder, kind)]
        # By evaluation, its votes last: `tested-1234abcd-1`, then `voted-1234abcd-1`.
        for path in sorted(paths, key=lambda path: (path.name.partition("-")[2], path.name)):
            yield partial(_read_telling, path)

    def _keep_telling(self, name: str, telling: Telling) -> None:
        try:
            _read_telling(self._folder / name)
        except DamagedFileError as error:  # it is replaced below, so the old file is kept aside
            warn(f"{error}: kept as {put_aside(error.path)}")
        self._write(name, dataclasses.asdict(telling))

    def _write(self, name: str, document: Mapping[str, Any]) -> None:
        content = json_bytes(document, indent=1)
        write_atomically(self._folder / name, content, "conclusion")


def _read_telling(path: Path) -> Telling | None:
    return read_document(path, partial(shaped, Telling), _TESTED_REMEDY)
