"""A sweep's ledger, as a start finds it: study, records, and the slots of earlier generations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sweeps.config import SweepConfig
from sweeps.coordinator.carrying import carried_slots
from sweeps.coordinator.extending import recalled
from sweeps.coordinator.ledger import Ledger, SlotStore
from sweeps.records import Hunch, Record, SweepInfo, attempts_put_aside


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
    )
