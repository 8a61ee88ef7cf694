"""The data of a run as MLflow's dataset input: its column and its filter tell them apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

CONTEXT: Final = "training"
_DIGEST_CHARACTERS: Final = 36
_NAME_CHARACTERS: Final = 500
_PROFILE_CHARACTERS: Final = 10_000


def dataset_key(data: Mapping[str, Any]) -> tuple[str, str]:
    """Return name and digest of a dataset in MLflow.

    MLflow knows one dataset for each name and digest in an experiment and keeps what was said
    first, so that the digest is of the data and of their split.
    """
    digests = [str(data.get(key) or "")[:16] for key in ("digest", "split_digest")]
    digest = "-".join(filter(None, digests))[:_DIGEST_CHARACTERS]
    return str(data.get("name") or "data")[:_NAME_CHARACTERS], digest or "unknown"


def log_dataset(client: Any, run_id: str, data: Mapping[str, Any]) -> None:
    """Say which data a run was trained on; saying it again changes nothing.

    Args:
        client: The `MlflowClient`.
        run_id: The run.
        data: Name, digests and facts, as records keep them.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name, digest = dataset_key(data)
    source = {key: data.get(key) for key in ("name", "digest", "split_digest")}
    profile = json.dumps(data.get("info") or {}, default=str)
    dataset = Dataset(
        name=name,
        digest=digest,
        source_type="local",
        source=json.dumps(source, default=str),
        profile=profile if len(profile) <= _PROFILE_CHARACTERS else None,
    )
    tags = [InputTag("mlflow.data.context", CONTEXT)]
    client.log_inputs(run_id, [DatasetInput(dataset, tags)])
