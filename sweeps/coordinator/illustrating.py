"""The pages about a champion that people can play with, if its experiment draws any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweeps.abilities import Illustrates
from sweeps.prepared_again import PreparedAgain, trained_of
from sweeps.records import BLOCK, FINALIST, Record, RecordStore, SweepInfo, ranked


def illustrate(
    store: RecordStore, info: SweepInfo, record: Record, again: PreparedAgain
) -> Mapping[str, bytes]:
    """Return the pages by name; none if its experiment draws none, or too little was kept.

    Args:
        store: The records of the sweep it was trained in.
        info: That sweep.
        record: The champion.
        again: The experiment it was trained by, and its data.

    Raises:
        UsageError: The experiment cannot be loaded or was edited, or its data cannot be had; or
            whatever else the experiment raises.
    """
    experiment = again.load()
    if not isinstance(experiment, Illustrates):
        return {}
    again.experiment_of(store, info, record)
    other = choose_beside(store.read_all(), record, info)
    trained = trained_of(store, info, record)
    beside = trained_of(store, info, other) if other else None
    data = again.of(record)
    try:
        return experiment.illustrate(data, trained, beside)
    except ValueError:  # too little was kept, nor will there be more
        return {}


def choose_beside(records: Sequence[Record], champion: Record, info: SweepInfo) -> Record | None:
    """Return the trial to compare a champion with: a baseline, else the best of the others.

    Of a confirmation it is one on the same block.
    """
    others = [
        record
        for record in ranked(records, info.direction)
        if record.spec.slot != champion.spec.slot
        and record.params.get(BLOCK) == champion.params.get(BLOCK)
    ]
    baselines = [record for record in others if _is_baseline(record)]
    return next(iter(baselines or others), None)


def _is_baseline(record: Record) -> bool:
    named = str(record.params.get(FINALIST, ""))
    return record.origin.startswith("baseline ") or named.startswith("baseline")
