"""Makes a sweep that can run from the options: validates everything, creates nothing."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from search_spaces.errors import SpaceError, did_you_mean
from search_spaces.loading import load_space
from search_spaces.objectives import in_words
from search_spaces.overrides import apply_overrides
from search_spaces.parameters import Value
from search_spaces.space import Component, Space
from sweeps.config.learning import learn
from sweeps.config.options import OPTIONS, Limits, RunOptions, check_options, option_of
from sweeps.config.policies import (
    DEFAULT_CHECKPOINT_SECONDS,
    DEFAULT_MAX_FAILURES_IN_ROW,
    DEFAULT_RETRIES,
    FailurePolicy,
    Parallelism,
    how_many_workers,
)
from sweeps.config.sweep import (
    ASK_AHEAD,
    ASK_AHEAD_UNTAUGHT,
    SPLIT_SEED,
    UNLIMITED,
    SweepConfig,
)
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import code_of, is_shipped
from sweeps.experiments.given import give, packed
from sweeps.experiments.loading import asking, check_installed, folder_of, load_experiment
from sweeps.experiments.script import OWN, ScriptExperiment
from sweeps.home import Home
from sweeps.records import RecordStore, SweepInfo, confirmed_by
from sweeps.study.points import point_key
from sweeps.study.proposals import Exhausted
from sweeps.study.samplers import (
    LEARN_NOTHING,
    SamplerFactory,
    chosen_by_auto,
    completed,
    make_pruner,
    sampler_factory,
)
from sweeps.workspace.names import check_sweep_name

QUICK_SECONDS: Final = 10.0
"""A trial that takes longer is trained a second time only if the user asks for it."""


def check_pruner(choice: Component, experiment: Experiment, space: Space) -> None:
    """Refuse a pruner if the objective has no value per epoch, or there are several objectives."""
    if make_pruner(choice) is None:
        return
    metric = space.objective.metric
    if len(space.objectives) > 1:
        raise UsageError(
            f"pruner {choice.name!r}: Optuna has no pruning for several objectives; give --pruner "
            "none, or leave one objective in the space"
        )
    if experiment.metrics[metric].epoch_metric is None:
        watched = [n for n, info in experiment.metrics.items() if info.epoch_metric]
        raise UsageError(
            f"pruner {choice.name!r}: the objective {metric!r} has no value per epoch; metrics "
            f"that have one: {', '.join(watched) or 'none'}"
        )


def check_command(experiment: Experiment, space: Space) -> None:
    """Refuse parameters of a script that would not be handed over as the space means them.

    An optional part whose parameter is not in the space would silently be left out of every trial,
    and a parameter with the name of one of `OWN` would never be handed over.

    Raises:
        UsageError: There is such a part or parameter; the message names it.
    """
    if not isinstance(experiment, ScriptExperiment):
        return
    walks = space.samples()
    known = {name for walk in walks for name in (*walk.params, *walk.config)}
    known |= {item["name"] for item in space.to_dict()["body"].get("parameters", ())}
    if taken := sorted(name for name in known & OWN if name not in experiment.parameters):
        raise UsageError(
            f"parameters: {{{taken[0]}}} of a command is set by the sweep itself (docs/scripts.md, "
            f"The command); give the parameter another name, such as {{my_{taken[0]}}}"
        )
    for name, info in experiment.parameters.items():
        repeated, _, number = name.rpartition("_")
        if not (info.required or name in known or (repeated in known and number.isdecimal())):
            raise UsageError(
                f"command: {{?{name} ...}} is for a parameter, and the space has no {name!r}"
                f"{did_you_mean(name, known)}; it has: {', '.join(sorted(known))}"
            )


def check_bounds(options: RunOptions, space: Space) -> None:
    """Refuse options that need a single objective, if the space has several."""
    if len(space.objectives) == 1:
        return
    for option, value in (
        ("--target", options.target),
        ("--fail-under", options.fail_under),
    ):
        if value is not None:
            raise UsageError(
                f"{option} {value}: it bounds one number, and the space has several objectives "
                f"({in_words(space.objectives)}); leave it out, or leave one objective in the space"
            )
    if space.defaults.confirms_by_itself:
        raise UsageError(
            "defaults.confirm: several objectives leave no best trial to confirm; leave it "
            "out, or leave one objective in the space"
        )


def check_split_seed(data: PreparedData) -> None:
    """Refuse data whose recorded seed would not do to split them again, nor could be read.

    Raises:
        UsageError: It is no whole number.
    """
    seed = data.info.get("split_seed", 0)
    if type(seed) is not int or not 0 <= seed < 2**31:
        raise UsageError(
            f"data {data.name!r}: info['split_seed'] is {seed!r}; give the `split_seed` that "
            "`prepare` was called with, or leave it out"
        )


def check_below_seconds(
    options: RunOptions, space: Space, experiment: Experiment, data: PreparedData, workers: int
) -> float:
    """Return how many seconds a trial may take to be trained a second time; 0 for never.

    Raises:
        UsageError: The user asked for a second training where it is not possible.
    """
    why_not = None
    if isinstance(experiment, ScriptExperiment):
        why_not = "what a script writes while it trains would be written twice"
    elif options.executor is not None:
        why_not = "processors of a cluster may differ, and with them the last bits of a trial"
    elif workers == 0:
        why_not = "there is no worker process (--workers 0)"
    if options.check_determinism is None:
        is_own = not is_shipped(space.experiment, experiment)
        return QUICK_SECONDS if is_own and not why_not and not data.irreproducible else 0.0
    if options.check_determinism and why_not:
        raise UsageError(
            f"--check-determinism: {why_not}; leave it out, or compare a trial by `sweeps replay`"
        )
    return math.inf if options.check_determinism else 0.0


def _seconds(options: RunOptions, name: str) -> float | None:
    duration = getattr(options, name)
    return None if duration is None else OPTIONS[name].kind.check(option_of(name), duration)


def limits_of(options: RunOptions, space: Space) -> Limits:
    """Return the limits of a sweep; with a budget and no number of trials, the budget ends it."""
    trials = options.trials
    if trials is None and options.budget is not None:
        trials = UNLIMITED
    return Limits(
        trials=trials or space.defaults.trials,
        timeout_seconds=_seconds(options, "timeout"),
        target=options.target,
        stop_after=options.stop_after,
        budget_seconds=_seconds(options, "budget"),
    )


def failure_policy(options: RunOptions, workers: int) -> FailurePolicy:
    """Return the policy for trials that fail, with the defaults filled in.

    Raises:
        UsageError: A reason is unknown, its number is not allowed, or there is a timeout without
            workers, so that nothing can end a trial.
    """
    for reason, number in options.retries.items():
        if reason not in DEFAULT_RETRIES:
            known = ", ".join(DEFAULT_RETRIES)
            hint = did_you_mean(str(reason), DEFAULT_RETRIES)
            raise UsageError(f"--retries {reason}={number}: unknown reason{hint}; known: {known}")
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise UsageError(f"--retries {reason}={number}: give a whole number from 0 on")
    longest, between = _seconds(options, "trial_timeout"), _seconds(options, "checkpoint_every")
    if longest is not None and workers == 0:
        raise UsageError(
            f"--trial-timeout {longest:g} with --workers 0: a trial in the calling process cannot "
            "be ended; give --workers 1 or more, or leave --trial-timeout out"
        )
    in_row = options.max_failures_in_row
    return FailurePolicy(
        retries={**DEFAULT_RETRIES, **options.retries},
        trial_timeout_seconds=longest,
        max_failures_in_row=DEFAULT_MAX_FAILURES_IN_ROW if in_row is None else in_row,
        checkpoint_seconds=DEFAULT_CHECKPOINT_SECONDS if between is None else between,
    )


def resolve(options: RunOptions, recorded: Space | None = None) -> SweepConfig:
    """Validate everything a sweep needs.

    Args:
        options: The user's options.
        recorded: The space of a sweep that exists; None to load the one that `options` name.

    Raises:
        UsageError: An option is wrong; the message says what was received, what is allowed and how
            to mend it.
    """
    check_options(options)
    home = Home.resolve(options.home, options.storage)
    try:
        space = recorded or load_space(options.space, directions=options.directions)
        if callable(options.space) and space.is_open:
            give(space.source, options.space)
        name = check_sweep_name(space.name if options.name is None else options.name)
        folder = folder_of(space.directory, home.sweeps_folder)
        experiment = load_experiment(space.experiment, folder)
        check_installed(experiment, space.experiment)
        space, dropped = apply_overrides(space, options.overrides, experiment.parameters)
        directions = {m: info.direction for m, info in experiment.metrics.items()}
        check_command(experiment, space)
        space.check(experiment.parameters, directions, experiment.measures)
    except SpaceError as error:
        raise UsageError(f"{error}{_sweep_of_that_name(home, options)}") from error
    existing = home.find(name)
    trials = options.trials or space.defaults.trials
    sampler, why_sampler = _sampler_of(options, space, existing, trials)
    pruner = _choice(options.pruner, options.pruner_options, space.defaults.pruner)
    check_pruner(pruner, experiment, space)
    check_bounds(options, space)
    data = asking(experiment.prepare, options.source, SPLIT_SEED)
    check_split_seed(data)
    ask_ahead = _ask_ahead(options, space, existing, sampler)
    code = code_of(space.experiment, experiment)
    parallelism = _parallelism(options, space, ask_ahead)
    workers = parallelism.workers
    config = SweepConfig(
        name=name,
        home=home,
        space=space,
        experiment=experiment,
        data=data,
        seed=options.seed,
        sampler=sampler,
        sampler_factory=_sampler(sampler, space),
        why_sampler=why_sampler,
        pruner=pruner,
        ask_ahead=ask_ahead,
        order="free" if options.order == "free" else "number",
        parallelism=parallelism,
        limits=limits_of(options, space),
        failures=failure_policy(options, workers),
        dropped_baselines=dropped,
        fingerprint={
            "experiment": space.experiment,
            "space": space.digest(),
            "data": data.digest,
            "split": data.split_digest,
            **({"code": code.identity} if code is not None else {}),
            "seed": options.seed,
            "sampler": _as_stored(asdict(sampler)),
            "pruner": _as_stored(asdict(pruner)),
            "ask_ahead": ask_ahead,
            "order": options.order,
        },
        code=code,
        extend=options.extend,
        same_code=options.same_code,
        check_below_seconds=check_below_seconds(options, space, experiment, data, workers),
        folder=folder,
        more_epochs=options.more_epochs,
    )
    if options.more_epochs is not None and space.is_open:
        raise UsageError(
            f"--more-epochs {options.more_epochs}: an objective function says itself how long it "
            "trains; leave the option out"
        )
    if options.more_epochs is not None and existing is None:
        raise UsageError(
            f"--more-epochs {options.more_epochs}: there is no sweep {name!r} yet whose best trial "
            "could be trained further; run it first, without this option"
        )
    if options.learn_from is not None:
        config = _taught(config, options.learn_from)
    _check_baselines(config)
    _check_feasible(config)
    return config


def _parallelism(options: RunOptions, space: Space, ask_ahead: int) -> Parallelism:
    """Return the workers that are asked for, else one per core if they can get the experiment."""
    if options.workers is None:
        try:
            packed(space.experiment)
        except UsageError as error:
            return Parallelism(0, ask_ahead, str(error).partition("; give workers=0")[0])
    return Parallelism(how_many_workers(options.workers), ask_ahead)


def _taught(config: SweepConfig, asked: str) -> SweepConfig:
    """Return the sweep with what it learns, which its fingerprint names.

    A sweep that exists keeps its words for the same points: the file of a report, say, has those of
    the sweep that it reports.
    """
    existing = config.home.find(config.name)
    learned = learn(asked, config, existing)
    fingerprint: Mapping[str, Any] = {"name": asked, "digest": learned.digest}
    kept = existing.fingerprint.get("learn_from") if existing else None
    if kept is not None and kept["digest"] == learned.digest:
        fingerprint = kept
    return replace(
        config, learned=learned, fingerprint={**config.fingerprint, "learn_from": fingerprint}
    )


def _sweep_of_that_name(home: Home, options: RunOptions) -> str:
    """Return what to type where the name of a sweep was given in place of its space's."""
    said = options.space if isinstance(options.space, str) else ""
    info = home.find(said) if said and re.fullmatch(r"[\w.-]+", said) else None
    if info is None:
        return ""
    if (searched := confirmed_by(info.directory)) is not None:
        known = RecordStore(home.sweeps_folder / searched).info()
        confirms = shlex.join(["sweeps", "confirm", known.name if known else searched])
        return f"\n  {said!r} is a confirmation here; to go on with it: {confirms}"
    space = info.space.get("name", "")
    if info.directory is not None:
        file = next(Path(info.directory).glob(f"{space}.y*ml"), Path(info.directory, "space.yaml"))
        space = file if file.is_file() else space
    return (
        f"\n  {said!r} is a sweep here, and {space} its space; to go on with it: "
        f"{shlex.join(['sweeps', 'run', str(space), '--name', said])}, with its other options"
    )


