"""Options that no sweep can have, or not this one: refused before anything is created."""

from __future__ import annotations

from typing import Literal

from search_spaces.objectives import in_words
from search_spaces.space import Space
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.options import RunOptions
from sweeps.study.samplers import Choice, make_pruner


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


def _at_least(option: str, value: int | None, least: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{option} {value!r}: give a whole number from {least} on")
