"""Examines one sweep, or the files that all sweeps of a home share; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeps.errors import StoreError
from sweeps.experiments.code import edited_files
from sweeps.home import Home
from sweeps.manage.doctor import champion, leftovers, runs, side_files, study
from sweeps.manage.doctor.evidence import Evidence, Problem, Repair, gather
from sweeps.records import RecordError, SweepInfo
from sweeps.tracking.address import sqlite_path
from sweeps.workspace.databases import DatabaseRetry, check


@dataclass(frozen=True)
class Diagnosis:
    """The result of an examination of a sweep or a home.

    Attributes:
        name: Name of the sweep; empty for the home.
        problems: The disagreements; empty if all is well.
        notes: Lines worth knowing that are no problems.
    """

    name: str
    problems: Sequence[Problem]
    notes: Sequence[str] = ()

    @property
    def agrees(self) -> bool:
        """Whether all is well."""
        return not self.problems


def examine_home(home: Home, tracking_uri: str) -> Diagnosis:
    """Examine the databases that all sweeps of a home share, and the files beside them."""
    unreadable: list[str] = []
    home.sweeps(unreadable.append)
    problems = [Problem("records", what, Repair.BY_HAND) for what in unreadable]
    problems += [*leftovers.check_home(home), *side_files.check_home(home)]
    if home.shared is None:
        problems += _damaged(home.optuna_db)
    runs_database = sqlite_path(tracking_uri)
    if runs_database is not None:
        problems += _damaged(runs_database)
    return Diagnosis("", problems)


def examine_sweep(home: Home, info: SweepInfo, tracking_uri: str) -> Diagnosis:
    """Compare records, study and MLflow of one sweep.

    A running sweep is not compared, since its study and its runs follow its records. Nor is a sweep
    with a file that only the user can mend, such as a record of another format version.
    """
    if home.is_running(info.id):
        note = "is running now: its study and its runs follow its records, and are not compared"
        return Diagnosis(info.name, [], [note])
    try:
        return _compared(gather(home, info, tracking_uri))
    except RecordError as error:
        return Diagnosis(info.name, [Problem("records", str(error), Repair.AS_SAID)])


def _compared(evidence: Evidence) -> Diagnosis:
    info = evidence.info
    problems = [*leftovers.check(evidence), *side_files.check(evidence), *study.check(evidence)]
    if not evidence.store.is_archived:  # its runs are hidden
        problems += [*runs.check(evidence), *champion.check(evidence)]
    trials = study.unfinished(evidence)
    names = ", ".join(str(trial) for trial in trials[:10]) + (", ..." if len(trials) > 10 else "")
    count = "1 trial has" if len(trials) == 1 else f"{len(trials)} trials have"
    note = f"{count} no outcome yet ({names}); `sweeps run` goes on with the sweep"
    notes = [note] if trials else []
    return Diagnosis(info.name, problems, [*notes, *_edited(evidence), *_reproducible(info)])


def _edited(evidence: Evidence) -> Iterator[str]:
    for record in list(evidence.final.values())[-1:]:
        if names := edited_files(evidence.store, evidence.info, record):
            yield (
                f"its code was edited since trial {record.spec.trial} was trained "
                f"({', '.join(names)}): with the edited code the sweep cannot go on, and its "
                "trials cannot be used"
            )


def _reproducible(info: SweepInfo) -> Iterator[str]:
    if info.irreproducible:
        yield f"not reproducible: {info.irreproducible}"
    elif info.checked is not None:
        yield f"checked: trial {info.checked.trial}, trained a second time, is the same to the bit"


def _damaged(database: Path) -> Iterator[Problem]:
    try:
        check(database, DatabaseRetry())
    except StoreError as error:
        yield Problem("database", str(error), Repair.DATABASE, str(database))
