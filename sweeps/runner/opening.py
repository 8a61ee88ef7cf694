"""Finds, creates or extends the sweep of a name; refuses the name if the options differ."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec

from search_spaces.errors import SpaceError, did_you_mean
from search_spaces.mapping import counterpart, point_of, space_differences
from search_spaces.objectives import is_script
from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.config.sweep import SweepConfig
from sweeps.errors import UsageError
from sweeps.experiments.code import is_same_code, kept_whole, revised
from sweeps.experiments.loading import (
    check_trust,
    experiment_folder,
    is_same_experiment,
    script_differences,
)
from sweeps.home import Home
from sweeps.journal import Asked, SweepState
from sweeps.journal.events import Imported, ImportedTrial, Learned, LearnedPoint, Shown, Unfinished
from sweeps.records import (
    CodeHistory,
    Record,
    RecordError,
    RecordStore,
    SweepInfo,
    confirmed_by,
)
from sweeps.records.notes import in_lines
from sweeps.records.sweep import Generation
from sweeps.runner.recording import describe
from sweeps.runner.trial_queue import PriorTrial, QueuedTrial, TrialQueue
from sweeps.study.points import Proposal, proposal_at, proposal_of_record
from sweeps.wording import counted
from sweeps.workspace.clock import now_ms
from sweeps.workspace.failpoints import reached
from sweeps.workspace.names import free_name

EXTENDABLE: Final = frozenset({"space", "sampler", "pruner", "ask_ahead", "code"})
"""The parts of a fingerprint that --extend may change; the others keep its trials comparable."""
_Point = TypeVar("_Point", ImportedTrial, LearnedPoint)


def open_sweep(
    config: SweepConfig, code: Mapping[str, Any], imported: Imported | None = None
) -> SweepInfo:
    """Return the sweep to run: the existing one of that name, or a new one.

    A new one knows what was `imported`; with that, a sweep that exists is refused.

    Raises:
        UsageError: The name belongs to a sweep with other options; the message names them and the
            ways out.
    """
    check_fingerprint(config)
    reached("home.begun")
    with config.home.exclusive():
        # Once more under the lock: another process may just have taken the name.
        config.home.remove_unborn()
        if imported is not None:
            refuse_existing(config)
        existing = check_fingerprint(config)
        if existing is not None:
            return existing
        info, home = _new_sweep(config, code), config.home
        known = [*in_lines(imported, "trials"), *in_lines(config.learned, "points")]
        with home.arriving() as part:
            RecordStore(part).begin(info, Shown.of(config.experiment.metrics), *known)
            home.place(part, home.store(info.id).folder)
        keep_code(config, info)
        return info


def refuse_existing(config: SweepConfig) -> None:
    """Refuse the name of a sweep that exists: what is imported teaches from the first trial on."""
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
        names = [one.name for one in config.home.sweeps()]
        raise UsageError(
            f"--extend: no sweep {config.name!r} in {config.home.path}"
            f"{did_you_mean(config.name, names)}; existing: {', '.join(names) or 'none'}. "
            "Leave --extend out to begin it"
        )
    if info is None:
        return None
    check_trust(info, config.home.sweeps_folder)
    keys = differing(info, config)
    kept = [key for key in keys if key not in EXTENDABLE]
    kept += [] if info.objectives == config.space.objectives else ["objective"]
    if keys and (kept or not config.extend):
        raise UsageError(_refusal(info, config, keys, kept))
    return info


def differing(info: SweepInfo, config: SweepConfig) -> list[str]:
    """Return the keys in which a sweep's fingerprint differs from the one that is asked for."""
    wanted, made = config.fingerprint, str(info.fingerprint.get("experiment"))
    if made != config.space.experiment and is_same_experiment(made, config.space.experiment):
        # Which Python runs a script is no part of a sweep: its environment may have moved.
        digest = dataclasses.replace(config.space, experiment=made).digest()
        wanted = {**wanted, "experiment": made, "space": digest}
    keys = [k for k, asked in wanted.items() if info.fingerprint.get(k) != asked]
    if "code" in keys:
        history, before = _code_before(config, info)
        assert config.code is not None
        if revised(history, before, config.code):  # which --same-code cannot declare away
            return keys
        if before is not None and not (
            config.same_code or is_same_code(history, before, config.code)
        ):
            return keys
    return [key for key in keys if key != "code"]


