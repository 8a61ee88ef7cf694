"""Finds, writes and removes runs in MLflow, within what it accepts.

Metrics are equal if key, value, step and timestamp are; parameters and tags if their values are;
files if their names are. So `log_image`, `log_table` and `log_model`, which invent names and
versions, are not used.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from sweeps.records.sweep import SweepInfo
from sweeps.tracking.content import (
    CONTEXT,
    EXPERIMENT_KEY,
    HALF_COPIED,
    MAX_METRICS_PER_BATCH,
    MAX_PER_BATCH,
    Measured,
    SweepNote,
    chunks,
    dataset_key,
    experiment_names,
    experiment_tags,
    former_experiment_name,
    sweep_tags,
    write_files,
)
from sweeps.tracking.store import is_outage
from sweeps.workspace.failpoints import reached
from sweeps.workspace.files import is_abandoned

_MARK: Final = " (discarded)"


def discard_run(client: Any, run_id: str) -> None:
    """Delete a run, and mark it so that it is never restored as the run of an attempt.

    If the process is killed half-way, the run is still one without a record, and is discarded
    again.

    Args:
        client: The `MlflowClient`.
        run_id: A run that is not deleted.
    """
    run = client.get_run(run_id)
    key = run.data.tags.get("trial", "").removesuffix(_MARK)
    client.set_tag(run_id, "trial", key + _MARK)  # first, since a deleted run takes no tags
    if run.info.status == "RUNNING":
        client.set_terminated(run_id, "KILLED")
    client.delete_run(run_id)


_PAGE: Final = 1000
_CREATIONS: Final = 3


def find_experiment(client: Any, info: SweepInfo) -> Any | None:
    """Return the experiment of a sweep, which may be deleted; None if there is none.

    It is found by a tag, so that people may rename it. A sweep that an earlier version sent stays
    in the experiment of that version.
    """
    from mlflow.entities import ViewType

    former = client.get_experiment_by_name(former_experiment_name(info))
    if former is not None:
        own = f"tags.sweep_id = '{info.id}'"
        if client.search_runs([former.experiment_id], own, ViewType.ALL, 1):
            return former
    key = experiment_tags(info)[EXPERIMENT_KEY]
    found = client.search_experiments(
        ViewType.ALL, filter_string=f"tags.`{EXPERIMENT_KEY}` = '{key}'"
    )
    # The oldest, should two processes have made one each under different names.
    return min(found, key=lambda one: int(one.experiment_id), default=None)


def find_or_create_experiment(client: Any, info: SweepInfo, artifact_root: Path | None) -> str:
    """Return the id of the active experiment of a sweep, restoring a deleted one.

    Args:
        client: The `MlflowClient`.
        info: The sweep.
        artifact_root: Folder of the files of all experiments; None leaves it to the server.
    """
    from mlflow.exceptions import MlflowException

    experiment = find_experiment(client, info)
    if experiment is None:
        names = experiment_names(info)
        name = next(name for name in names if client.get_experiment_by_name(name) is None)
        # The folder for its files; several experiments may share one.
        folder = re.sub(r"[^\w.-]+", "-", name).strip(".-") or "experiment"
        location = (artifact_root / folder).as_uri() if artifact_root else None
        try:
            created = str(client.create_experiment(name, location, experiment_tags(info)))
        except MlflowException:
            # Another process may have been faster, or the reply to our own request was lost.
            experiment = find_experiment(client, info)
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
    made = create_run(
        client,
        experiment_id,
        identity,
        lambda: client.create_run(
            experiment_id, info.created_at, sweep_tags(info, SweepNote()), info.name
        ),
        "parent.created",
    )
    return str(made.info.run_id)


def create_run(
    client: Any,
    experiment_id: str,
    identity: Mapping[str, str],
    create: Callable[[], Any],
    point: str,
    *,
    is_alone: bool = False,
) -> Any:
    """Create a run, and return the run that has these tags afterwards.

    The run is looked up: a second projector may have made another one, and all must agree on which
    one stays. A failed request is repeated only if the run is not there.

    Args:
        client: The `MlflowClient`.
        experiment_id: The run's experiment.
        identity: Tags that identify the run.
        create: Sends the request, and returns the run.
        point: Fail-point that is reached after the request.
        is_alone: Whether no other projector makes this run: then an answer to the first request
            is enough.
    """
    trouble: Exception = RuntimeError("MLflow does not find a run that it has just created")
    for number in range(_CREATIONS):
        try:
            made = create()
        except Exception as error:
            if not is_outage(error):
                raise
            trouble = error
        else:
            reached(point)
            if is_alone and number == 0:  # else one that seems lost may arrive late
                return made
        kept = keep_one(client, list(search(client, experiment_id, identity)))
        if kept is not None:
            return kept
    raise trouble


def search(client: Any, experiment_id: str, tags: Mapping[str, str]) -> Iterator[Any]:
    """Return an iterator over every run with these tags, deleted ones included, oldest first."""
    from mlflow.entities import ViewType

    condition = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
    order = ["attributes.start_time ASC"]
    asked = ([experiment_id], condition, ViewType.ALL, _PAGE, order)
    return every_page(lambda token: client.search_runs(*asked, page_token=token))


def every_page(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield what all pages hold; `ask` is called with the token of a page, first with None."""
    token: str | None = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def keep_one(client: Any, runs: Sequence[Any]) -> Any | None:
    """Return the run to go on with: the oldest one, finished before unfinished; delete the rest.

    MLflow's client gives no id, so that a lost reply or a second projector can double a run. A run
    that somebody deleted is restored if there is no other, so that links to it stay valid.
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
    """Return the child runs of a sweep by `<trial>-<attempt>`, doubled ones reduced to one.

    Only for who holds the sweep: half copies that a killed process left in any of its runs go.
    """
    found: dict[str, list[Any]] = {}
    for run in search(client, experiment_id, {"sweep_id": sweep_id}):
        for path in half_copied(run):
            path.unlink(missing_ok=True)
        is_deleted = run.info.lifecycle_stage == "deleted"
        key = run.data.tags.get("trial", "")
        is_discarded = is_deleted and key.endswith(_MARK)  # never restored
        if run.data.tags.get("kind") == "trial" and not is_discarded:
            found.setdefault(key, []).append(run)
    return {key: run for key, runs in found.items() if (run := keep_one(client, runs))}


def local_folder(location: str) -> Path | None:
    """Return the folder of files at a location of MLflow's; None if it is elsewhere."""
    address = urlsplit(location)
    return Path(unquote(address.path)) if address.scheme == "file" else None


