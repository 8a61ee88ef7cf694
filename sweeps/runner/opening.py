"""Finds the sweep of a name, creates or extends it; the same name with other options is refused."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from optuna.trial import FrozenTrial, TrialState

from search_spaces.errors import SpaceError, did_you_mean
from search_spaces.mapping import space_differences
from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.config.sweep import SweepConfig
from sweeps.errors import UsageError
from sweeps.experiments.loading import check_trust, experiment_folder
from sweeps.home import Home
from sweeps.records import (
    CodeHistory,
    Generation,
    Hunch,
    Record,
    SweepInfo,
    UnfinishedSlot,
    attempts_put_aside,
)
from sweeps.runner.recording import describe
from sweeps.runner.trial_queue import SlotStore, TrialQueue
from sweeps.runner.warm_start import PriorTrial, describe_prior, prior_trials
from sweeps.study.proposals import Proposal
from sweeps.study.sampler_view import trial_outcome
from sweeps.study.storage import (
    ATTEMPTS,
    distributions_to_json,
    proposal_of_record,
    proposal_of_trial,
    stored_slots,
)
from sweeps.workspace.clock import now_ms
from sweeps.workspace.failpoints import reached
from sweeps.workspace.names import free_name

EXTENDABLE: Final = frozenset({"space", "sampler", "pruner", "ask_ahead", "code"})
"""What --extend may change of a fingerprint; the rest makes trials of one sweep comparable."""


def open_sweep(config: SweepConfig, code: Mapping[str, Any]) -> SweepInfo:
    """Return the sweep to run: the existing one of that name, or a new one.

    Raises:
        UsageError: The name belongs to a sweep with other options; names them and the ways out.
    """
    check_fingerprint(config)
    _make(config.home.records)
    with config.home.exclusive():
        # Once more under the lock: another process may just have taken the name.
        config.home.remove_unborn()
        existing = check_fingerprint(config)
        if existing is not None:
            return existing
        info = _new_sweep(config, code)
        config.home.store(info.id).create(info)
        keep_code(config, info)
        return info


def check_fingerprint(config: SweepConfig) -> SweepInfo | None:
    """Return the existing sweep of that name, None if there is none.

    With `extend` its newest generation may differ in what an extension may change.

    Raises:
        UsageError: It was made with other options; or there is nothing to extend.
    """
    info = config.home.find(config.name)
    if info is None and config.extend:
        names = [i.name for i in config.home.sweeps()]
        raise UsageError(
            f"--extend: no sweep {config.name!r} in {config.home.path}"
            f"{did_you_mean(config.name, names)}; existing: {', '.join(names) or 'none'}. "
            "Leave --extend out to begin it"
        )
    if info is not None:
        check_trust(info, config.home.records)
    if info is None or not differing(info, config):
        return info
    kept = _beyond_extension(info, config)
    if config.extend and not kept:
        return info
    raise UsageError(_refusal(info, config, kept))


def differing(info: SweepInfo, config: SweepConfig) -> list[str]:
    """Return the keys of the fingerprint by which a sweep is another one than what is asked for."""
    keys = [k for k, asked in config.fingerprint.items() if info.fingerprint.get(k) != asked]
    is_known = config.same_code or "code" not in keys or _is_known_code(info, config)
    return [key for key in keys if key != "code" or not is_known]


def _is_known_code(info: SweepInfo, config: SweepConfig) -> bool:
    """Whether the code is what the sweep's newest generation goes on with, or none was kept yet."""
    history = CodeHistory(config.home.store(info.id).folder)
    assert config.code is not None
    before = code_before(info, history)
    return before is None or config.code.digest in history.same_as(before)


def code_before(info: SweepInfo, history: CodeHistory) -> str | None:
    """Return the digest of the code that a sweep goes on with; None of one made before there was.

    Such a sweep goes on with the code of its next start.
    """
    recorded: str | None = info.fingerprint.get("code")
    first = next(iter(history.all()), None)
    return recorded or (first.digest if first else None)


def keep_code(config: SweepConfig, info: SweepInfo) -> str | None:
    """Keep the code that a sweep goes on with; only for who keeps others out.

    Returns:
        A line to be said, if there is one.
    """
    if config.code is None:
        return None
    history = CodeHistory(config.home.store(info.id).folder)
    before = code_before(info, history)
    code, said = config.code, None
    if before is None:
        said = (
            "its code was not recorded when it was made: what there is now counts as the code of "
            "its trials from here on"
        )
    elif code.digest not in history.same_as(before):  # declared to be
        code = dataclasses.replace(code, same_as=before)
        said = f"its code was edited and is declared to be the same ({code.digest:.12})"
    history.keep(code)
    return said