def _code_before(config: SweepConfig, info: SweepInfo) -> tuple[CodeHistory, str | None]:
    """Return the codes of a sweep, and the digest of the one that it goes on with.

    None for a sweep made before code was kept: it goes on with the code of its next start.
    """
    history = CodeHistory(config.home.store(info.id))
    recorded: str | None = info.fingerprint.get("code")
    first = next(iter(history.all()), None)
    return history, recorded or (first.identity if first else None)


def keep_code(config: SweepConfig, info: SweepInfo) -> str | None:
    """Store the code that a sweep goes on with; the caller must hold the sweep's lock.

    Returns:
        A line to show; None if there is nothing to say.
    """
    if config.code is None:
        return None
    history, before = _code_before(config, info)
    same = [] if before is None else history.group(before)
    if any(one.identity == config.code.identity for one in same):
        return None
    code, said = kept_whole(config.code), None
    not_recorded = (
        "was not recorded when it was made: from now on the present code counts as the code of its "
        "trials"
    )
    if before is None:
        said = f"its code {not_recorded}"
    elif code.identity not in history.same_as(before):
        code = dataclasses.replace(code, same_as=before)
        if not same or not same[-1].becomes(code):  # --same-code declares that it is the same
            said = f"its code was edited and is declared to be the same ({code.identity:.12})"
        elif not same[-1].shipped:
            said = f"the code of {code.package} {not_recorded}"
    history.keep(code)
    return said


def _refusal(info: SweepInfo, config: SweepConfig, keys: Sequence[str], kept: Sequence[str]) -> str:
    new_name = free_name(config.name, (i.name for i in config.home.sweeps()))
    made, is_retry = f"sweep {config.name!r}", config.retry is not None
    history, before = _code_before(config, info)
    if keys == ["code"] and config.code and (said := revised(history, before, config.code)):
        ways = (
            f"Begin another, --name {new_name}; or a new generation of this one, which has its "
            "trials as prior trials: --extend"
        )
        if is_retry:
            ways = (
                "Nothing can be retried; `sweeps run` of it with --extend begins a new generation, "
                "which has its trials as prior trials"
            )
        if (searched := confirmed_by(info.directory)) is not None:
            ways = f"Draw other folds: `sweeps confirm {config.home.get(searched).name} --fresh 1`"
        return f"{made} cannot go on: its experiment gives other numbers by now ({said}). {ways}"
    differences = "; ".join(_differences(info, config, keys))
    if keys == ["code"]:
        ways = (
            "Two ways out: undo the edit; or, if the edit repairs the failure and leaves the "
            "numbers of all other trials the same: --same-code. If it changes them, nothing can be "
            "retried: `sweeps run` of this sweep with --extend goes on with the new code"
            if is_retry
            else f"Four ways out: undo the edit; begin another sweep: --name {new_name}; let this "
            "one go on with the new code, its trials kept: --extend; or, if its numbers stay the "
            "same (a comment, or a repair for trials that failed): --same-code"
        )
        return f"{made} was made by other code: {differences}\n{ways}"
    text = f"{made} exists with other options ({differences}). "
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


def _differences(info: SweepInfo, config: SweepConfig, keys: Sequence[str]) -> Iterator[str]:
    for key in keys:
        there, asked = info.fingerprint.get(key), config.fingerprint[key]
        if key == "learn_from":
            has = f"points of {there['name']}" if there else "nothing"
            yield f"learn_from: {has} there, other points ({asked['name']}) asked"
        elif key == "code":
            history, identity = _code_before(config, info)
            before = history.newest(identity or "")
            assert config.code is not None
            if said := revised(history, identity, config.code):
                yield f"code: {said}"
                continue
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
        data=describe(config.data),
        other_objectives=tuple(others),
        **_of_a_generation(config, code),
    )


