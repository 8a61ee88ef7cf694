"""What an attempt at a slot is given: its specification and its pruner's view."""

from __future__ import annotations

from sweeps.config import SweepConfig
from sweeps.coordinator.ledger import Ledger, Slot
from sweeps.experiment import TrialSpec
from sweeps.seeds import training_seed
from sweeps.study.pruning import TrialPruner
from sweeps.study.samplers import make_pruner


def spec_of(config: SweepConfig, sweep_id: str, slot: Slot) -> TrialSpec:
    """Return the attempt that a slot is at now."""
    params = slot.proposal.params
    return TrialSpec(
        sweep=sweep_id,
        slot=slot.number,
        attempt=slot.attempts,
        seed=training_seed(config.seed, slot.number),
        config=slot.carried.config if slot.carried else config.configuration(params),
    )


def pruner_of(config: SweepConfig, ledger: Ledger, slot: Slot) -> TrialPruner | None:
    """Return what judges a slot's epochs by the trials told before it; None without a pruner."""
    pruner, metric = make_pruner(config.pruner), ledger.epoch_metric
    if pruner is None or metric is None:
        return None
    direction = config.space.objective.direction
    return TrialPruner(pruner, metric, direction, slot.number, ledger.proposer.mirror.finished())