def _choice(name: str | None, options: Mapping[str, Any], default: Any) -> Component:
    if name is None:
        return Component(default.name, {**default.options, **options})
    return Component(name, dict(options))


def _sampler_of(
    options: RunOptions, space: Space, existing: SweepInfo | None, trials: int
) -> tuple[Component, str]:
    """Return the sampler, resolved, and why if `auto` chose it.

    A sweep that exists keeps what `auto` chose when it was made, however many trials it has now.
    """
    choice = _choice(options.sampler, options.sampler_options, space.defaults.sampler)
    stored = existing.fingerprint.get("sampler") if existing else None
    if choice.name in {"auto", "grid"} and choice.options:
        got = ", ".join(choice.options)
        raise UsageError(f"sampler {choice.name!r} takes no options, got {got}")
    if choice.name != "auto":
        return completed(choice, stored), ""
    if stored is not None:
        return Component(stored["name"], stored.get("options", {})), "as the sweep was made"
    found, why = chosen_by_auto(space, trials)
    return completed(found, None), why


def _ask_ahead(
    options: RunOptions, space: Space, existing: SweepInfo | None, sampler: Component
) -> int:
    """Return how many trials are in flight: as asked, else as when the sweep was made."""
    asked = options.ask_ahead or space.defaults.ask_ahead
    if asked is None and existing is not None:
        # What the space said then, by itself or by the default of that time.
        then = existing.space.get("defaults", {}).get("ask_ahead")
        asked = then if isinstance(then, int) and then > 0 else None
    default = ASK_AHEAD_UNTAUGHT if sampler.name in LEARN_NOTHING else ASK_AHEAD
    return asked or default


