"""Finds experiments and runs by name and tag, and settles on one where there are several.

MLflow takes no id from a client, so that a lost reply or a second projector can double a run:
whoever looks next keeps the oldest and deletes the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sweeps.errors import UsageError
from sweeps.failpoints import reached
from sweeps.records.record import SweepInfo
from sweeps.tracking.content import SweepNote, sweep_tags
from sweeps.tracking.discarding import is_discarded
from sweeps.tracking.outage import is_outage, one_line

_PAGE: Final = 1000
_CREATIONS: Final = 3


def find_or_create_experiment(client: Any, name: str, artifact_folder: Path | None) -> str:
    """Return the id of the active experiment of that name, restoring a deleted one.

    Args:
        client: The `MlflowClient`.
        name: The experiment's name.
        artifact_folder: Where its files go, absolute; None leaves it to the server.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = artifact_folder.as_uri() if artifact_folder else None
        try:
            created = str(client.create_experiment(name, location))
        except MlflowException:
            # Another process may have been faster, or the reply to our own request was lost.
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
        else:
            reached("experiment.created")
            return created
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def find_or_create_parent(client: Any, info: SweepInfo, experiment_id: str) -> str:
    """Return the id of a sweep's parent run."""
    identity = {"sweep_id": info.id, "kind": "sweep"}
    kept = keep_one(client, list(search(client, experiment_id, identity)))
    if kept is not None:
        return str(kept.info.run_id)
    reached("parent.begun")
    return create_run(
        client,
        experiment_id,
        identity,
        lambda: client.create_run(
            experiment_id, info.created_at, sweep_tags(info, SweepNote()), info.name
        ),
        "parent.created",
    )


def create_run(
    client: Any,
    experiment_id: str,
    identity: Mapping[str, str],
    create: Callable[[], object],
    point: str,
) -> str:
    """Create a run, and return the id of the one that has these tags then.

    It is looked up: a repeated request or a second projector may have made another one, and all
    must agree on which stays. A request that failed may have arrived, and is repeated only if not.

    Args:
        client: The `MlflowClient`.
        experiment_id: Where it is to be.
        identity: Tags by which the run is known.
        create: Asks for it.
        point: Fail-point that is reached after that.
    """
    trouble: Exception = RuntimeError("MLflow does not find a run that it has just created")
    for _ in range(_CREATIONS):
        try:
            create()
        except Exception as error:
            if not is_outage(error):
                raise
            trouble = error
        else:
            reached(point)
        kept = keep_one(client, list(search(client, experiment_id, identity)))
        if kept is not None:
            return str(kept.info.run_id)
    raise trouble


def search(client: Any, experiment_id: str, tags: Mapping[str, str]) -> Iterator[Any]:
    """Yield every run with these tags, deleted ones included, oldest first."""
    from mlflow.entities import ViewType

    condition = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
    token: str | None = None
    while True:
        order = ["attributes.start_time ASC"]
        page = client.search_runs(
            [experiment_id], condition, ViewType.ALL, _PAGE, order, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def keep_one(client: Any, runs: Sequence[Any]) -> Any | None:
    """Return the run to go on with: the oldest one, finished before unfinished; delete the rest.

    A run somebody deleted is restored if there is no other, so that its address stays good.
    """
    active = [run for run in runs if run.info.lifecycle_stage == "active"]
    if not active and runs:
        kept = min(runs, key=_age)
        client.restore_run(kept.info.run_id)
        return kept
    ranked = sorted(active, key=_age)
    for duplicate in ranked[1:]:
        client.delete_run(duplicate.info.run_id)
    return ranked[0] if ranked else None


def _age(run: Any) -> tuple[bool, int, str]:
    return run.info.status == "RUNNING", run.info.start_time, run.info.run_id


def find_children(client: Any, experiment_id: str, sweep_id: str) -> dict[str, Any]:
    """Return the child runs of a sweep by `<slot>-<attempt>`, doubled ones reduced to one."""
    found: dict[str, list[Any]] = {}
    for run in search(client, experiment_id, {"sweep_id": sweep_id, "kind": "trial"}):
        if not is_discarded(run):
            found.setdefault(run.data.tags["trial"], []).append(run)
    return {key: run for key, runs in found.items() if (run := keep_one(client, runs))}


def attempt_of_run(tracking_uri: str, run_id: str) -> tuple[str, str]:
    """Return the id of the sweep and the key of the attempt that a run shows.

    Raises:
        UsageError: There is no such run, or it shows no trial of ours.
    """
    from mlflow.exceptions import MlflowException

    from sweeps.tracking.store import close_client, open_client

    client = open_client(tracking_uri)
    try:
        tags = client.get_run(run_id).data.tags
    except MlflowException as error:
        raise UsageError(f"run {run_id}: {one_line(error)}") from None
    finally:
        close_client(client)
    if tags.get("kind") != "trial":
        raise UsageError(f"run {run_id} is no trial of a sweep")
    return tags["sweep_id"], tags["trial"]
