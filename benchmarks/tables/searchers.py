"""What proposes: the project's own machinery, and Optuna as its documentation shows it.

A searcher is told what a trial shows as soon as it may know it; nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from search_spaces.objectives import Objective
from search_spaces.parameters import Value
from search_spaces.space import Component, Space
from sweeps.records import RecordStore
from sweeps.runner.trial_queue import TrialQueue
from sweeps.study.proposals import Proposer
from sweeps.study.sampler_view import TrialOutcome
from sweeps.study.samplers import sampler_factory

Judge = Callable[[dict[str, Value]], float]
"""Says what a trial of a configuration shows; lower is better."""
Searcher = Callable[[Space, Judge, int, int], None]
"""Called with a space, a judge, a number of trials and a seed; asks the judge trial by trial."""


def ours(
    ask_ahead: int,
    learned: Sequence[Mapping[str, Value]] = (),
    sampler: str = "tpe",
    **options: Any,
) -> Searcher:
    """Return a sweep's search. A trial sees what ended `ask_ahead` trials before it, as always.

    Args:
        ask_ahead: Trials in flight.
        learned: Points that are tried first.
        sampler: Its name.
        options: Of the sampler.
    """

    def search(space: Space, judge: Judge, trials: int, seed: int) -> None:
        proposer = Proposer(
            space,
            seed=seed,
            sampler=sampler_factory(Component(sampler, options), 1, space),
            directions=["minimize"],
            admissible=lambda *_: True,
            learned=[("elsewhere", params) for params in learned],
        )
        objectives = [Objective("value", "minimize")]
        store = RecordStore(Path("no sweep"))  # there is none, and none is written
        opened = TrialQueue(store, proposer, [], objectives, None, ask_ahead)
        for _ in range(trials):
            trial = opened.open_next()
            trial.outcome = TrialOutcome(TrialState.COMPLETE, (judge(dict(trial.proposal.params)),))

    return search


def sequential_tpe(seed: int) -> optuna.samplers.BaseSampler:
    """Return Optuna's sampler as it is shipped: what all others are compared with."""
    return optuna.samplers.TPESampler(seed=seed)


def gaussian_process(seed: int) -> optuna.samplers.BaseSampler:
    """Return Optuna's GPSampler on one thread; two take six times the processor's time here."""
    import torch

    torch.set_num_threads(1)
    return optuna.samplers.GPSampler(seed=seed)