def _sampler(choice: Component, space: Space) -> SamplerFactory | None:
    if choice.name != "grid":
        return sampler_factory(choice, len(space.objectives), space)
    try:
        next(iter(space.enumerate()))
    except SpaceError as error:
        raise UsageError(f"sampler 'grid': {error}") from error
    return None


def _check_baselines(config: SweepConfig) -> None:
    for name, params in config.space.baselines.items():
        problems = config.violations(params)
        if problems:
            raise UsageError(
                f"baseline {name!r} is not allowed by the space: {'; '.join(problems)}"
            )
    points: dict[str, str] = {}
    for name, params in config.space.baselines.items():
        twin = points.setdefault(point_key(params), name)
        if twin != name:
            raise UsageError(f"baselines {twin!r} and {name!r} are the same point; leave one out")


def _check_feasible(config: SweepConfig) -> None:
    """Make the first sampled proposal, so that a space without admissible points is refused now."""
    problems: list[str] = []

    def admissible(params: Mapping[str, Value], configuration: Mapping[str, Value]) -> bool:
        found = config.violations(params, configuration)
        problems[:] = found or problems
        return not found

    proposer = config.proposer(admissible)
    learned = len(config.learned.points) if config.learned else 0
    for _ in range(len(config.space.baselines) + learned + 1):
        try:
            proposer.propose()
        except Exhausted:
            return
        except UsageError as error:
            said = f"; the last one: {'; '.join(problems)}" if problems else ""
            raise UsageError(f"{error}{said}") from error


def _as_stored(choice: dict[str, Any]) -> dict[str, Any]:
    """Return a choice as JSON gives it back, so that a resumed sweep finds it equal."""
    try:
        stored: dict[str, Any] = json.loads(json.dumps(choice))
    except TypeError:
        raise UsageError(
            f"options of {choice['name']!r}: {choice['options']} are not plain numbers and texts"
        ) from None
    return stored
