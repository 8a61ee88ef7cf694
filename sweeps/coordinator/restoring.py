"""A sweep's ledger, as a start finds it: study, records, and the slots of earlier generations."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

from optuna.trial import TrialState

from sweeps.config import SweepConfig
from sweeps.coordinator.carrying import carried_slots
from sweeps.coordinator.extending import recalled
from sweeps.coordinator.ledger import Ledger, SlotStore
from sweeps.records import Hunch, Record, SweepInfo, attempts_put_aside
from sweeps.study.mirror import told


def make_ledger(
    config: SweepConfig,
    info: SweepInfo,
    records: Sequence[Record],
    study: SlotStore,
    hunches: Callable[[int], Hunch | None] = lambda slot: None,
) -> Ledger:
    """Return the ledger of a sweep before its first slot is opened.

    Args:
        config: How the sweep goes on.
        info: The sweep.
        records: All of its records, ordered by slot and attempt.
        study: Where its slots are stored.
        hunches: Says what somebody wants tried in a slot.
    """
    retries = config.home.store(info.id).retries
    retried = retries.opened_by()
    study.reopen(_to_reopen(retried, info, records, study))
    return Ledger(
        study=study,
        proposer=config.proposer(),
        records=records,
        objectives=info.objectives,
        epoch_metric=info.epoch_metric if config.pruner.name != "none" else None,
        ask_ahead=config.ask_ahead,
        in_order=config.order == "slots",
        carried=carried_slots(
            info,
            records,
            config.space,
            config.experiment.parameters,
            recall=partial(recalled, config.home, info),
        ),
        hunches=hunches,
        used_up=attempts_put_aside(config.home.store(info.id)),
        retried=retried,
        retried_attempts=retries.attempts(),
    )


def _to_reopen(
    retried: Collection[int], info: SweepInfo, records: Sequence[Record], study: SlotStore
) -> list[int]:
    """Return the slots that the study has as failed, though they are, or were, run again."""
    final = {r.spec.slot: told(r, info.objectives) for r in records if r.ends_slot}
    failed = {slot for slot, outcome in final.items() if outcome.state == TrialState.FAIL}
    stored = {trial.number for trial in study.slots if trial.state == TrialState.FAIL}
    return sorted(stored.intersection(retried) - failed)
