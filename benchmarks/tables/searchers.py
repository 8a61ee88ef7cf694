"""What proposes: the project's own machinery, and Optuna as its documentation shows it.

A searcher is told what a trial shows as soon as it may know it; nothing is trained.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces.objectives import Objective
from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.config.sweep import ASK_AHEAD
from sweeps.runner.trial_queue import TrialQueue
from sweeps.study.proposals import Proposal, Proposer
from sweeps.study.sampler_view import TrialOutcome
from sweeps.study.samplers import START_UP, Choice, SamplerFactory, sampler_factory

Judge = Callable[[dict[str, Value]], float]
"""Says what a trial of a configuration shows; lower is better."""
Searcher = Callable[[Space, Judge, int, int], None]
"""Called with a space, a judge, a number of trials and a seed; asks the judge trial by trial."""

Imported = Sequence[tuple[Mapping[str, Value], Sequence[float]]]
"""Points that were tried elsewhere, each with what its trial showed."""


@dataclass
class Unstored:
    """A study of the queue's that keeps nothing: no sweep is resumed here."""

    trials: list[FrozenTrial] = field(default_factory=list)

    def add(self, trial: int, proposal: Proposal) -> None:
        """Keep nothing."""

    def count_attempt(self, trial: int, attempt: int) -> None:
        """Keep nothing."""

    def tell(self, trial: int, outcome: TrialOutcome) -> None:
        """Keep nothing."""

    def reopen(self, trials: Collection[int]) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """Keep nothing."""


def queue(
    space: Space,
    seed: int,
    ask_ahead: int,
    *,
    sampler: Choice | None = None,
    factory: SamplerFactory | None = None,
    direction: Literal["minimize", "maximize"] = "minimize",
    imported: Imported = (),
    learned: Sequence[Mapping[str, Value]] = (),
) -> TrialQueue:
    """Return what opens the trials of a sweep, as its coordinator has it, without its stores."""
    chosen = factory or sampler_factory(sampler or Choice("tpe"), 1, space)
    proposer = Proposer(
        space,
        seed=seed,
        sampler=chosen,
        directions=[direction],
        admissible=lambda *_: True,
        imported=imported,
        learned=[("elsewhere", params) for params in learned],
    )
    return TrialQueue(Unstored(), proposer, [], [Objective("value", direction)], None, ask_ahead)


def ours(
    ask_ahead: int,
    imported: Imported = (),
    learned: Sequence[Mapping[str, Value]] = (),
    sampler: str = "tpe",
    **options: Any,
) -> Searcher:
    """Return a sweep's search. A trial sees what ended `ask_ahead` trials before it, as always.

    Args:
        ask_ahead: Trials in flight.
        imported: Points that were tried elsewhere, shown to the sampler.
        learned: Points that are tried first.
        sampler: Its name.
        options: Of the sampler.
    """

    def search(space: Space, judge: Judge, trials: int, seed: int) -> None:
        chosen = Choice(sampler, options)
        opened = queue(space, seed, ask_ahead, sampler=chosen, imported=imported, learned=learned)
        for _ in range(trials):
            trial = opened.open_next()
            trial.outcome = TrialOutcome(TrialState.COMPLETE, (judge(dict(trial.proposal.params)),))

    return search


def shipped(imported: Imported = ()) -> Searcher:
    """Return the search of a new sweep that says nothing about its sampler."""
    return ours(ASK_AHEAD, imported, n_startup_trials=START_UP)


def gaussian_process_of_ours(ask_ahead: int) -> Searcher:
    """Return a sweep's search by `--sampler gp`."""
    return ours(ask_ahead, sampler="gp")


def tpe_in_flight(ahead: int) -> Searcher:
    """Return Optuna's TPE with that many trials in flight."""
    return stock(sequential_tpe, ahead)


def stock(make: Callable[[int], optuna.samplers.BaseSampler], ahead: int = 1) -> Searcher:
    """Return Optuna's ask and tell.

    Args:
        make: Makes a sampler of a seed.
        ahead: Trials in flight.
    """

    def search(space: Space, judge: Judge, trials: int, seed: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(direction="minimize", sampler=make(seed))
        waiting: list[tuple[optuna.Trial, float]] = []
        for _ in range(trials):
            trial = study.ask()
            waiting.append((trial, judge(space.walk(trial).params)))
            if len(waiting) == ahead:
                study.tell(*waiting.pop(0))

    return search


def sequential_tpe(seed: int) -> optuna.samplers.BaseSampler:
    """Return Optuna's sampler as it is shipped: what all others are compared with."""
    return optuna.samplers.TPESampler(seed=seed)


def gaussian_process(seed: int) -> optuna.samplers.BaseSampler:
    """Return Optuna's GPSampler on one thread; two take six times the processor's time here."""
    import torch

    torch.set_num_threads(1)
    return optuna.samplers.GPSampler(seed=seed)


REFERENCE = "tpe"
SHIPPED = "as shipped"
AHEAD = (1, 4, 8, 16, 64)
SEARCHERS: Mapping[str, Searcher] = {
    REFERENCE: stock(sequential_tpe),
    SHIPPED: shipped(),
    **{f"ours {ahead}": ours(ahead) for ahead in AHEAD},
    "univariate": stock(lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=False)),
    "random": stock(lambda seed: optuna.samplers.RandomSampler(seed=seed)),
    "gp": stock(gaussian_process),
}
VARIANTS: Mapping[str, Searcher] = {
    "tpe, 8 in flight": tpe_in_flight(8),
    "ours 8, 3 random": ours(8, n_startup_trials=3),
    "ours 8, 5 random": ours(8, n_startup_trials=5),
    "ours 8, 8 draws": ours(8, n_ei_candidates=8),
}
"""Made only where they are asked for by name: what explains a difference, or might mend it.

TPE proposes at random until it sees `n_startup_trials` results, here 10 unless told otherwise; with
`ask_ahead` 8 it sees them 7 trials later than a sequential one, after 17 random trials. What ships
is start-up 5 and `ask_ahead` 4.
"""
LIMITED: Mapping[str, tuple[int, int]] = {"gp": (5, 50)}
"""Most seeds and trials of a searcher that takes its time."""