def _refusal(info: SweepInfo, config: SweepConfig, kept: Sequence[str]) -> str:
    differences = "; ".join(_differences(info, config))
    new_name = free_name(config.name, (i.name for i in config.home.sweeps()))
    if differing(info, config) == ["code"] and config.retry is not None:
        return (
            f"sweep {config.name!r} was made by other code: {differences}\n"
            "Two ways out: undo the edit; or, if the edit is the cure and leaves the numbers of "
            "trials that ended well the same: --same-code. If it changes them, nothing is retried: "
            "`sweeps run` of this sweep with --extend goes on with the new code"
        )
    if differing(info, config) == ["code"]:
        return (
            f"sweep {config.name!r} was made by other code: {differences}\n"
            f"Four ways out: undo the edit; begin another sweep: --name {new_name}; let this one "
            "go on with the new code, its trials kept: --extend; or, if its numbers stay the same "
            "(a comment, or a cure for trials that failed): --same-code"
        )
    text = f"sweep {config.name!r} exists with other options ({differences}). "
    repeat = "repeat the options it was made with to continue it"
    if kept:
        return (
            f"{text}{repeat.capitalize()}, or begin another: --name {new_name}. --extend cannot "
            f"change {', '.join(kept)}: trials of one sweep must compare"
        )
    return (
        f"{text}Three ways out: {repeat}; begin another: --name {new_name}; or let this one go on "
        "like that, its trials kept: --extend"
    )


def _beyond_extension(info: SweepInfo, config: SweepConfig) -> list[str]:
    """Return what differs that no extension may change."""
    same_objectives = info.objectives == config.space.objectives
    kept = [key for key in differing(info, config) if key not in EXTENDABLE]
    return kept if same_objectives else [*kept, "objective"]


def _differences(info: SweepInfo, config: SweepConfig) -> Iterator[str]:
    for key in differing(info, config):
        there, asked = info.fingerprint.get(key), config.fingerprint[key]
        if key == "code":
            yield "\n".join(["code", *(f"  {line}" for line in _code_changes(info, config))])
        elif key == "space":
            differences = space_differences(info.space, config.space.to_dict())
            yield from (f"space, {difference}" for difference in differences)
        elif key == "data" and info.data.get("name") == config.data.name:
            yield f"data: {config.data.name} has changed, {_short(there)} then, {_short(asked)} now"
        else:
            yield f"{key}: {_short(there)} there, {_short(asked)} asked"


def _code_changes(info: SweepInfo, config: SweepConfig) -> list[str]:
    history = CodeHistory(config.home.store(info.id).folder)
    before = history.find(code_before(info, history) or "")
    assert config.code is not None
    return before.changes(config.code) if before else ["what it was is not kept"]


def _short(value: Any) -> str:
    if isinstance(value, Mapping) and "name" in value:
        options = value.get("options") or {}
        return str(value["name"]) + (f" {dict(options)}" if options else "")
    text = str(value)
    return text if len(text) <= 60 else text[:12] + "..."


def _new_sweep(config: SweepConfig, code: Mapping[str, Any]) -> SweepInfo:
    objective, *others = config.space.objectives
    return SweepInfo(
        id=f"{time.strftime('%Y%m%d', time.gmtime())}-{secrets.token_hex(4)}",
        name=config.name,
        created_at=now_ms(),
        experiment=config.space.experiment,
        experiment_name=config.experiment.name,
        metric=objective.metric,
        direction=objective.direction,
        epoch_metric=config.experiment.metrics[objective.metric].epoch_metric,
        fingerprint=config.fingerprint,
        space=config.space.to_dict(),
        data=describe(config.data),
        baselines=tuple(config.space.baselines),
        code=code,
        directory=str(config.space.directory) if config.space.directory else None,
        other_objectives=tuple(others),
    )


def _make(folder: Path) -> None:
    reached("home.begun")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"home: {folder} cannot be made ({error.strerror}); give another with --home"
        ) from error


# `--extend`: begins the next generation of a sweep, in one atomic write.
#
# What the earlier generations know of slots that are still to be trained goes into the new
# generation's file: so a later start needs neither their study nor their space, which may be a
# function that has changed since.


def newest_generation(config: SweepConfig, info: SweepInfo, code: Mapping[str, Any]) -> SweepInfo:
    """Look at the sweep again, under its lock, and extend it if that was asked and is needed.

    Args:
        config: How the sweep is to go on.
        info: The sweep as it was before the lock was taken.
        code: State of the code.

    Returns:
        The sweep as the generation has it that goes on now.

    Raises:
        UsageError: Somebody else has just extended it; or a slot that is still to be trained cannot
            be taken over.
    """
    info = check_fingerprint(config) or info
    if not differing(info, config):
        return info
    store = config.home.store(info.id)
    generation = next_generation(config, info, store.read_all(), code)
    store.write_generation(generation)
    return info.extended(generation)


def describe_extension(before: SweepInfo, info: SweepInfo, prior: Mapping[int, PriorTrial]) -> str:
    """Return, in a line, what `--extend` has done."""
    if info.generation == before.generation:
        return f"nothing to extend: generation {info.generation} has these options already"
    begins = f"generation {info.generation} begins with trial {info.first_slot}"
    return f"{begins}; {describe_prior(prior)}"


