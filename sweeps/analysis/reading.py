"""Reads a sweep for a report, and gets the samples it was scored on from its experiment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sweeps.analysis.data import LoadedSamples, SweepData
from sweeps.capabilities import Samples
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.experiments.loading import recorded_experiment
from sweeps.records import RecordStore, SweepInfo


def read_sweep(
    info: SweepInfo,
    store: RecordStore,
    source: str | None = None,
    complain: Callable[[str], None] = lambda line: None,
) -> SweepData:
    """Return everything a report is made from.

    Args:
        info: The sweep.
        store: Its records.
        source: Its data, where they are not the experiment's own.
        complain: Told in a line why its samples cannot be shown.

    Raises:
        UsageError: `source` is given, and is not what the sweep was made with.
    """
    return SweepData.read(info, store, _samples(info, store, source, complain))


def _samples(
    info: SweepInfo, store: RecordStore, source: str | None, complain: Callable[[str], None]
) -> LoadedSamples | None:
    try:
        experiment = recorded_experiment(info, store.folder.parent)
        samples = load_samples(experiment, info, source)
    except (UsageError, ValueError, OSError) as error:
        if source is not None:
            raise UsageError(f"--data {source}: {error}") from None
        complain(f"{info.name}: its samples cannot be shown: {error}")
        return None
    if samples is None and source is not None:
        raise UsageError(f"--data {source}: not the data of sweep {info.name!r}; nothing written")
    return samples


def load_samples(
    experiment: Experiment, info: SweepInfo, source: str | None = None
) -> LoadedSamples | None:
    """Return the samples that trials of a sweep were scored on.

    Returns:
        None if the experiment shows no samples, or these data are not the sweep's.

    Raises:
        ValueError, OSError: The data cannot be loaded.
    """
    if not isinstance(experiment, Samples):
        return None
    seed = int(info.data.get("info", {}).get("split_seed", 0))
    data = experiment.prepare(source, seed)
    expected = info.data.get("digest"), info.data.get("split_digest")
    if (data.digest, data.split_digest) != expected:
        return None
    labels = np.asarray(experiment.validation_labels(data), np.int64)
    return LoadedSamples(experiment, data, labels)
