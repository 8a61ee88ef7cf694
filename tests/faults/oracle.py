"""Nine invariants that hold after every case, whatever was killed, full, locked or away.

I1 nothing recorded is lost     I4 exactly N outcomes           I7 same seed, same trials
I2 nothing is left RUNNING      I5 at most W repeated, marked   I8 exit code and one reason
I3 one MLflow run an attempt    I6 all that is stored agrees    I9 nothing is left behind
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.evidence import FINISHED, Evidence, Model


@dataclass
class Asked:
    """What was asked for and done to a sweep, known to the harness.

    Attributes:
        trials: Trials that must have an outcome.
        recorded: Trials whose outcome was safe before a fault: value and parameters.
        workers_killed: Most trainings that may have been begun again.
        lost_events: Whether the case took events from the journal: then not every attempt need be
            in it, and their numbers may have gaps.
        failing: Trials whose outcome may be a failure.
        prunes: Whether a pruner may end trials.
        undisturbed: Table of the same sweep left alone; None if it does not apply.
        exit_code: How the last process ended.
        exit_codes: What it may end with.
        stderr: What the processes of the case said.
        parent: Status the parent run must have.
    """

    trials: int
    recorded: dict[int, tuple[float | None, dict[str, Any]]] = field(default_factory=dict)
    workers_killed: int = 0
    lost_events: bool = False
    failing: frozenset[int] = frozenset()
    prunes: bool = False
    undisturbed: list[Any] | None = None
    exit_code: int | None = 0
    exit_codes: tuple[int, ...] = (0,)
    stderr: str = ""
    parent: str = "FINISHED"


def violations(found: Evidence, asked: Asked) -> list[str]:
    """Return what is wrong, such as `I3: attempt 4-1 has 2 runs`; empty if all is well."""
    unreadable = [f"I1: {what}" for what in found.unreadable]
    return unreadable + [f"{name}: {what}" for name, rule in RULES.items()
                         for what in rule(found, asked)]  # fmt: skip


def _nothing_recorded_is_lost(found: Evidence, asked: Asked) -> Iterator[str]:
    trials = {trial.number: trial for trial in found.trials}
    ended = {a.trial: a for a in found.attempts if a.state in FINISHED}
    for number, (value, params) in asked.recorded.items():
        trial, attempt = trials.get(number), ended.get(number)
        if trial is None or trial.state not in FINISHED:
            yield f"trial {number} was recorded, it is {trial.state if trial else 'gone'}"
        elif (trial.value, dict(trial.params)) != (value, params):
            now = f"{trial.value} at {dict(trial.params)}"
            yield f"trial {number} was {value} at {params}, is {now}"
        if attempt is None:
            yield f"trial {number} was recorded, its record is gone"
        elif (attempt.value, dict(attempt.params)) != (value, params):
            yield f"the record of trial {number} has changed"


def _nothing_is_running(found: Evidence, asked: Asked) -> Iterator[str]:
    for trial in found.trials:
        if trial.state not in FINISHED:
            yield f"trial {trial.number} is {trial.state}"
    for run in found.runs:
        if run.status == "RUNNING":
            yield f"MLflow run {run.key or run.kind} is RUNNING"


def _one_run_an_attempt(found: Evidence, asked: Asked) -> Iterator[str]:
    parents = [run.status for run in found.runs if run.kind == "sweep"]
    if parents != [asked.parent]:
        yield f"parent runs: {parents or 'none'}, must be one {asked.parent}"
    children = [run for run in found.runs if run.kind != "sweep"]
    counted = Counter(run.key for run in children)
    for attempt in found.attempts:
        if counted[attempt.key] != 1:
            yield f"attempt {attempt.key} has {counted[attempt.key]} runs"
    known = {attempt.key: attempt for attempt in found.attempts}
    for run in children:
        attempt = known.get(run.key)
        if attempt is None:
            yield f"run {run.key or 'without a key'} belongs to no attempt"
        elif run.status not in {attempt.status, "RUNNING"}:  # RUNNING is I2's
            yield f"run {run.key} is {run.status}, must be {attempt.status}"


def _exactly_n_outcomes(found: Evidence, asked: Asked) -> Iterator[str]:
    states = {trial.number: trial.state for trial in found.trials}
    ended = [number for number, state in states.items() if state in FINISHED]
    if len(ended) != asked.trials:
        yield f"{len(ended)} trials have an outcome, {asked.trials} were asked for"
    if sorted(states) != list(range(len(states))):
        yield f"the trials are not numbered densely: {sorted(states)}"
    for number in ended:
        may = {"COMPLETE", "PRUNED"} if asked.prunes else {"COMPLETE"}
        if states[number] not in may and number not in asked.failing:
            yield f"trial {number} is {states[number]} for no fault of its own"
    yield from _all_were_asked_for(found, asked)


def _all_were_asked_for(found: Evidence, asked: Asked) -> Iterator[str]:
    """Yield what the journal lacks: each attempt is asked for once, and before it begins."""
    if found.asked is None:
        return
    keys = [attempt.key for attempt in found.asked]
    yield from _doubled("was asked for", keys)
    yield from _doubled("ended", found.ended)
    if asked.lost_events:
        return
    for line in found.damaged_events:
        yield f"the journal has a damaged event: {line}"
    if found.events != list(range(1, len(found.events) + 1)):
        yield f"the events are not numbered densely: {found.events}"
    trials = list(dict.fromkeys(attempt.trial for attempt in found.asked))
    if trials != list(range(len(trials))):
        yield f"the trials were not asked for in their order, each once: {trials}"
    begun = {f"{trial:04d}-{attempt}" for trial, attempt in found.begun}
    if unasked := begun - {*keys}:
        yield f"begun, and never asked for: {sorted(unasked)}"
    if unasked := {attempt.key for attempt in found.attempts} - {*keys}:
        yield f"recorded, and never asked for: {sorted(unasked)}"


def _doubled(what: str, keys: list[str]) -> Iterator[str]:
    for key, times in Counter(keys).items():
        if times > 1:
            yield f"attempt {key} {what} {times} times"


def _few_are_repeated(found: Evidence, asked: Asked) -> Iterator[str]:
    again = {trial: times - 1 for trial, times in found.trainings.items() if times > 1}
    if sum(again.values()) > asked.workers_killed:
        yield f"{sum(again.values())} trainings were begun again, {asked.workers_killed} killed"
    last = {a.trial: a.number for a in found.attempts}  # ordered by attempt
    for trial, times in again.items():
        if last.get(trial, 0) <= times and not asked.lost_events:  # else nobody knows of it
            counted = last.get(trial)
            yield f"trial {trial} was trained {times + 1} times, its last attempt is {counted}"
    final = Counter(a.trial for a in found.attempts if a.state in FINISHED)
    for trial, times in final.items():
        if times > 1:
            yield f"trial {trial} ended {times} times"


def _all_agree(found: Evidence, asked: Asked) -> Iterator[str]:
    complete = [s for s in found.trials if s.state == "COMPLETE" and s.value is not None]
    sign = 1 if found.maximize else -1
    best = max(complete, key=lambda s: (sign * s.value, -s.number), default=None)  # type: ignore[operator]
    by_trials = (best.number, best.value) if best else None
    if found.best != by_trials:
        yield f"best by the report {found.best}, by the trials {by_trials}"
    for run in found.runs:
        if run.kind == "sweep" and best and run.metrics.get(found.metric) != best.value:
            metric = run.metrics.get(found.metric)
            yield f"best by the parent run {metric}, by the trials {by_trials}"
    if found.models is not None and found.best:
        yield from _champion(found.models, found.best[0])
    yield from _attempts_agree(found)


def _attempts_agree(found: Evidence) -> Iterator[str]:
    trials = {trial.number: trial for trial in found.trials}
    runs = {run.key: run for run in found.runs}
    for attempt in found.attempts:
        trial, run = trials.get(attempt.trial), runs.get(attempt.key)
        if attempt.state == "COMPLETE" and trial and trial.value != attempt.value:
            yield f"trial {trial.number} is {trial.value}, its attempt {attempt.value}"
        if trial and dict(trial.params) != dict(attempt.params):
            yield f"trial {trial.number}: an attempt was recorded with other parameters"
        if run and attempt.state == "COMPLETE" and run.metrics.get(found.metric) != attempt.value:
            yield f"attempt {attempt.key}: {attempt.value}, by MLflow {run.metrics}"
        if run and not _says(run.params, attempt.params):
            yield f"attempt {attempt.key}: its parameters differ in MLflow"
    if found.asked is not None and {*found.ended} != {attempt.key for attempt in found.attempts}:
        yield f"attempts that have ended by the journal: {sorted({*found.ended})}"
    for event in found.asked or []:
        if dict(event.params) != dict(trials[event.trial].params):
            yield f"attempt {event.key} was asked for with other parameters than its trial has"


def _champion(models: list[Model], best: int) -> Iterator[str]:
    champions = [model.champion.partition("-")[0] for model in models]
    if champions != [f"{best:04d}"]:
        yield f"registered champions: {champions or 'none'}, must be one of trial {best}"
    for model in models:
        doubled = [d for d, times in Counter(model.digests).items() if times > 1]
        if doubled:
            yield f"{len(doubled)} records have more than one model version"


def _same_seed_same_trials(found: Evidence, asked: Asked) -> Iterator[str]:
    if asked.undisturbed is None:
        return
    table = found.table()
    for here, there in zip(table, asked.undisturbed, strict=False):
        if here != there:
            yield f"trial {here[0]} is {here[1:]}, undisturbed {there[1:]}"
            return
    if len(table) != len(asked.undisturbed):
        yield f"{len(table)} trials, undisturbed {len(asked.undisturbed)}"


def _exit_and_reason(found: Evidence, asked: Asked) -> Iterator[str]:
    if asked.exit_code not in asked.exit_codes:
        yield f"exit code {asked.exit_code}, must be {' or '.join(map(str, asked.exit_codes))}"
    if "Traceback (most recent call last)" in asked.stderr:
        yield f"a traceback: ...{asked.stderr.strip()[-300:]}"
    if asked.exit_code not in {0, None} and not asked.stderr.strip():
        yield f"exit code {asked.exit_code} without a word"


def _nothing_is_left(found: Evidence, asked: Asked) -> Iterator[str]:
    yield from found.leftovers


def _says(logged: Mapping[str, str], params: Mapping[str, Any]) -> bool:
    """Whether MLflow has the parameters; it takes 6000 characters of each."""
    texts = {name: str(value) for name, value in params.items()}
    short = {name for name, text in texts.items() if len(text) <= 6000}
    return all(
        logged.get(name) == text if name in short else logged.get(name, "").startswith(text[:5900])
        for name, text in texts.items()
    )


RULES: Mapping[str, Callable[[Evidence, Asked], Iterator[str]]] = {
    "I1": _nothing_recorded_is_lost,
    "I2": _nothing_is_running,
    "I3": _one_run_an_attempt,
    "I4": _exactly_n_outcomes,
    "I5": _few_are_repeated,
    "I6": _all_agree,
    "I7": _same_seed_same_trials,
    "I8": _exit_and_reason,
    "I9": _nothing_is_left,
}
