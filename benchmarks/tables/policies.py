"""Ways to run a sweep of `mlp`, tried on digits20-tabular: what each would choose, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
from optuna.trial import TrialState

from benchmarks.tables import bank, files
from benchmarks.tables.digits20 import Digits20, Training
from benchmarks.tables.searchers import queue
from sweeps.config.sweep import ASK_AHEAD
from sweeps.runner.trial_queue import QueuedTrial, TrialQueue
from sweeps.study.sampler_view import TrialOutcome
from sweeps.study.samplers import Choice, SamplerFactory, TrialPruner, completed, make_pruner

EPOCH_METRIC = "value"


@dataclass(frozen=True)
class Policy:
    """One way to run a sweep; what it does not say is as `mlp` ships.

    Attributes:
        objective: `accuracy` or `cross-entropy`, of the restored best weights. A pruner compares
            what it was after each epoch.
        own_split: Whether each trial is scored on a split of its own (Nagler et al. 2024,
            arXiv 2405.15393), or all on the same.
        factory: Makes the samplers in place of `sampler`'s.
    """

    objective: str = "cross-entropy"
    own_split: bool = False
    pruner: Choice = field(default_factory=lambda: Choice("none"))
    ask_ahead: int = ASK_AHEAD
    sampler: Choice = field(default_factory=lambda: completed(Choice("tpe"), None))
    factory: SamplerFactory | None = None

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Which way is better."""
        return "maximize" if self.objective == "accuracy" else "minimize"

    def value(self, training: Training) -> float:
        """Return the objective of a training."""
        return training.accuracy if self.objective == "accuracy" else training.cross_entropy

    def curve(self, training: Training) -> list[float]:
        """Return what the objective was after each epoch."""
        if self.objective == "accuracy":
            return training.accuracies
        return training.cross_entropies


BASE = "as shipped"
"""What every other policy differs from in one thing. `from 4`: none ends before its 5th epoch."""
POLICIES: Mapping[str, Policy] = {
    BASE: Policy(),
    "objective: accuracy": Policy(objective="accuracy"),
    "split: its own": Policy(own_split=True),
    "pruner: median": Policy(pruner=Choice("median")),
    "pruner: median from 4": Policy(pruner=Choice("median", {"n_warmup_steps": 4})),
    "pruner: median from 8": Policy(pruner=Choice("median", {"n_warmup_steps": 8})),
    "pruner: hyperband": Policy(pruner=Choice("hyperband")),
    "pruner: asha": Policy(pruner=Choice("asha")),
    "ask_ahead: 1": Policy(ask_ahead=1),
    "ask_ahead: 8": Policy(ask_ahead=8),
    "ask_ahead: 64": Policy(ask_ahead=64),
    "sampler: random": Policy(sampler=Choice("random")),
}


@dataclass
class Sweep:
    """What a simulated sweep did.

    Attributes:
        rows: Configuration of each trial.
        values: Its objective, NaN if it was pruned or diverged.
        epochs: Epochs it trained.
        seconds: Seconds that took, of the training alone.
    """

    rows: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def chosen(self, policy: Policy, trials: int) -> int:
        """Return the row of the best trial, as sweeps rank them: of equal ones the first."""
        sign = 1 if policy.direction == "minimize" else -1
        values = np.array([np.inf if np.isnan(v) else sign * v for v in self.values[:trials]])
        return self.rows[int(values.argmin())]


def simulate(table: Digits20, policy: Policy, trials: int, seed: int) -> Sweep:
    """Run a sweep whose trainings are looked up."""
    opened = queue(
        bank.space(),
        seed,
        policy.ask_ahead,
        sampler=policy.sampler,
        factory=policy.factory,
        direction=policy.direction,
    )
    sweep, visits = Sweep(), dict[int, int]()
    for _ in range(trials):
        trial = opened.open_next()
        row = table.nearest(trial.proposal.params)
        training = table.training(row, _again(policy, row, visits.get(row, 0), seed))
        visits[row] = visits.get(row, 0) + 1
        ended, epochs = outcome(policy, opened, trial, training)
        trial.outcome = ended
        sweep.rows.append(row)
        sweep.values.append(ended.values[0] if ended.values else np.nan)
        sweep.epochs.append(epochs)
        sweep.seconds.append(training.seconds * epochs / max(len(training.accuracies), 1))
    return sweep


def outcome(
    policy: Policy, opened: TrialQueue, trial: QueuedTrial, training: Training
) -> tuple[TrialOutcome, int]:
    """Return how a trial ends and after how many epochs, its pruner asked after each."""
    curve = dict(enumerate(policy.curve(training)))
    pruner = make_pruner(policy.pruner)
    asked = None
    if pruner is not None:
        finished = opened.proposer.sampler_view.finished()
        asked = TrialPruner(pruner, EPOCH_METRIC, policy.direction, trial.number, finished)
        for epoch, value in curve.items():
            if asked(epoch, {EPOCH_METRIC: value}):
                seen = {step: curve[step] for step in range(epoch + 1)}
                return TrialOutcome(
                    TrialState.PRUNED, None, seen, pruner_attrs=asked.notes
                ), epoch + 1
    if training.diverged:
        return TrialOutcome(TrialState.PRUNED, diverged=True), len(curve)
    notes = asked.notes if asked else None
    values = (policy.value(training),)
    return TrialOutcome(TrialState.COMPLETE, values, curve, pruner_attrs=notes), len(curve)


def simulated(
    folder: Path, table: Digits20, trials: Mapping[str, int], seeds: int, processes: int = 1
) -> dict[str, list[Sweep]]:
    """Return a sweep a policy and seed; those that the folder holds are not run again.

    Args:
        folder: Where sweeps are kept.
        table: Where trainings are looked up.
        trials: Of a sweep, by the name of its policy.
        seeds: Sweeps a policy.
        processes: Sweeps that are run beside each other.
    """
    places = {
        (name, seed): folder / "sweeps" / f"{_plain(name)}-{count}-{seed:03d}.npz"
        for seed in range(seeds)
        for name, count in trials.items()
    }
    todo = [
        (path, table, name, trials[name], seed)
        for (name, seed), path in places.items()
        if not path.exists()
    ]
    if processes > 1 and todo:
        with get_context("fork").Pool(processes) as pool:
            for _ in pool.imap_unordered(_keep, todo, chunksize=8):
                pass
    else:
        for one in todo:
            _keep(one)
    return {name: [_read(places[name, seed]) for seed in range(seeds)] for name in trials}


def _keep(todo: tuple[Path, Digits20, str, int, int]) -> None:
    path, table, name, trials, seed = todo
    made = simulate(table, POLICIES[name], trials, seed)
    files.save(path, {part: np.array(kept) for part, kept in vars(made).items()})


def _read(path: Path) -> Sweep:
    return Sweep(**{part: kept.tolist() for part, kept in files.load(path).items()})


def _plain(name: str) -> str:
    return name.replace(":", "").replace(" ", "-")


def _again(policy: Policy, row: int, visit: int, seed: int) -> int:
    """Return which of a row's trainings a trial shows; on the common split one of two seeds."""
    if policy.own_split:
        return bank.OWN
    drawn = np.random.SeedSequence([seed, row, visit]).generate_state(1)[0]
    return int(drawn) % bank.OWN
