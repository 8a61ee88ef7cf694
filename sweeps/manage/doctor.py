"""`sweeps doctor`: checks that journal, files and MLflow agree, and that nothing is left behind.

The journal is the truth. Each check says every disagreement in one plain line; nothing is changed.
With `--fix`, `repair_sweep` makes MLflow agree: what differs is sent anew, and a run that has other
numbers is deleted first (MLflow keeps it in its bin). Damaged files are put aside under another
name. A damaged event stays where it is, and is a note: the next `sweeps run` makes up for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from sweeps.errors import StoreError
from sweeps.experiments.code import edited_files, unrecorded_package
from sweeps.home import Home
from sweeps.records import Conclusions, Record, RecordError, RecordStore, SweepInfo, heard, listed
from sweeps.records.evaluations import Evaluations
from sweeps.records.schema import DamagedFileError, DamagedRecordWarning, Report, put_aside
from sweeps.records.store import TEXTS, TRIALS, strays
from sweeps.runner.ownership import hold
from sweeps.tracking.address import sqlite_path
from sweeps.tracking.comparing import Comparison
from sweeps.tracking.preflight import check_store
from sweeps.tracking.store import one_line
from sweeps.tracking.sync import hold_to_send, send
from sweeps.wording import counted
from sweeps.workspace.databases import DatabaseRetry, check
from sweeps.workspace.files import remove
from sweeps.workspace.locks import holder_in


class Repair(Enum):
    """The repair of a problem; its value is the text that the user sees."""

    DATABASE = "`sweeps doctor --fix` puts the file aside and writes it anew from the journal"
    SEND = "`sweeps doctor --fix` sends it (`sweeps sync` sends only runs that are missing)"
    REPLACE = "`sweeps doctor --fix` deletes the run and sends it anew from the journal"
    ASIDE = "`sweeps doctor --fix` puts the file aside; the results of the trials stay"
    CLEAN = "`sweeps doctor --fix` or the next `sweeps run` clears it away"
    WAIT = "try again when the store answers"
    AS_SAID = "do what the line about the file says"


@dataclass(frozen=True)
class Problem:
    """One disagreement.

    Attributes:
        part: `records`, `mlflow`, `files` or `database`.
        what: A plain line about it.
        repair: Its repair.
        key: The attempt or file that it is about, if the repair needs it; else empty.
    """

    part: str
    what: str
    repair: Repair
    key: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """The result of an examination of a sweep or a home.

    Attributes:
        name: Name of the sweep; empty for the home.
        problems: The disagreements.
        notes: Lines worth knowing that are no problems.
        is_well: False if a note says that its code was edited, or that it is not reproducible.
    """

    name: str
    problems: Sequence[Problem]
    notes: Sequence[str] = ()
    is_well: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible mapping; the home has no name."""
        return {
            "sweep": self.name or None,
            "agrees": not self.problems,
            "problems": [
                {"part": one.part, "what": one.what, "repair": one.repair.value}
                for one in self.problems
            ],
            "notes": list(self.notes),
        }


def examine_home(home: Home, tracking_uri: str) -> Diagnosis:
    """Examine the database that all sweeps of a home share, and the files beside them."""
    problems: list[Problem] = []
    home.sweeps(lambda what: problems.append(_as_said(what)))
    problems += map(_left_over, _half_made(home.path))
    for pattern, what in ((".deleted-*", "a deletion"), (".import-*", "an import")):
        for path in home.sweeps_folder.glob(pattern):
            problems.append(Problem("files", f"{path}: {what} was not finished", Repair.CLEAN))
    for folder in filter(Path.is_dir, listed(home.path / "test")):
        for error in Evaluations(folder).unreadable():
            key = str(error.path) if isinstance(error, DamagedFileError) else ""
            repair = Repair.ASIDE if key else Repair.AS_SAID
            problems.append(Problem("files", str(error), repair, key))
    if (database := sqlite_path(tracking_uri)) is not None:
        try:
            check(database, DatabaseRetry())
        except StoreError as error:
            problems.append(Problem("database", str(error), Repair.DATABASE, str(database)))
    return Diagnosis("", problems)


def _half_made(folder: Path) -> list[Path]:
    """Return the temporary files in a folder that were never renamed to their final names."""
    return sorted(path for name in (".*.tmp", ".*.new", ".*.new-*") for path in folder.glob(name))


def _left_over(path: Path) -> Problem:
    return Problem("files", f"{path} belongs to nothing", Repair.CLEAN, str(path))


def examine_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> Diagnosis:
    """Compare journal, files and MLflow of one sweep.

    A running sweep is not compared, since its runs follow its journal.

    Raises:
        UsageError: An event is of a newer version, or MLflow refuses access.
    """
    if home.is_running(info.id):
        note = "is running now: its runs follow its journal, and are not compared"
        return Diagnosis(info.name, [], [note])
    store, notes, problems = home.store(info.id), list[str](), list[Problem]()
    is_well = True
    with warnings.catch_warnings(action="ignore", category=DamagedRecordWarning):
        try:
            records = store.read_all(report=lambda line: None)
            notes += store.journal.damage  # also what a start has told of
            problems += _files(store, notes)
            if not store.is_archived:  # its runs are hidden
                problems += _mlflow(store, info, tracking_uri)
            is_well = _note_what_is_known(store, info, records, notes)
        except RecordError as error:
            problems.append(_as_said(str(error)))
    return Diagnosis(info.name, problems, notes, is_well)


