"""Finds, creates or extends the sweep of a name; refuses the name if the options differ."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec

from search_spaces.errors import SpaceError, did_you_mean
from search_spaces.mapping import counterpart, point_of, space_differences
from search_spaces.objectives import is_script
from search_spaces.parameters import ParameterInfo, Value
from search_spaces.space import Space
from sweeps.config.sweep import SweepConfig
from sweeps.errors import UsageError
from sweeps.experiments.code import is_same_code, kept_whole
from sweeps.experiments.loading import (
    check_trust,
    experiment_folder,
    is_same_experiment,
    script_differences,
)
from sweeps.home import Home
from sweeps.journal import Asked
from sweeps.journal.events import Imported, Learned, Unfinished
from sweeps.records import (
    CodeHistory,
    EnqueuedPoint,
    Record,
    RecordError,
    RecordStore,
    SweepInfo,
)
from sweeps.records.enqueued import Retries
from sweeps.records.notes import imported_events, learned_events
from sweeps.records.sweep import Generation
from sweeps.runner.recording import describe
from sweeps.runner.trial_queue import PriorTrial, TrialQueue
from sweeps.study.proposals import (
    Proposal,
    distributions_to_json,
    proposal_at,
    proposal_of_record,
)
from sweeps.wording import counted
from sweeps.workspace.clock import now_ms
from sweeps.workspace.failpoints import reached
from sweeps.workspace.names import free_name

EXTENDABLE: Final = frozenset({"space", "sampler", "pruner", "ask_ahead", "code"})
"""The parts of a fingerprint that --extend may change; the others keep its trials comparable."""


def open_sweep(
    config: SweepConfig, code: Mapping[str, Any], imported: Imported | None = None
) -> SweepInfo:
    """Return the sweep to run: the existing one of that name, or a new one.

    Args:
        config: The sweep, validated.
        code: State of the code.
        imported: What a new sweep is to know from elsewhere; a sweep that exists is refused then.

    Raises:
        UsageError: The name belongs to a sweep with other options; the message names them and the
            ways out.
    """
    check_fingerprint(config)
    reached("home.begun")
    try:
        config.home.sweeps_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"home: {config.home.sweeps_folder} cannot be made ({error.strerror}); give another "
            "with --home"
        ) from error
    with config.home.exclusive():
        # Once more under the lock: another process may just have taken the name.
        config.home.remove_unborn()
        if imported is not None:
            refuse_existing(config)
        existing = check_fingerprint(config)
        if existing is not None:
            return existing
        info = _new_sweep(config, code)
        known = [
            *(imported_events(imported) if imported is not None else ()),
            *(learned_events(config.learned) if config.learned is not None else ()),
        ]
        config.home.store(info.id).create(info, *known)
        keep_code(config, info)
        return info


def refuse_existing(config: SweepConfig) -> None:
    """Refuse the name of a sweep that exists: what is imported teaches from the first trial on.

    Raises:
        UsageError: There is a sweep of that name.
    """
    if config.home.find(config.name) is not None:
        new_name = free_name(config.name, (info.name for info in config.home.sweeps()))
        raise UsageError(
            f"sweep {config.name!r} exists, and what is imported teaches a sampler from the first "
            f"trial on: begin another sweep with it (--name {new_name})"
        )


def check_fingerprint(config: SweepConfig) -> SweepInfo | None:
    """Return the existing sweep of that name, None if there is none.

    With `extend`, the options may differ from its newest generation where an extension may.

    Raises:
        UsageError: It was made with other options, or `extend` is given and there is no such sweep.
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
        check_trust(info, config.home.sweeps_folder)
    if info is None or not differing(info, config):
        return info
    kept = [key for key in differing(info, config) if key not in EXTENDABLE]
    kept += [] if info.objectives == config.space.objectives else ["objective"]
    if config.extend and not kept:
        return info
    raise UsageError(_refusal(info, config, kept))


def differing(info: SweepInfo, config: SweepConfig) -> list[str]:
    """Return the keys in which a sweep's fingerprint differs from the one that is asked for."""
    wanted, made = config.fingerprint, str(info.fingerprint.get("experiment"))
    if made != config.space.experiment and is_same_experiment(made, config.space.experiment):
        # Which Python runs a script is no part of a sweep: its environment may have moved.
        digest = dataclasses.replace(config.space, experiment=made).digest()
        wanted = {**wanted, "experiment": made, "space": digest}
    keys = [k for k, asked in wanted.items() if info.fingerprint.get(k) != asked]
    if "code" in keys and not config.same_code:
        history = CodeHistory(config.home.store(info.id))
        assert config.code is not None
        before = code_before(info, history)
        if before is not None and not is_same_code(history, before, config.code):
            return keys
    return [key for key in keys if key != "code"]


