"""Deletes a run that says what no record says; MLflow keeps it in its bin."""

from __future__ import annotations

from typing import Any, Final

_MARK: Final = " (discarded)"


def discard_run(client: Any, run_id: str) -> None:
    """Delete a run so that nobody takes it for an attempt's again.

    Killed half-way, it leaves a run of an attempt that has no record, and is discarded once more.

    Args:
        client: The `MlflowClient`.
        run_id: A run that is not deleted.
    """
    run = client.get_run(run_id)
    key = run.data.tags.get("trial", "").removesuffix(_MARK)
    client.set_tag(run_id, "trial", key + _MARK)  # while it can be: a deleted run takes no tags
    if run.info.status == "RUNNING":
        client.set_terminated(run_id, "KILLED")
    client.delete_run(run_id)


def is_discarded(run: Any) -> bool:
    """Whether a run is one that must not be restored when its attempt is projected again."""
    is_deleted: bool = run.info.lifecycle_stage == "deleted"
    return is_deleted and run.data.tags.get("trial", "").endswith(_MARK)
