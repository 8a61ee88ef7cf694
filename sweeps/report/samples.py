"""Gets the validation samples of a sweep from its experiment, if they are the same still."""

from __future__ import annotations

import numpy as np

from sweeps.experiment import Experiment, Samples
from sweeps.records import SweepInfo
from sweeps.report.data import LoadedSamples


def load_samples(
    experiment: Experiment, info: SweepInfo, source: str | None = None
) -> LoadedSamples | None:
    """Return the samples that trials of a sweep were scored on.

    Args:
        experiment: That of the sweep.
        info: The sweep.
        source: Its data, where they are not the experiment's own.

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
