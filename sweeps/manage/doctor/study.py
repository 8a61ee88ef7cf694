"""Compares the study with the records: trials, states, values, parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from optuna.trial import FrozenTrial, TrialState

from sweeps.manage.doctor.evidence import Evidence, Problem, Repair
from sweeps.records import Record, SweepInfo
from sweeps.study.sampler_view import trial_outcome


def check(evidence: Evidence) -> Iterator[Problem]:
    """Yield the differences between the study and the records."""
    if evidence.trials is None:
        if evidence.records:
            repair = Repair.RUN if evidence.info.first_trial else Repair.STUDY
            yield _problem(f"optuna.db has no study {evidence.info.study_name!r}", repair)
        return
    known, info = {trial.number: trial for trial in evidence.trials}, evidence.info
    recorded = {record.spec.trial for record in evidence.records}
    reach = next(number for number in count() if number not in recorded | known.keys())
    for number in sorted(recorded - known.keys()):
        # If an earlier trial is unknown, it must be proposed again before this one can be stored.
        repair = Repair.STUDY if reach > number >= info.first_trial else Repair.RUN
        yield _problem(f"trial {number} is recorded, and the study does not have it", repair)
    for number, trial in known.items():
        # The study of an extended sweep has earlier trials as points of its new space; skip them.
        if number >= info.first_trial:
            # If a trial is to be run again, the study may still have it as failed.
            is_retried = number in evidence.retried and trial.state == TrialState.FAIL
            record = evidence.final.get(number)
            if record is not None or not is_retried:
                yield from _disagreements(info, trial, record)


def unfinished(evidence: Evidence) -> list[int]:
    """Return the numbers of the trials without an outcome; the next `sweeps run` finishes them."""
    recorded = {record.spec.trial for record in evidence.records}
    stored = {t.number for t in evidence.trials or () if t.state == TrialState.RUNNING}
    return sorted((recorded | stored) - evidence.final.keys())


def _disagreements(info: SweepInfo, trial: FrozenTrial, record: Record | None) -> Iterator[Problem]:
    name = f"trial {trial.number}"
    if record is None:
        if trial.state.is_finished():
            yield _problem(f"{name} is {trial.state.name} in the study, and no record says so")
        return
    outcome = trial_outcome(record, info.objectives)
    there, wanted = (_worth(values) for values in (trial.values, outcome.values))
    if trial.state == TrialState.RUNNING:
        yield _problem(f"{name} is RUNNING in the study, and its record ends it")
    elif trial.state != outcome.state:
        yield _problem(
            f"{name} is {trial.state.name} in the study and {outcome.state.name} by its record"
        )
    elif there != wanted:
        yield _problem(f"{name} is worth {there} in the study, {wanted} by its record")
    if trial.params != dict(record.params):
        yield _problem(f"{name} has other parameters in the study than in its record")


def _worth(values: Sequence[float] | None) -> str:
    return "nothing" if values is None else ", ".join(map(str, values))


def _problem(what: str, repair: Repair = Repair.STUDY) -> Problem:
    return Problem("study", what, repair)
