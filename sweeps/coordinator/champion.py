"""Which model MLflow's registry gets: the best trial's, until a sweep can be finalised."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from sweeps.abilities import Serves
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.records import Record, RecordError, RecordStore, SweepInfo, ranked
from sweeps.tracking.champion import Champion
from sweeps.tracking.model_files import model_files
from sweeps.tracking.projection import Projection

LoadExperiment = Callable[[], Experiment]


def project_champion(
    projection: Projection,
    store: RecordStore,
    info: SweepInfo,
    records: Sequence[Record],
    load: LoadExperiment,
) -> None:
    """Register the best trial's model, if its experiment serves any.

    Args:
        projection: Where the runs are.
        store: The sweep's records.
        info: The sweep.
        records: All of them.
        load: Returns its experiment; called only if the trial is not registered yet.
    """
    champion = find_champion(store, info, records, load)
    if champion is not None:
        projection.register(info, champion)


def find_champion(
    store: RecordStore, info: SweepInfo, records: Sequence[Record], load: LoadExperiment
) -> Champion | None:
    """Return the best trial of a sweep; None if none is complete, or several objectives count."""
    if info.has_front:
        return None
    best = next(iter(ranked(records, info.direction)), None)
    if best is None or best.objective is None:
        return None

    def files() -> Mapping[str, bytes] | None:
        return _files(store, info, best, load)

    digest = hashlib.sha256((store.folder / f"{best.spec.key}.record").read_bytes()).hexdigest()
    return Champion(best.spec.key, digest, best.objective, files)


def _files(
    store: RecordStore, info: SweepInfo, record: Record, load: LoadExperiment
) -> Mapping[str, bytes] | None:
    """Return the model's files, or None where none can be made of the trial."""
    if info.experiment.startswith("__main__:"):
        return None  # defined in a notebook, where no server can import it
    try:
        experiment = load()
        weights = store.weights(record)
    except (UsageError, RecordError):
        return None  # another machine's experiment, or weights that were freed
    if not hasattr(experiment, "signature") or not hasattr(experiment, "predict"):
        return None
    signature = cast(Serves, experiment).signature(record.data["info"])
    return model_files(info, record, weights, signature) if signature else None
