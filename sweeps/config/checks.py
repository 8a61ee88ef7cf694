"""Refuses options that are not valid, or not for this sweep, before anything is created."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Final, Literal

from search_spaces.errors import did_you_mean
from search_spaces.objectives import in_words
from search_spaces.space import Space
from sweeps.config.options import RunOptions
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import is_shipped
from sweeps.experiments.script import ScriptExperiment
from sweeps.experiments.script_command import OWN
from sweeps.study.samplers import Choice, make_pruner
from sweeps.workspace.clock import seconds_of

QUICK_SECONDS: Final = 10.0
"""A trial that takes longer is trained a second time only if the user asks for it."""
_KINDS: Final = (
    (str, "a text", ("name", "sampler", "pruner", "executor", "tracking_uri")),
    (str | PathLike, "the path of a folder", ("home",)),
    (str | PathLike, "a text", ("data",)),
    (bool, "True or False", ("extend", "same_code", "trust_cluster")),
    (Mapping, "a dict", ("sampler_options", "pruner_options", "retries", "resources")),
)
"""Types that arguments of Python functions must have; a command makes values of these types."""


def check_options(options: RunOptions) -> Literal["number", "free"]:
    """Refuse values that no sweep can have; return the order of the trials."""
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
    if options.order == "number":
        return "number"
    if options.order == "free":
        return "free"
    raise UsageError(f"--order {options.order!r}: allowed are 'number' and 'free'")


def seconds_above_zero(option: str, duration: float | str | None) -> float | None:
    """Return a duration in seconds; None stays None.

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
        if not (info.required or name in known or (repeated in known and number.isdigit())):
            raise UsageError(
                f"command: {{?{name} ...}} is for a parameter, and the space has no {name!r}"
                f"{did_you_mean(name, known)}; it has: {', '.join(sorted(known))}"
            )


def check_bounds(options: RunOptions, space: Space) -> None:
    """Refuse options that need a single objective, if the space has several."""
    if len(space.objectives) == 1:
        return
    for option, value in (("--target", options.target), ("--fail-under", options.fail_under)):
        if value is not None:
            raise UsageError(
                f"{option} {value:g}: it bounds one number, and the space has several objectives "
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