def code_before(info: SweepInfo, history: CodeHistory) -> str | None:
    """Return the digest of the code that a sweep goes on with.

    None for a sweep made before code was kept: it goes on with the code of its next start.
    """
    recorded: str | None = info.fingerprint.get("code")
    first = next(iter(history.all()), None)
    return recorded or (first.identity if first else None)


def keep_code(config: SweepConfig, info: SweepInfo) -> str | None:
    """Store the code that a sweep goes on with; the caller must hold the sweep's lock.

    Returns:
        A line to show; None if there is nothing to say.
    """
    if config.code is None:
        return None
    history = CodeHistory(config.home.store(info.id))
    before = code_before(info, history)
    identity, newest = config.code.identity, history.newest(before or "")
    is_same = before is not None and identity in history.same_as(before)
    if is_same and history.find(identity) is not None:
        return None
    code, said = kept_whole(config.code), None
    if before is None:
        said = (
            "its code was not recorded when it was made: from now on the present code counts as "
            "the code of its trials"
        )
    elif not is_same:
        code = dataclasses.replace(code, same_as=before)
        if newest is None or not newest.becomes(code):  # --same-code declares that it is the same
            said = f"its code was edited and is declared to be the same ({identity:.12})"
        elif not newest.shipped:
            said = (
                f"the code of {code.package} was not recorded when it was made: from now on the "
                "present code counts as the code of its trials"
            )
    history.keep(code)
    return said