def _as_said(what: str) -> Problem:
    return Problem("records", what, Repair.AS_SAID)


def _files(store: RecordStore, notes: list[str]) -> Iterator[Problem]:
    """Yield the damaged and left-over files of a sweep; note those that are gone."""
    said = list[str]()
    damaged, gone = store.altered_files()
    notes += [f"{path} is gone: details are lost, and no result" for path in gone]
    for path in damaged:
        what = f"{path} is damaged, its checksum does not fit its event"
        yield Problem("files", what, Repair.ASIDE, str(path))
    for read in Conclusions(store).readers():
        heard(read, said.append)
    yield from map(_as_said, dict.fromkeys(said))
    half_made = [path for part in ("", TRIALS, TEXTS) for path in _half_made(store.folder / part)]
    yield from map(_left_over, [*half_made, *strays(store)])
    with suppress(OSError):
        if holder_in(store.folder / "lock"):  # empty after a clean end
            what = "the lock names a process that does not hold it"
            yield Problem("files", what, Repair.CLEAN)


def _mlflow(store: RecordStore, info: SweepInfo, tracking_uri: str) -> Iterator[Problem]:
    """Yield the differences between MLflow and the journal."""
    away, damaged = check_store(tracking_uri), list[str]()
    if away is None:
        try:
            comparison = Comparison(store, info, tracking_uri)
        except Exception as error:
            away = one_line(error)
    if away is not None:
        yield Problem("mlflow", f"MLflow could not be read: {away}", Repair.WAIT)
        return
    yield from map(_left_over, comparison.half_copied)
    for what, key, is_fixed in comparison.differences(damaged.append):
        yield Problem("mlflow", what, Repair.REPLACE if is_fixed else Repair.SEND, key)
    remedy = f"the champion is of no use until it is trained again: `sweeps confirm {info.name}`"
    yield from (_as_said(f"{what}; {remedy}") for what in damaged)


def _note_what_is_known(
    store: RecordStore, info: SweepInfo, records: Sequence[Record], notes: list[str]
) -> bool:
    """Note what is worth knowing; return whether nothing of it speaks against the results."""
    final = {record.trial: record for record in records if record.ends_trial}
    known = {record.trial for record in records} | store.asked_for().keys()
    if left := sorted(known - final.keys()):
        names = ", ".join(map(str, left[:10])) + (", ..." if len(left) > 10 else "")
        has = f"{counted(len(left), 'trial')} {'has' if len(left) == 1 else 'have'}"
        notes.append(f"{has} no outcome yet ({names}); `sweeps run` goes on with the sweep")
    last = next(reversed(final.values()), None)
    edited = edited_files(store, info, last) if last else []
    if last and edited:
        notes.append(
            f"its code was edited since trial {last.trial} was trained ({', '.join(edited)}): "
            "with the edited code the sweep cannot go on, and its trials cannot be used"
        )
    if last and (package := unrecorded_package(store, info, last)):
        notes.append(
            f"the code of {package} was not recorded when it was made, so no edit of it is "
            "noticed; from the next start on the code of then counts"
        )
    if info.irreproducible:
        notes.append(f"not reproducible: {info.irreproducible}")
    elif info.checked is not None:
        trial = info.checked.trial
        notes.append(f"checked: trial {trial}, trained a second time, is the same to the bit")
    return not (edited or info.irreproducible)


def repair_home(home: Home, infos: Sequence[SweepInfo], tracking_uri: str, say: Report) -> None:
    """Put damaged files aside and remove half-made ones; the repair of each sweep sends it anew.

    Raises:
        UsageError: A sweep is running, and may be using them.
    """
    if not (problems := examine_home(home, tracking_uri).problems):
        return
    with ExitStack() as locks:
        for info in infos:
            locks.enter_context(hold(home, info))
        with home.exclusive():
            home.remove_unborn()
            _clear(problems, say)


def repair_sweep(home: Home, info: SweepInfo, tracking_uri: str, say: Report) -> None:
    """Repair what can be repaired from the journal; a sweep that is running is left alone."""
    problems = examine_sweep(home, info, tracking_uri).problems
    if {problem.repair for problem in problems} <= {Repair.AS_SAID, Repair.WAIT}:
        return
    with hold_to_send(home, info, tracking_uri) as held:  # this clears the lock
        _clear(problems, say)
        wrong = {problem.key for problem in problems if problem.repair == Repair.REPLACE}
        again = {problem.key for problem in problems if problem.repair == Repair.SEND} | wrong
        if again:

            def tell(change: str, key: str) -> None:
                say(f"{info.name}: {change} {key}")

            send(home, info, tracking_uri, held, tell, again=again, replaced=wrong)


def _clear(problems: Sequence[Problem], say: Report) -> None:
    """Put damaged files aside, and remove what belongs to nothing."""
    for problem in problems:
        path = Path(problem.key)
        if problem.repair in {Repair.ASIDE, Repair.DATABASE}:
            for end in ("", "-wal", "-shm", "-journal"):
                if (part := path.with_name(path.name + end)).exists():
                    say(f"{part} is kept as {put_aside(part).name}")
        elif problem.repair == Repair.CLEAN and problem.key:
            remove(path)
            say(f"removed {path}")