def _of_a_generation(config: SweepConfig, code: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each generation has of its own, by name."""
    return {
        "fingerprint": config.fingerprint,
        "space": config.space.to_dict(),
        "baselines": tuple(config.space.baselines),
        "code": code,
        "directory": str(config.space.directory) if config.space.directory else None,
    }


def newest_generation(config: SweepConfig, info: SweepInfo, code: Mapping[str, Any]) -> SweepInfo:
    """Compare the sweep again, under its lock, and extend it if that was asked and is needed.

    The caller writes what it is then. Errors are those of `check_fingerprint` and `extended`.
    """
    info = check_fingerprint(config) or info
    if {info.experiment, info.space["experiment"]} != {config.space.experiment}:
        info = info.run_by(config.space.experiment)
    newest = extended(config, info, code)
    if newest.generation > info.generation:
        config.home.store(info.id).write_generation(newest, newest.generations[-1])
    return newest


def extended(config: SweepConfig, info: SweepInfo, code: Mapping[str, Any]) -> SweepInfo:
    """Return the sweep with a new generation if its options differ; creates nothing.

    The generation holds the unfinished trials of the earlier ones, so that a later start does not
    need their space, which may be a function that has changed since.

    Raises:
        UsageError: An unfinished trial is missing in the journal, or its space has changed.
    """
    if not differing(info, config):
        return info
    store = config.home.store(info.id)
    records = store.read_all()
    begun = trials_begun(info, store.state())
    left = sorted(set(range(begun)) - {record.trial for record in records if record.ends_trial})
    learned = {k: v for k, v in info.fingerprint.items() if k == "learn_from"}
    unfinished = [
        Unfinished(
            trial=trial.number,
            attempts=trial.attempts,
            origin=trial.proposal.origin,
            params=dict(trial.proposal.params),
            distributions=trial.proposal.stored_distributions(),
            config=dict(trial.proposal.config),
        )
        for trial in _as_they_were(config.home, info, records, left)
    ]
    return info.extended(
        Generation(
            **{**_of_a_generation(config, code), "fingerprint": {**config.fingerprint, **learned}},
            number=info.generation + 1,
            first_trial=begun,
            created_at=now_ms(),
            unfinished=tuple(unfinished),
        )
    )


def trials_begun(info: SweepInfo, state: SweepState) -> int:
    """Return how many trials a sweep has: those of its records, and those that were asked for."""
    trials = {*state.asked, *(record.trial for record in state.ended.values())}
    return max(info.first_trial, *(number + 1 for number in trials), 0)


def describe_extension(before: SweepInfo, info: SweepInfo, prior: Sequence[QueuedTrial]) -> str:
    """Return a line that says which generation `--extend` began, and which trials it has taken."""
    if info.generation == before.generation:
        return f"nothing to extend: generation {info.generation} has these options already"
    outside = [trial.prior for trial in prior if trial.prior and trial.prior.point is None]
    first = f" (the first outside: {outside[0].obstacle})" if outside else ""
    return (
        f"generation {info.generation} begins with trial {info.first_trial}; "
        f"{len(prior) - len(outside)} of {len(prior)} earlier trials lie in the new space{first}"
    )


def _as_they_were(
    home: Home, info: SweepInfo, records: Sequence[Record], trials: Iterable[int]
) -> Iterator[QueuedTrial]:
    """Yield trials with all that another attempt needs.

    That is what their last record says, or the last extension; else what the journal says that was
    asked for, in the space that proposed it.
    """
    asked = home.store(info.id).state().asked
    left = {one.trial: one for one in info.unfinished}
    latest = {record.trial: record for record in records}
    for number in trials:
        known = latest.get(number) or left.get(number)
        if known is not None:
            proposal = proposal_of_record(known)
        elif number in asked:
            proposal = _recalled(home, info.at(number), asked[number])
        else:
            raise UsageError(
                f"sweep {info.name!r}: trial {number} is missing in the journal. Repeat the "
                "options the sweep was made with once, which proposes it again, then extend it"
            )
        # An attempt that was killed has no record.
        attempts = [one[number].attempt for one in (latest, asked) if number in one]
        attempts += [left[number].attempts] if number in left else []
        yield QueuedTrial(number, proposal, max(attempts))


def _recalled(home: Home, info: SweepInfo, asked: Asked) -> Proposal:
    """Return the proposal of a trial that was asked for; refuse a space that has changed."""
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
    fits: Callable[[Mapping[str, Value]], bool] = lambda params: False,
) -> TrialQueue:
    """Return the trial queue of a sweep, with no trial opened yet; see `TrialQueue`."""
    store, space = config.home.store(info.id), config.space
    imported, learned = store.state().imported, learned_by(store, info)
    known = [
        one
        for one in (_lying_in(space, imported.trials) if imported else ())
        if one.state != "COMPLETE" or len(one.values) == len(space.objectives)
    ]
    if learned is not None:
        learned = msgspec.structs.replace(learned, points=_lying_in(space, learned.points))
    return TrialQueue(
        store=store,
        proposer=config.proposer(imported=known, learned=learned),
        records=records,
        objectives=info.objectives,
        epoch_metric=info.epoch_metric if config.pruner.name != "none" else None,
        ask_ahead=config.ask_ahead,
        in_order=config.order == "number",
        prior=_prior_trials(config, info, records),
        fits=fits,
    )


def _lying_in(space: Space, points: Iterable[_Point]) -> tuple[_Point, ...]:
    """Return the imported or learned points that lie in a space; after an extension not all do."""
    found = []
    for one in points:
        with suppress(SpaceError):
            found.append(msgspec.structs.replace(one, params=point_of(space, one.params)[0]))
    return tuple(found)


def learned_by(store: RecordStore, info: SweepInfo) -> Learned | None:
    """Return what a sweep has learned from others; None as a rule.

    Raises:
        RecordError: The points are lost, or are not those that it was created with.
    """
    fixed, learned = info.fingerprint.get("learn_from"), store.state().learned
    if fixed is None:
        return None
    if learned is None or learned.digest != fixed["digest"]:
        raise RecordError(
            f"sweep {info.name!r}: the points that it learned from {fixed['name']} "
            f"({store.journal.path}) are {'lost' if learned is None else 'not its own'}; bring "
            "the journal back, or begin another sweep with --name"
        )
    return learned


def _prior_trials(
    config: SweepConfig, info: SweepInfo, records: Sequence[Record]
) -> list[QueuedTrial]:
    """Return every trial of the earlier generations, in order.

    A trial lies in the new space if one of its points gives the experiment the configuration that
    the trial was trained with; a parameter that is new or gone counts as the experiment's default.
    The sampler sees such a trial at that point, under the new distributions. The other trials keep
    their number, record and row, and are not shown.
    """
    prior = list(_as_they_were(config.home, info, records, range(info.first_trial)))
    for trial in prior:
        params, trained = trial.proposal.params, trial.proposal.config
        try:
            point = counterpart(config.space, params, trained, config.experiment.parameters)
            trial.prior = PriorTrial(point)
        except SpaceError as error:
            trial.prior = PriorTrial(None, str(error))
    return prior


def describe_imported(imported: Imported, found: int = 0) -> str:
    """Return a phrase: how many results, of those found elsewhere, the sampler knows, and which."""
    states = Counter(one.state for one in imported.trials)
    each = ", ".join(f"{count} {state.lower()}" for state, count in sorted(states.items()))
    again = sum(one.again for one in imported.trials)
    anew = f"; the best {again} are tried anew, first" if again else ""
    known = counted(len(imported.trials), "imported result")
    if found:
        known = f"{len(imported.trials)} of {counted(found, 'result')}"
    return f"its sampler knows {known} of {imported.source} ({each}){anew}"
