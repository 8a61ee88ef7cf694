"""From what was asked to a sweep that can run: everything is validated, nothing is created."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from search_spaces.errors import SpaceError
from search_spaces.loading import load_space
from search_spaces.overrides import apply_overrides
from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.config.checks import (
    check_below_seconds,
    check_bounds,
    check_command,
    check_options,
    check_pruner,
    check_split_seed,
    seconds_above_zero,
)
from sweeps.config.options import Limits, RunOptions
from sweeps.config.policies import FailurePolicy, Parallelism, failure_policy, how_many_workers
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import code_of
from sweeps.experiments.loading import asking, load_experiment
from sweeps.home import Home
from sweeps.records import ExperimentCode
from sweeps.study.proposals import Exhausted, Proposer, point_key
from sweeps.study.samplers import Choice, SamplerFactory, sampler_factory
from sweeps.workspace.names import check_sweep_name

SPLIT_SEED = 0
"""Seed of the training/validation split; the same for every sweep, so that sweeps compare."""


@dataclass(frozen=True)
class SweepConfig:
    """A validated sweep.

    Attributes:
        fingerprint: Everything that decides the trials, by name.
        sampler_factory: None for `grid`.
        dropped_baselines: Baselines that overrides shut out.
        code: What the experiment consists of; None where that cannot be told.
        extend: Whether the sweep of that name may go on in another space.
        same_code: Whether code that was edited is declared to be what it was.
        check_below_seconds: The first trial is trained a second time, to be compared, if it took
            less; 0: none is.
        retry: Trials of the sweep of that name that failed and are to be run again, and nothing
            else; empty for all of them, None for a sweep that goes on.
    """

    name: str
    home: Home
    space: Space
    experiment: Experiment
    data: PreparedData
    seed: int
    sampler: Choice
    sampler_factory: SamplerFactory | None
    pruner: Choice
    ask_ahead: int
    order: Literal["slots", "free"]
    parallelism: Parallelism
    limits: Limits
    failures: FailurePolicy
    dropped_baselines: tuple[str, ...]
    fingerprint: Mapping[str, Any]
    code: ExperimentCode | None = None
    extend: bool = False
    same_code: bool = False
    check_below_seconds: float = 0.0
    retry: tuple[int, ...] | None = None

    def configuration(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Return what the experiment receives for sampled parameters."""
        return self.space.configuration(params)

    def proposer(self, admissible: Callable[[Mapping[str, Value]], bool] | None = None) -> Proposer:
        """Return what makes this sweep's proposals, before its first slot.

        Args:
            admissible: Stands in for `self.admissible`.
        """
        return Proposer(
            self.space,
            seed=self.seed,
            sampler=self.sampler_factory,
            directions=[one.direction for one in self.space.objectives],
            admissible=admissible or self.admissible,
        )

    def admissible(self, params: Mapping[str, Value]) -> bool:
        """Whether a point meets the constraints of the space and the experiment's own checks."""
        return not self.violations(params)

    def violations(self, params: Mapping[str, Value]) -> list[str]:
        """Return what a point violates, as text; computed without training."""
        config = self.configuration(params)
        try:
            self.experiment.check(config)
        except ValueError as error:
            return [str(error)]
        if not self.space.constraints:
            return []
        measures = self.experiment.measure(config, self.data)
        return self.space.feasible({**config, **params, **measures})


def resolve(options: RunOptions, recorded: Space | None = None) -> SweepConfig:
    """Validate everything a sweep needs.

    Args:
        options: What is asked for.
        recorded: The space of a sweep that exists; None to load the one that `options` name.

    Raises:
        UsageError: Anything is wrong; names what was received, what is allowed and the remedy.
    """
    order = check_options(options)
    home = Home.resolve(options.home, options.storage)
    try:
        space = recorded or load_space(options.space)
        name = check_sweep_name(space.name if options.name is None else options.name)
        experiment = load_experiment(space.experiment, space.directory)
        space, dropped = apply_overrides(space, options.overrides, experiment.parameters)
        directions = {m: info.direction for m, info in experiment.metrics.items()}
        space.check(experiment.parameters, directions, experiment.measures)
        check_command(experiment, space)
    except SpaceError as error:
        raise UsageError(str(error)) from error
    sampler = _choice(options.sampler, options.sampler_options, space.defaults.sampler)
    pruner = _choice(options.pruner, options.pruner_options, space.defaults.pruner)
    check_pruner(pruner, experiment, space)
    check_bounds(options, space)
    data = asking(experiment.prepare, options.source, SPLIT_SEED)
    check_split_seed(data)
    ask_ahead = options.ask_ahead or space.defaults.ask_ahead
    code = code_of(space.experiment, experiment)
    workers = how_many_workers(options.workers, space.experiment, options.executor)
    config = SweepConfig(
        name=name,
        home=home,
        space=space,
        experiment=experiment,
        data=data,
        seed=options.seed,
        sampler=sampler,
        sampler_factory=_sampler(sampler, space),
        pruner=pruner,
        ask_ahead=ask_ahead,
        order=order,
        parallelism=Parallelism(workers, ask_ahead),
        limits=_limits(options, space),
        failures=failure_policy(
            options.retries,
            seconds_above_zero("--trial-timeout", options.trial_timeout),
            options.max_failures_in_row,
            workers=workers,
        ),
        dropped_baselines=dropped,
        fingerprint={
            **_fingerprint_of(space, data, code),
            "seed": options.seed,
            "sampler": _as_stored(sampler.to_dict()),
            "pruner": _as_stored(pruner.to_dict()),
            "ask_ahead": ask_ahead,
            "order": order,
        },
        code=code,
        extend=options.extend,
        same_code=options.same_code,
        check_below_seconds=check_below_seconds(options, space, experiment, data, workers),
    )
    _check_baselines(config)
    _check_feasible(config)
    return config


def _limits(options: RunOptions, space: Space) -> Limits:
    return Limits(
        trials=options.trials or space.defaults.trials,
        timeout_seconds=seconds_above_zero("--timeout", options.timeout),
        target=options.target,
        stop_after=options.stop_after,
    )


def _fingerprint_of(
    space: Space, data: PreparedData, code: ExperimentCode | None
) -> dict[str, str]:
    """Return what a fingerprint says of what is trained, and on what."""
    return {
        "experiment": space.experiment,
        "space": space.digest(),
        "data": data.digest,
        "split": data.split_digest,
        **({"code": code.digest} if code is not None else {}),
    }


def _choice(name: str | None, options: Mapping[str, Any], default: Any) -> Choice:
    if name is None:
        return Choice(default.name, {**default.options, **options})
    return Choice(name, dict(options))


def _sampler(choice: Choice, space: Space) -> SamplerFactory | None:
    if choice.name != "grid":
        return sampler_factory(choice, len(space.objectives))
    if choice.options:
        raise UsageError(f"sampler 'grid' takes no options, got {', '.join(choice.options)}")
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
    """Make the first sampled proposal, so that a space nothing fits into is refused now."""
    problems: list[str] = []

    def admissible(params: Mapping[str, Value]) -> bool:
        found = config.violations(params)
        problems[:] = found or problems
        return not found

    proposer = config.proposer(admissible)
    for _ in range(len(config.space.baselines) + 1):
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
