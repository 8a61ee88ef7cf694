"""`--extend`: begins the next generation of a sweep, in one atomic write.

What the earlier generations know of slots that are still to be trained goes into the new
generation's file: so a later start needs neither their study nor their space, which may be a
function that has changed since.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial

from search_spaces.errors import SpaceError
from search_spaces.parameters import Value
from search_spaces.space import Space
from sweeps.clock import now_ms
from sweeps.config import SweepConfig
from sweeps.coordinator.carrying import Carried, describe_carried
from sweeps.coordinator.opening import check_fingerprint, differing
from sweeps.errors import UsageError
from sweeps.experiment_loading import experiment_folder
from sweeps.home import Home
from sweeps.records import Generation, Record, SweepInfo, UnfinishedSlot
from sweeps.study.proposals import Proposal
from sweeps.study.storage import (
    ATTEMPTS,
    distributions_to_json,
    proposal_of_record,
    proposal_of_trial,
    stored_slots,
)


def newest_generation(config: SweepConfig, info: SweepInfo, code: Mapping[str, Any]) -> SweepInfo:
    """Look at the sweep again, under its lock, and extend it if that was asked and is needed.

    Args:
        config: How the sweep is to go on.
        info: The sweep as it was before the lock was taken.
        code: State of the code.

    Returns:
        The sweep as the generation has it that goes on now.

    Raises:
        UsageError: Somebody else has just extended it; or a slot that is still to be trained cannot
            be carried over.
    """
    info = check_fingerprint(config) or info
    if not differing(info, config):
        return info
    store = config.home.store(info.id)
    generation = next_generation(config, info, store.read_all(), code)
    store.write_generation(generation)
    return info.extended(generation)


def describe_extension(before: SweepInfo, info: SweepInfo, carried: Mapping[int, Carried]) -> str:
    """Return, in a line, what `--extend` has done."""
    if info.generation == before.generation:
        return f"nothing to extend: generation {info.generation} has these options already"
    begins = f"generation {info.generation} begins with trial {info.first_slot}"
    return f"{begins}; {describe_carried(carried)}"


def next_generation(
    config: SweepConfig, info: SweepInfo, records: Sequence[Record], code: Mapping[str, Any]
) -> Generation:
    """Return what an extension writes; creates nothing."""
    stored = stored_slots(config.home.studies, info.study_name)
    count = max(info.first_slot, len(stored), *(r.spec.slot + 1 for r in records), 0)
    return Generation(
        number=info.generation + 1,
        first_slot=count,
        created_at=now_ms(),
        fingerprint=config.fingerprint,
        space=config.space.to_dict(),
        baselines=tuple(config.space.baselines),
        code=code,
        directory=str(config.space.directory) if config.space.directory else None,
        unfinished=tuple(_unfinished(config.home, info, count, stored, records)),
    )


def recalled(home: Home, info: SweepInfo, number: int) -> UnfinishedSlot:
    """Return a slot without a record, from the study of the generation that proposed it.

    Raises:
        UsageError: The study lost it too, or its space is no longer what it was.
    """
    info = info.at(number)
    slots = stored_slots(home.studies, info.study_name)
    if number >= len(slots):
        raise UsageError(
            f"sweep {info.name!r}: trial {number} is missing in records and study. Repeat the "
            "options the sweep was made with once, which proposes it again, then extend it"
        )
    proposal = proposal_of_trial(slots[number])
    attempts = int(slots[number].user_attrs.get(ATTEMPTS, 0))
    return _kept(number, attempts, proposal, _configuration(home, info, number, proposal))


def _unfinished(
    home: Home,
    info: SweepInfo,
    count: int,
    stored: Sequence[FrozenTrial],
    records: Sequence[Record],
) -> Iterator[UnfinishedSlot]:
    """Yield the slots below `count` that no record ends, with all that their attempts need."""
    latest = {record.spec.slot: record for record in records}
    ended = {record.spec.slot for record in records if record.ends_slot}
    carried = {slot.slot: slot for slot in info.unfinished}
    for number in (n for n in range(count) if n not in ended):
        if number in carried:
            kept = carried[number]
        elif number in latest:
            spec = latest[number].spec
            proposal = proposal_of_record(latest[number])
            kept = _kept(number, spec.attempt, proposal, spec.config)
        else:
            kept = recalled(home, info, number)
        # An attempt that was begun and killed is known to the newest study only.
        begun = stored[number].user_attrs.get(ATTEMPTS, 0) if number < len(stored) else 0
        yield dataclasses.replace(kept, attempts=max(kept.attempts, int(begun)))


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


def _configuration(home: Home, info: SweepInfo, slot: int, proposal: Proposal) -> dict[str, Value]:
    """Expand a slot in the space it was proposed in, if that still exists."""
    try:
        space = Space.from_dict(info.space, directory=experiment_folder(info, home.records))
        if space.digest() == info.fingerprint["space"]:
            return space.configuration(proposal.params)
        problem = f"{info.space['body'].get('function', 'the space')} has changed since"
    except SpaceError as error:
        problem = str(error)
    raise UsageError(
        f"sweep {info.name!r}: trial {slot} is unfinished, and what it trains can no longer be "
        f"told ({problem}). Bring the earlier space back and finish the sweep without --extend, "
        "or begin another with --name"
    )