def next_generation(
    config: SweepConfig, info: SweepInfo, records: Sequence[Record], code: Mapping[str, Any]
) -> Generation:
    """Return what an extension writes; creates nothing."""
    stored = stored_slots(config.home.studies, info.study_name)
    count = max(info.first_slot, len(stored), *(r.spec.slot + 1 for r in records), 0)
    return Generation(
        number=info.generation + 1,
        first_slot=count,
        created_at=now_ms(),
        fingerprint=config.fingerprint,
        space=config.space.to_dict(),
        baselines=tuple(config.space.baselines),
        code=code,
        directory=str(config.space.directory) if config.space.directory else None,
        unfinished=tuple(_unfinished(config.home, info, count, stored, records)),
    )


def recalled(home: Home, info: SweepInfo, number: int) -> UnfinishedSlot:
    """Return a slot without a record, from the study of the generation that proposed it.

    Raises:
        UsageError: The study lost it too, or its space is no longer what it was.
    """
    info = info.at(number)
    slots = stored_slots(home.studies, info.study_name)
    if number >= len(slots):
        raise UsageError(
            f"sweep {info.name!r}: trial {number} is missing in records and study. Repeat the "
            "options the sweep was made with once, which proposes it again, then extend it"
        )
    proposal = proposal_of_trial(slots[number])
    attempts = int(slots[number].user_attrs.get(ATTEMPTS, 0))
    return _kept(number, attempts, proposal, _configuration(home, info, number, proposal))


def _unfinished(
    home: Home,
    info: SweepInfo,
    count: int,
    stored: Sequence[FrozenTrial],
    records: Sequence[Record],
) -> Iterator[UnfinishedSlot]:
    """Yield the slots below `count` that no record ends, with all that their attempts need."""
    latest = {record.spec.slot: record for record in records}
    ended = {record.spec.slot for record in records if record.ends_slot}
    prior = {slot.slot: slot for slot in info.unfinished}
    for number in (n for n in range(count) if n not in ended):
        if number in prior:
            kept = prior[number]
        elif number in latest:
            spec = latest[number].spec
            proposal = proposal_of_record(latest[number])
            kept = _kept(number, spec.attempt, proposal, spec.config)
        else:
            kept = recalled(home, info, number)
        # An attempt that was begun and killed is known to the newest study only.
        begun = stored[number].user_attrs.get(ATTEMPTS, 0) if number < len(stored) else 0
        yield dataclasses.replace(kept, attempts=max(kept.attempts, int(begun)))


def _kept(
    number: int, attempts: int, proposal: Proposal, config: Mapping[str, Value]
) -> UnfinishedSlot:
    return UnfinishedSlot(
        slot=number,
        attempts=attempts,
        origin=proposal.origin,
        params=proposal.params,
        distributions=distributions_to_json(proposal),
        config=config,
    )


def _configuration(home: Home, info: SweepInfo, slot: int, proposal: Proposal) -> dict[str, Value]:
    """Expand a slot in the space it was proposed in, if that still exists."""
    try:
        space = Space.from_dict(info.space, directory=experiment_folder(info, home.records))
        if space.digest() == info.fingerprint["space"]:
            return space.configuration(proposal.params)
        problem = f"{info.space['body'].get('function', 'the space')} has changed since"
    except SpaceError as error:
        problem = str(error)
    raise UsageError(
        f"sweep {info.name!r}: trial {slot} is unfinished, and what it trains can no longer be "
        f"told ({problem}). Bring the earlier space back and finish the sweep without --extend, "
        "or begin another with --name"
    )


# A sweep's queue, as a start finds it: study, records, and the slots of earlier generations.


def make_ledger(
    config: SweepConfig,
    info: SweepInfo,
    records: Sequence[Record],
    study: SlotStore,
    hunches: Callable[[int], Hunch | None] = lambda slot: None,
) -> TrialQueue:
    """Return the queue of a sweep before its first slot is opened.

    Args:
        config: How the sweep goes on.
        info: The sweep.
        records: All of its records, ordered by slot and attempt.
        study: Where its slots are stored.
        hunches: Says what somebody wants tried in a slot.
    """
    retries = config.home.store(info.id).retries
    retried = retries.opened_by()
    study.reopen(_to_reopen(retried, info, records, study))
    return TrialQueue(
        study=study,
        proposer=config.proposer(),
        records=records,
        objectives=info.objectives,
        epoch_metric=info.epoch_metric if config.pruner.name != "none" else None,
        ask_ahead=config.ask_ahead,
        in_order=config.order == "slots",
        prior=prior_trials(
            info,
            records,
            config.space,
            config.experiment.parameters,
            recall=partial(recalled, config.home, info),
        ),
        hunches=hunches,
        used_up=attempts_put_aside(config.home.store(info.id)),
        retried=retried,
        retried_attempts=retries.attempts(),
    )


def _to_reopen(
    retried: Collection[int], info: SweepInfo, records: Sequence[Record], study: SlotStore
) -> list[int]:
    """Return the slots that the study has as failed, though they are, or were, run again."""
    final = {r.spec.slot: trial_outcome(r, info.objectives) for r in records if r.ends_slot}
    failed = {slot for slot, outcome in final.items() if outcome.state == TrialState.FAIL}
    stored = {trial.number for trial in study.slots if trial.state == TrialState.FAIL}
    return sorted(stored.intersection(retried) - failed)
