"""`--extend`: begins the next generation of a sweep, in one atomic write.

What the earlier generations know of slots that are still to be trained goes into the new
generation's file: so a later start needs neither their study nor their space, which may be a
function that has changed since.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from search_spaces.errors import SpaceError
from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.config import SweepConfig
from sweeps.errors import UsageError
from sweeps.records import Generation, Record, SweepInfo, UnfinishedSlot
from sweeps.study.proposals import Proposal
from sweeps.study.storage import (
    ATTEMPTS,
    distributions_to_json,
    proposal_of_record,
    proposal_of_trial,
    stored_slots,
)


def extend(config: SweepConfig, info: SweepInfo, code: Mapping[str, Any]) -> SweepInfo:
    """Begin the next generation; the caller holds the sweep's lock.

    Args:
        config: How the sweep is to go on.
        info: The sweep as it is.
        code: State of the code.

    Returns:
        The sweep as the new generation has it.

    Raises:
        UsageError: A slot that is still to be trained cannot be carried over.
    """
    store = config.home.store(info.id)
    generation = next_generation(config, info, store.read_all(), code)
    store.write_generation(generation)
    return info.extended(generation)


def next_generation(
    config: SweepConfig, info: SweepInfo, records: Sequence[Record], code: Mapping[str, Any]
) -> Generation:
    """Return what `extend` would write; creates nothing."""
    stored = stored_slots(config.home.optuna_db, info.study_name)
    count = max(info.first_slot, len(stored), *(r.spec.slot + 1 for r in records), 0)
    return Generation(
        number=info.generation + 1,
        first_slot=count,
        created_at=time.time_ns() // 1_000_000,
        fingerprint=config.fingerprint,
        space=config.space.to_dict(),
        baselines=tuple(config.space.baselines),
        code=code,
        directory=str(config.space.directory) if config.space.directory else None,
        unfinished=tuple(_unfinished(info, count, stored, records)),
    )


def _unfinished(
    info: SweepInfo, count: int, stored: Sequence[FrozenTrial], records: Sequence[Record]
) -> Iterator[UnfinishedSlot]:
    """Yield the slots below `count` that no record ends, with all that their attempts need."""
    latest = {record.spec.slot: record for record in records}
    ended = {record.spec.slot for record in records if record.ends_slot}
    carried = {slot.slot: slot for slot in info.unfinished}
    for number in (n for n in range(count) if n not in ended):
        trial = stored[number] if number < len(stored) else None
        record = latest.get(number)
        begun = max(
            int(trial.user_attrs.get(ATTEMPTS, 0)) if trial else 0,
            record.spec.attempt if record else 0,
        )
        if number in carried:
            kept = carried[number]
            yield dataclasses.replace(kept, attempts=max(kept.attempts, begun))
        elif record is not None:
            yield _kept(number, begun, proposal_of_record(record), record.spec.config)
        elif trial is not None and number >= info.first_slot:
            proposal = proposal_of_trial(trial)
            yield _kept(number, begun, proposal, _configuration(info, number, proposal))
        else:
            raise UsageError(
                f"sweep {info.name!r} cannot be extended yet: trial {number} is missing in records "
                "and study; repeat the options the sweep was made with once, then extend it"
            )


def _kept(
    number: int, attempts: int, proposal: Proposal, config: Mapping[str, Value]
) -> UnfinishedSlot:
    return UnfinishedSlot(
        slot=number,
        attempts=attempts,
        origin=proposal.origin,
        params=proposal.params,
        distributions=distributions_to_json(proposal),
        config=config,
    )


def _configuration(info: SweepInfo, slot: int, proposal: Proposal) -> dict[str, Value]:
    """Expand a slot in the space it was proposed in, if that still exists."""
    try:
        space = Space.from_dict(
            info.space, directory=Path(info.directory) if info.directory else None
        )
        if space.digest() == info.fingerprint["space"]:
            return space.configuration(proposal.params)
        problem = f"{info.space['body'].get('function', 'the space')} has changed since"
    except SpaceError as error:
        problem = str(error)
    raise UsageError(
        f"sweep {info.name!r} cannot be extended yet: trial {slot} is unfinished, and what it "
        f"trains can no longer be told ({problem}). Bring the earlier space back and finish the "
        "sweep without --extend, or begin another with --name"
    )