def _refusal(info: SweepInfo, config: SweepConfig, kept: Sequence[str]) -> str:
    differences = "; ".join(_differences(info, config))
    new_name = free_name(config.name, (i.name for i in config.home.sweeps()))
    if differing(info, config) == ["code"] and config.retry is not None:
        return (
            f"sweep {config.name!r} was made by other code: {differences}\n"
            "Two ways out: undo the edit; or, if the edit repairs the failure and leaves the "
            "numbers of all other trials the same: --same-code. If it changes them, nothing can be "
            "retried: `sweeps run` of this sweep with --extend goes on with the new code"
        )
    if differing(info, config) == ["code"]:
        return (
            f"sweep {config.name!r} was made by other code: {differences}\n"
            f"Four ways out: undo the edit; begin another sweep: --name {new_name}; let this one "
            "go on with the new code, its trials kept: --extend; or, if its numbers stay the same "
            "(a comment, or a repair for trials that failed): --same-code"
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


def _differences(info: SweepInfo, config: SweepConfig) -> Iterator[str]:
    for key in differing(info, config):
        there, asked = info.fingerprint.get(key), config.fingerprint[key]
        if key == "learn_from":
            has = f"points of {there['name']}" if there else "nothing"
            yield f"learn_from: {has} there, other points ({asked['name']}) asked"
            continue
        if key == "code":
            history = CodeHistory(config.home.store(info.id))
            before = history.newest(code_before(info, history) or "")
            assert config.code is not None
            lost = ["what it was is not kept"]
            changes = before.changes(kept_whole(config.code)) if before else lost
            yield "\n".join(["code", *(f"  {line}" for line in changes)])
        elif key == "experiment" and is_script(str(asked)):
            yield from script_differences(str(there), str(asked))
        elif key == "space":
            for difference in space_differences(info.space, config.space.to_dict()):
                if not is_script(difference.removeprefix("experiment: ")):  # said above
                    yield f"space, {difference}"
        elif key == "data" and info.data.get("name") == config.data.name:
            yield f"data: {config.data.name} has changed, {_short(there)} then, {_short(asked)} now"
        else:
            yield f"{key}: {_short(there)} there, {_short(asked)} asked"


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


def newest_generation(config: SweepConfig, info: SweepInfo, code: Mapping[str, Any]) -> SweepInfo:
    """Compare the sweep again, under its lock, and extend it if that was asked and is needed.

    Args:
        config: The options the sweep goes on with.
        info: The sweep as it was before the lock was taken.
        code: State of the code.

    Returns:
        The sweep with the options of its newest generation.

    Raises:
        UsageError: Another process has just extended it, or an unfinished trial cannot be taken
            over.
    """
    info = check_fingerprint(config) or info
    store = config.home.store(info.id)
    if {info.experiment, info.space["experiment"]} != {config.space.experiment}:
        info = info.run_by(config.space.experiment)
        store.repeat(info)
    if not differing(info, config):
        return info
    generation = next_generation(config, info, store.read_all(), code)
    extended = info.extended(generation)
    store.write_generation(extended, generation)
    return extended


def describe_extension(before: SweepInfo, info: SweepInfo, prior: Mapping[int, PriorTrial]) -> str:
    """Return a line that says which generation `--extend` began, and which trials it has taken."""
    if info.generation == before.generation:
        return f"nothing to extend: generation {info.generation} has these options already"
    begins = f"generation {info.generation} begins with trial {info.first_trial}"
    return f"{begins}; {describe_prior(prior)}"


def next_generation(
    config: SweepConfig, info: SweepInfo, records: Sequence[Record], code: Mapping[str, Any]
) -> Generation:
    """Return the generation that an extension would write; creates nothing.

    It holds the unfinished trials of the earlier ones, so that a later start does not need their
    space, which may be a function that has changed since.
    """
    asked = config.home.store(info.id).asked_for()
    count = max(info.first_trial, *(n + 1 for n in asked), *(r.trial + 1 for r in records), 0)
    learned = {k: v for k, v in info.fingerprint.items() if k == "learn_from"}
    return Generation(
        number=info.generation + 1,
        first_trial=count,
        created_at=now_ms(),
        fingerprint={**config.fingerprint, **learned},
        space=config.space.to_dict(),
        baselines=tuple(config.space.baselines),
        code=code,
        directory=str(config.space.directory) if config.space.directory else None,
        unfinished=tuple(_unfinished(config.home, info, count, asked, records)),
    )


def recalled(home: Home, info: SweepInfo, number: int) -> Unfinished:
    """Return a trial that has no record, as the journal has it.

    Raises:
        UsageError: The journal does not hold it either, or its space has changed.
    """
    info = info.at(number)
    asked = home.store(info.id).asked_for().get(number)
    if asked is None:
        raise UsageError(
            f"sweep {info.name!r}: trial {number} is missing in the journal. Repeat the "
            "options the sweep was made with once, which proposes it again, then extend it"
        )
    proposal = _proposal(home, info, asked)
    assert proposal.config is not None
    longer = proposal.longer
    return Unfinished(
        trial=number,
        attempts=asked.attempt,
        origin=proposal.origin,
        params=dict(proposal.params),
        distributions=distributions_to_json(proposal),
        config=dict(proposal.config if longer is None else longer.configuration(proposal.config)),
    )


def _unfinished(
    home: Home,
    info: SweepInfo,
    count: int,
    asked: Mapping[int, Asked],
    records: Sequence[Record],
) -> Iterator[Unfinished]:
    """Yield the trials below `count` without a final record, with all that their attempts need."""
    latest = {record.trial: record for record in records}
    ended = {record.trial for record in records if record.ends_trial}
    prior = {one.trial: one for one in info.unfinished}
    for number in (n for n in range(count) if n not in ended):
        if number in prior:
            kept = prior[number]
        elif number in latest:
            record = latest[number]
            kept = Unfinished(
                trial=number,
                attempts=record.attempt,
                origin=record.origin,
                params=dict(record.params),
                distributions=dict(record.distributions),
                config=dict(record.config),
            )
        else:
            kept = recalled(home, info, number)
        # Only the journal knows of an attempt that was begun and then killed.
        begun = asked[number].attempt if number in asked else 0
        yield msgspec.structs.replace(kept, attempts=max(kept.attempts, begun))


def _proposal(home: Home, info: SweepInfo, asked: Asked) -> Proposal:
    """Return the proposal of a trial in the space that proposed it.

    Raises:
        UsageError: That space has changed or cannot be loaded.
    """
    try:
        space = Space.from_dict(info.space, directory=experiment_folder(info, home.sweeps_folder))
        space = dataclasses.replace(space, experiment=info.fingerprint["experiment"])
        if space.digest() == info.fingerprint["space"]:
            return proposal_at(space, asked.params, asked.origin)
        problem = f"{info.space['body'].get('function', 'the space')} has changed since"
    except SpaceError as error:
        problem = str(error)
    raise UsageError(
        f"sweep {info.name!r}: trial {asked.trial} is unfinished, and its configuration can no "
        f"longer be derived ({problem}). Bring the earlier space back and finish the sweep without "
        "--extend, or begin another with --name"
    )


def make_trial_queue(
    config: SweepConfig,
    info: SweepInfo,
    records: Sequence[Record],
    asked: Mapping[int, Asked],
    ask: Callable[[Asked], None] = lambda event: None,
    points: Callable[[int], EnqueuedPoint | None] = lambda trial: None,
) -> TrialQueue:
    """Return the trial queue of a sweep, with no trial opened yet.

    Args:
        config: The options the sweep goes on with.
        info: The sweep.
        records: All of its records, ordered by trial and attempt.
        asked: See `RecordStore.asked_for`.
        ask: Writes an attempt into the journal, before it begins.
        points: Returns the enqueued point of a trial number, None if there is none.
    """
    store = config.home.store(info.id)
    imported = imported_points(config.space, store.state().imported)
    learned = learned_points(config.space, learned_by(store, info))
    retries = Retries(store)
    return TrialQueue(
        ask=ask,
        asked=asked,
        proposer=config.proposer(imported=imported, learned=learned),
        records=records,
        objectives=info.objectives,
        epoch_metric=info.epoch_metric if config.pruner.name != "none" else None,
        ask_ahead=config.ask_ahead,
        in_order=config.order == "number",
        prior=prior_trials(
            info,
            records,
            config.space,
            config.experiment.parameters,
            recall=partial(recalled, config.home, info),
        ),
        points=points,
        retried=retries.opened_by(),
        retried_attempts=retries.attempts(),
    )


def learned_by(store: RecordStore, info: SweepInfo) -> Learned | None:
    """Return what a sweep has learned from others; None as a rule.

    Args:
        store: Its records.
        info: The sweep.

    Raises:
        RecordError: The points are lost, or are not those that it was created with.
    """
    fixed = info.fingerprint.get("learn_from")
    learned = store.state().learned
    if fixed is None:
        return None
    if learned is None or learned.digest != fixed["digest"]:
        raise RecordError(
            f"sweep {info.name!r}: the points that it learned from {fixed['name']} "
            f"({store.journal.path}) are {'lost' if learned is None else 'not its own'}; bring "
            "the journal back, or begin another sweep with --name"
        )
    return learned


def prior_trials(
    info: SweepInfo,
    records: Sequence[Record],
    space: Space,
    parameters: Mapping[str, ParameterInfo],
    recall: Callable[[int], Unfinished],
) -> dict[int, PriorTrial]:
    """Return every trial of the earlier generations, by number.

    A trial lies in the new space if one of its points gives the experiment the configuration that
    the trial was trained with; a parameter that is new or gone counts as the experiment's default.
    The sampler sees such a trial at that point, under the new distributions. The other trials keep
    their number, record and row, and are not shown.

    Args:
        info: The sweep.
        records: All of its records, ordered by trial and attempt.
        space: The space of its newest generation.
        parameters: The experiment's parameters.
        recall: Returns a trial that has no record.
    """
    unfinished = {one.trial: one for one in info.unfinished}
    latest = {record.trial: record for record in records}
    prior = {}
    for number in range(info.first_trial):
        if number in latest:
            record = latest[number]
            proposal, config = proposal_of_record(record), record.config
            attempts = record.attempt
        else:
            kept = unfinished.get(number) or recall(number)
            proposal, config, attempts = proposal_of_record(kept), kept.config, kept.attempts
        attempts = max(attempts, unfinished[number].attempts if number in unfinished else 0)
        try:
            point = counterpart(space, proposal.params, config, parameters)
        except SpaceError as error:
            prior[number] = PriorTrial(proposal, config, attempts, None, str(error))
        else:
            prior[number] = PriorTrial(proposal, config, attempts, point)
    return prior


def imported_points(
    space: Space, imported: Imported | None
) -> list[tuple[Mapping[str, Value], tuple[float, ...]]]:
    """Return the imported trials that lie in a space, each as a point with its values.

    All lie in the space that they were imported for; after an extension some may not.
    """
    found: list[tuple[Mapping[str, Value], tuple[float, ...]]] = []
    for trial in imported.trials if imported else ():
        if len(trial.values) == len(space.objectives):
            with suppress(SpaceError):
                found.append((point_of(space, trial.params)[0], trial.values))
    return found


def learned_points(space: Space, learned: Learned | None) -> Learned | None:
    """Return what was learned as far as it lies in a space; after an extension some may not."""
    if learned is None:
        return None
    points = []
    for point in learned.points:
        with suppress(SpaceError):
            points.append(msgspec.structs.replace(point, params=point_of(space, point.params)[0]))
    return msgspec.structs.replace(learned, points=tuple(points))


def describe_imported(imported: Imported) -> str:
    """Return a line: how many results found elsewhere the sampler knows."""
    return (
        f"its sampler knows {counted(len(imported.trials), 'imported result')} of "
        f"{imported.source}, which count for nothing else"
    )


def describe_prior(prior: Mapping[int, PriorTrial]) -> str:
    """Return a line: how many earlier trials lie in the new space, and why the others do not."""
    outside = [trial for trial in prior.values() if trial.point is None]
    line = f"{len(prior) - len(outside)} of {len(prior)} earlier trials lie in the new space"
    return f"{line} (the first outside: {outside[0].obstacle})" if outside else line
