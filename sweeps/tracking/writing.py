"""Writes values and files into a run; writing the same again changes nothing.

Metrics are equal if key, value, step and timestamp are; parameters and tags if their values are;
files if their names are. So `log_image`, `log_table` and `log_model`, which invent names and
versions, are not used.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sweeps.tracking.content import Point
from sweeps.tracking.files import write_files
from sweeps.tracking.limits import (
    MAX_METRICS_PER_BATCH,
    MAX_PARAMS_PER_BATCH,
    MAX_TAGS_PER_BATCH,
    chunks,
)


def log_values(
    client: Any,
    run_id: str,
    params: Mapping[str, str] | None = None,
    metrics: Iterable[Point] = (),
    tags: Mapping[str, str] | None = None,
) -> None:
    """Send everything in as few batches as the limits allow: one for an ordinary trial."""
    from mlflow.entities import Metric, Param, RunTag

    groups = [
        list(chunks([Metric(*point) for point in metrics], MAX_METRICS_PER_BATCH)),
        list(chunks([Param(*item) for item in (params or {}).items()], MAX_PARAMS_PER_BATCH)),
        list(chunks([RunTag(*item) for item in (tags or {}).items()], MAX_TAGS_PER_BATCH)),
    ]
    for number in range(max(len(group) for group in groups)):
        batch = [group[number] if number < len(group) else () for group in groups]
        client.log_batch(run_id, *batch)


def log_files(
    client: Any, run_id: str, files: Mapping[str, bytes], scratch: Path | None = None
) -> None:
    """Put files into a run by name.

    Args:
        client: The `MlflowClient`.
        run_id: The run.
        files: Content by name.
        scratch: Folder they lie in on their way, under a name that ends in `.tmp`; None: the
            system's.

    Raises:
        ValueError: A name is absolute or leads out of the run.
    """
    if not files:
        return
    with tempfile.TemporaryDirectory(".tmp", ".files-", scratch) as folder:
        write_files(Path(folder), files)
        for name in files:  # a request each, so that the client is asked before each
            within = str(PurePosixPath(name).parent)
            client.log_artifact(run_id, f"{folder}/{name}", None if within == "." else within)
