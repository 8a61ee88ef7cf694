"""Options that no sweep can have, or not this one: refused before anything is created."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Final, Literal

from search_spaces.objectives import in_words
from search_spaces.space import Space
from sweeps.config.options import RunOptions
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import is_shipped
from sweeps.experiments.script import ScriptExperiment
from sweeps.study.samplers import Choice, make_pruner
from sweeps.workspace.clock import seconds_of
from sweeps.workspace.names import did_you_mean

QUICK_SECONDS: Final = 10.0
"""A trial that takes longer is not trained a second time unasked."""
_KINDS: Final = (
    (str, "a text", ("name", "sampler", "pruner", "executor", "tracking_uri")),
    (str | PathLike, "the path of a folder", ("home",)),
    (str | PathLike, "a text", ("data",)),
    (bool, "True or False", ("extend", "same_code", "trust_cluster")),
    (Mapping, "a dict", ("sampler_options", "pruner_options", "retries", "resources")),
)
"""What arguments of Python functions have to be; a command reads them so."""


def check_options(options: RunOptions) -> Literal["slots", "free"]:
    """Refuse numbers and words that no sweep can have; return the order of the slots."""
    _at_least("--trials", options.trials, 1)
    _at_least("--ask-ahead", options.ask_ahead, 1)
    _at_least("--stop-after", options.stop_after, 1)
    _at_least("--seed", options.seed, 0)
    _at_least("--workers", options.workers, 0)
    seconds_above_zero("--timeout", options.timeout)
    seconds_above_zero("--trial-timeout", options.trial_timeout)
    _number("--target", options.target)
    _number("--fail-under", options.fail_under)
    _check_kinds(options)
    texts = options.overrides
    is_list = isinstance(texts, Sequence) and not isinstance(texts, str)
    if not (is_list and all(isinstance(text, str) for text in texts)):
        raise UsageError(f"overrides={texts!r}: give a list of name=value texts")
    if options.order == "slots":
        return "slots"
    if options.order == "free":
        return "free"
    raise UsageError(f"--order {options.order!r}: allowed are 'slots' and 'free'")


def seconds_above_zero(option: str, duration: float | str | None) -> float | None:
    """Return a duration in seconds, None for none.

    Raises:
        UsageError: It is no duration, or not above 0 and finite.
    """
    if duration is None:
        return None
    try:
        seconds = seconds_of(duration)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None
    if not 0 < seconds < math.inf:
        raise UsageError(f"{option} {duration}: give seconds above 0")
    return seconds


def check_pruner(choice: Choice, experiment: Experiment, space: Space) -> None:
    """Refuse a pruner where there is nothing for it to watch, or more than one thing."""
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
    """Refuse an optional part of a script's command whose name the space does not have.

    It would be left out of every trial in silence, and what is searched never reach the script.

    Raises:
        UsageError: Names it and what the space has.
    """
    if not isinstance(experiment, ScriptExperiment):
        return
    walks = space.samples()
    known = {name for walk in walks for name in (*walk.params, *walk.config)}
    known |= {item["name"] for item in space.to_dict()["body"].get("parameters", ())}
    for name, info in experiment.parameters.items():
        repeated, _, number = name.rpartition("_")
        if not (info.required or name in known or (repeated in known and number.isdigit())):
            raise UsageError(
                f"command: {{?{name} ...}} is for a parameter, and the space has no {name!r}"
                f"{did_you_mean(name, known)}; it has: {', '.join(sorted(known))}"
            )


def check_bounds(options: RunOptions, space: Space) -> None:
    """Refuse options that one number has to reach, where there are several."""
    if len(space.objectives) == 1:
        return
    for option, value in (("--target", options.target), ("--fail-under", options.fail_under)):
        if value is not None:
            raise UsageError(
                f"{option} {value:g}: it bounds one number, and the space has several objectives "
                f"({in_words(space.objectives)}); leave it out, or leave one objective in the space"
            )
    if space.defaults.finalize is not None:
        raise UsageError(
            "defaults.finalize: several objectives leave no best trial to confirm; leave it "
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
    """Return how long a trial may have taken that is trained a second time; 0 for none.

    Raises:
        UsageError: That is asked for where it cannot be.
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


def _at_least(option: str, value: int | None, least: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{option} {value!r}: give a whole number from {least} on")


def _number(option: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        raise UsageError(f"{option} {value!r}: give a number")


def _check_kinds(options: RunOptions) -> None:
    for kind, described, arguments in _KINDS:
        for argument in arguments:
            value = getattr(options, argument)
            if value is not None and not isinstance(value, kind):
                raise UsageError(f"{argument}={value!r}: give {described}")