def half_copied(run: Any) -> list[Path]:
    """Return the files of a run in a folder of ours that MLflow was killed while it copied.

    MLflow copies under a name of its own, which it hides from whoever lists the files.
    """
    root = local_folder(run.info.artifact_uri)
    named = () if root is None else root.rglob(f"{HALF_COPIED}*")
    return [path for path in named if is_abandoned(path)]


UNDRAWN: Final = "undrawn"
"""Tag of a run that lacks files which could not be made; also its status where completeness is
judged."""
ORPHANED: Final = "orphaned"
"""Status of a run whose parent is gone, where completeness is judged."""


@dataclass
class KnownSweep:
    """The known runs of one sweep.

    Attributes:
        children: Key of an attempt -> run id and status.
        columns: Parameters seen so far: columns of the sweep's view.
        folder: Folder of the files of the experiment's runs; None if it is not on this machine.
    """

    experiment_id: str
    parent_id: str
    children: dict[str, tuple[str, str]] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)
    folder: Path | None = None

    def files_of(self, run_id: str) -> str | None:
        """Return where a run's files lie; None if it is not known to be on this machine."""
        folder = self.folder and self.folder / run_id / "artifacts"
        return folder.as_uri() if folder is not None and folder.is_dir() else None


def status_of(run: Any, parent_id: str) -> str:
    """Return a run's status; an incomplete run never has the status of a complete one."""
    if run.data.tags.get(UNDRAWN) == "true":
        return UNDRAWN
    is_child = run.data.tags.get("mlflow.parentRunId") == parent_id
    return standing(str(run.info.status), run.data.tags) if is_child else ORPHANED


def standing(status: str, tags: Mapping[str, str]) -> str:
    """Return a run's status, with `, retried` for an attempt that was tried again."""
    return f"{status}, retried" if tags.get("retried") else status


def log_values(
    client: Any,
    run_id: str,
    params: Mapping[str, str] | None = None,
    metrics: Iterable[Measured] = (),
    tags: Mapping[str, str] | None = None,
) -> None:
    """Send everything in as few batches as the limits allow: one for an ordinary trial."""
    from mlflow.entities import Metric, Param, RunTag

    groups = (
        chunks([Metric(*point) for point in metrics], MAX_METRICS_PER_BATCH),
        chunks([Param(*item) for item in (params or {}).items()], MAX_PER_BATCH),
        chunks([RunTag(*item) for item in (tags or {}).items()], MAX_PER_BATCH),
    )
    for batch in zip_longest(*groups, fillvalue=()):
        client.log_batch(run_id, *batch)


def log_files(
    client: Any,
    run_id: str,
    files: Mapping[str, bytes],
    scratch: Path | None = None,
    location: str | None = None,
) -> None:
    """Put files into a run by name.

    Where the files of the run lie on this machine, they are written there: MLflow's client would
    look for that folder again for each of them.

    Args:
        client: The `CheckedClient`.
        run_id: The run.
        files: Content by name.
        scratch: Folder for a temporary copy, whose name ends in `.tmp`; None for the system's.
        location: Its `artifact_uri`, which saves a request; None: MLflow is asked.

    Raises:
        ValueError: A name is absolute or leads out of the run.
    """
    if not files:
        return
    root = location or client.get_run(run_id).info.artifact_uri
    own = local_folder(root)
    if own is not None:
        client.ask(lambda: write_files(own, files, client.check))
        return
    with tempfile.TemporaryDirectory(".tmp", ".files-", scratch) as copied:
        write_files(Path(copied), files)
        for name in files:  # a request per file, so that the client checks before each
            within = str(PurePosixPath(name).parent)
            client.log_file(root, Path(copied, name), None if within == "." else within)


_PROFILE_CHARACTERS: Final = 10_000


def log_dataset(client: Any, run_id: str, data: Mapping[str, Any]) -> None:
    """Log the data that a run was trained on; logging them again changes nothing.

    Args:
        client: The `MlflowClient`.
        run_id: The run.
        data: Name, digests and facts, as records keep them.
    """
    from mlflow.entities import DatasetInput, InputTag

    tags = [InputTag("mlflow.data.context", CONTEXT)]
    client.log_inputs(run_id, [DatasetInput(dataset_of(data), tags)])


def dataset_of(data: Mapping[str, Any]) -> Any:
    """Return MLflow's `Dataset` of data as records keep them."""
    from mlflow.entities import Dataset

    name, digest = dataset_key(data)
    source = {key: data.get(key) for key in ("name", "digest", "split_digest")}
    profile = json.dumps(data.get("info") or {}, default=str)
    return Dataset(
        name=name,
        digest=digest,
        source_type="local",
        source=json.dumps(source, default=str),
        profile=profile if len(profile) <= _PROFILE_CHARACTERS else None,
    )
