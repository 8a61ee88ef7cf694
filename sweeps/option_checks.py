"""Options that no sweep can have, or not this one: refused before anything is created."""

from __future__ import annotations

import math
from typing import Final, Literal

from search_spaces.objectives import in_words
from search_spaces.space import Space
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiment_code import is_shipped
from sweeps.options import RunOptions
from sweeps.script_experiment import ScriptExperiment
from sweeps.study.samplers import Choice, make_pruner

QUICK_SECONDS: Final = 10.0
"""A trial that takes longer is not trained a second time unasked."""


def check_options(options: RunOptions) -> Literal["slots", "free"]:
    """Refuse numbers and words that no sweep can have; return the order of the slots."""
    _at_least("--trials", options.trials, 1)
    _at_least("--ask-ahead", options.ask_ahead, 1)
    _at_least("--stop-after", options.stop_after, 1)
    _at_least("--seed", options.seed, 0)
    if options.timeout_seconds is not None and not options.timeout_seconds > 0:
        raise UsageError(f"--timeout {options.timeout_seconds}: give seconds above 0")
    if options.target is not None and options.target != options.target:
        raise UsageError("--target nan: give a number")
    _at_least("--workers", options.workers, 0)
    if options.order == "slots":
        return "slots"
    if options.order == "free":
        return "free"
    raise UsageError(f"--order {options.order!r}: allowed are 'slots' and 'free'")


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
