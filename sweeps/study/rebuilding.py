"""Writes a study anew from the records: they are the truth, and Optuna changes no ended trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from optuna.trial import FrozenTrial

from sweeps.records import Record, SweepInfo
from sweeps.study.mirror import told
from sweeps.study.places import Database, place_of
from sweeps.study.proposals import Proposal
from sweeps.study.reading import read_study
from sweeps.study.storage import (
    ATTEMPTS,
    StudyStore,
    delete_study,
    proposal_of_record,
    proposal_of_trial,
)

_NEW: Final = "{} (new)"
_OLD: Final = "{} (old)"


def rebuild_study(database: Database, info: SweepInfo, records: Sequence[Record]) -> None:
    """Replace the newest study of a sweep by one that says what the records say.

    Slots without a record are kept as they were proposed, and are open again. What lies behind a
    slot that nobody knows any more is left to the next start, which proposes it again. The names
    are changed in one transaction: whenever the process is killed, a whole study has the name.

    Args:
        database: Where the studies are; made if it is missing.
        info: The sweep; the caller holds its lock.
        records: Its records, ordered by slot and attempt.

    Raises:
        StoreError: The database cannot be written.
    """
    new, old = _NEW.format(info.study_name), _OLD.format(info.study_name)
    stored = {trial.number: trial for trial in read_study(database, info.study_name) or []}
    for left_half_done in (new, old):
        delete_study(database, left_half_done)
    study = StudyStore(database, new, [one.direction for one in info.objectives])
    for slot, content in _slots(info, stored, records):
        if isinstance(content, FrozenTrial):
            study.copy(content)
        else:
            study.add(slot, content)
            own = [r for r in records if r.spec.slot == slot]
            _settle(study, info, slot, stored.get(slot), own)
    study.close()
    place_of(database).rename({info.study_name: old, new: info.study_name})
    delete_study(database, old)


def _slots(
    info: SweepInfo, stored: dict[int, FrozenTrial], records: Sequence[Record]
) -> Iterator[tuple[int, Proposal | FrozenTrial]]:
    """Yield what each slot is made from, until one that neither study nor records know."""
    known = {record.spec.slot: record for record in records}
    for slot in range(max([-1, *stored, *known]) + 1):
        trial, record = stored.get(slot), known.get(slot)
        if slot < info.first_slot:
            if trial is None:
                return  # as it lies in the new space, only the space can tell
            yield slot, trial
        elif trial is not None and (record is None or trial.params == dict(record.params)):
            yield slot, proposal_of_trial(trial)
        elif record is not None:
            yield slot, proposal_of_record(record)
        else:
            return


def _settle(
    study: StudyStore,
    info: SweepInfo,
    slot: int,
    trial: FrozenTrial | None,
    records: Sequence[Record],
) -> None:
    """Store how often a slot was begun, and how it ended."""
    counted = int(trial.user_attrs.get(ATTEMPTS, 1)) if trial is not None else 1
    attempts = max([counted, *(record.spec.attempt for record in records)])
    if attempts > 1:
        study.count_attempt(slot, attempts)
    for record in records:
        if record.ends_slot:
            study.tell(slot, told(record, info.objectives))
