"""Finds and mends damaged side files: notes, enqueued points, conclusions, test-set evaluations.

A damaged file is put aside, never deleted. If its content is known elsewhere, it is written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sweeps.home import Home
from sweeps.manage.doctor.evidence import Evidence, Problem, Repair
from sweeps.records import (
    DamagedFileError,
    EnqueuedPoints,
    Record,
    RecordError,
    SweepInfo,
    listed,
    put_aside,
)
from sweeps.records.enqueued import Enqueued
from sweeps.records.evaluations import Evaluations
from sweeps.records.side_files import unreadable_files
from sweeps.study.copies import read_study
from sweeps.study.proposals import is_enqueued
from sweeps.study.storage import proposal_of_record, proposal_of_trial


def check(evidence: Evidence) -> Iterator[Problem]:
    """Yield the files beside the records of a sweep that cannot be read."""
    yield from map(_problem, unreadable_files(evidence.store.folder))


def check_home(home: Home) -> Iterator[Problem]:
    """Yield the test-set evaluations that cannot be read."""
    for folder in listed(home.path / "test"):
        if folder.is_dir():
            yield from map(_problem, Evaluations(folder).unreadable())


def mend(problems: Sequence[Problem], say: Callable[[str], None]) -> list[Path]:
    """Put the damaged files aside; return their former paths."""
    paths = [Path(p.key) for p in problems if p.repair == Repair.ASIDE and Path(p.key).exists()]
    for path in paths:
        say(f"{path} is kept as {put_aside(path).name}")
    return paths


def write_anew(
    home: Home,
    info: SweepInfo,
    records: Sequence[Record],
    lost: Sequence[Path],
    say: Callable[[str], None],
) -> None:
    """Write lost files of a sweep anew, as far as records and study hold their content.

    Args:
        home: The home of the sweep.
        info: The sweep.
        records: All of its records.
        lost: Files that were put aside.
        say: Receives a line about each file.
    """
    store = home.store(info.id)
    proposals = {
        t.number: proposal_of_trial(t) for t in read_study(home.studies, info.study_name) or ()
    }
    proposals |= {record.spec.trial: proposal_of_record(record) for record in records}
    tried: dict[int, Enqueued] = {
        trial: (proposal.params, proposal.origin)
        for trial, proposal in proposals.items()
        if is_enqueued(proposal.origin)
    }
    for path in lost:
        if path == store.asked_file:
            store.note_asked(len(proposals))
            say(f"{path}: written anew, the {len(proposals)} trials there are")
        elif EnqueuedPoints(store.folder).write_anew(path, tried):
            say(f"{path}: written anew from the trial that tried it")


def _problem(error: RecordError) -> Problem:
    if isinstance(error, DamagedFileError):
        return Problem("files", str(error), Repair.ASIDE, str(error.path))
    return Problem("files", str(error), Repair.AS_SAID)
