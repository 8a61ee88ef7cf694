"""The whole observable state of one sweep in MLflow as plain data, to be compared field by field.

Independent of the code that writes it: an oracle must not share its mistakes.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

State = dict[str, Any]


def mlflow_state(tracking_uri: str, sweep_id: str) -> State:
    """Return everything MLflow holds of a sweep, with the ids that it made up replaced.

    Returns:
        `experiment`: name, lifecycle, tags of this sweep. `runs`: one entry a run that is not
        deleted, parent first, then by attempt, each with name, status, times, tags, parameters,
        every point of every metric, datasets, and every file's bytes. Doubled runs are doubled
        entries. `deleted`: number of deleted runs. `versions`: model versions made of its runs.
        `models`: its registered models with tags, aliases and versions.
    """
    from sweeps.tracking.store import close_client, quiet

    with quiet():
        from mlflow.entities import ViewType
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri)
        experiments = client.search_experiments(ViewType.ALL)
        found: dict[str, list[Any]] = {"active": [], "deleted": []}
        for experiment in experiments:
            for run in _runs(client, experiment.experiment_id, sweep_id):
                found[run.info.lifecycle_stage].append((experiment, run))
        runs = [_run(client, run) for _, run in found["active"]]
        ids = {run.info.run_id for _, run in found["active"] + found["deleted"]}
        made_up = {run.info.run_id: _role(run) for _, run in found["active"]}
        homes = {e.experiment_id: e for e, _ in found["active"]}
        for number in homes:  # in the links of a description
            made_up[f"experiments/{number}/"] = "experiments/<experiment>/"
            made_up[f"experiments=%5B%22{number}%22"] = "experiments=<experiment>"
        state = {
            "experiments": [_experiment(e, sweep_id) for e in homes.values()],
            "runs": sorted(runs, key=lambda run: (run["tags"].get("trial", ""), run["name"])),
            "deleted": len(found["deleted"]),
            "versions": sum(v.run_id in ids for v in client.search_model_versions()),
            "models": [
                _model(client, model)
                for model in client.search_registered_models()
                if model.tags.get("sweep_id") == sweep_id
            ],
        }
        # Both, or the next look would be into a file that was replaced meanwhile.
        close_client(client)
        registry = getattr(client._get_registry_client().store, "engine", None)
        if registry is not None:
            registry.dispose()
    return replaced(state, {sweep_id: "<sweep>"} | made_up)


def without_clock(state: State) -> State:
    """Return a state with what the clock decides blanked: times, durations and their order."""
    state = copy.deepcopy(state)
    for run in state["runs"]:
        run["start_time"] = run["end_time"] = None
        run["metrics"] = {
            key: [] if key.endswith("_seconds") else [(step, value) for step, value, _ in points]
            for key, points in run["metrics"].items()
        }
        note = run["tags"].get("mlflow.note.content")
        if note is not None:
            note = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "<time>", note)
            note = re.sub(
                r"\((?:(?:this|last) start: )?\d[\d.]* ?(ms|s|min|h)[^)]*\)", "(<time>)", note
            )
            run["tags"]["mlflow.note.content"] = re.sub(r"\| \d+\.\d \|\n", "| <time> |\n", note)
        if "trials.json" in run["files"]:
            run["files"]["trials.json"] = _table_without_seconds(run["files"]["trials.json"])
        if "trials.csv" in run["files"]:
            run["files"]["trials.csv"] = _without_seconds(run["files"]["trials.csv"])
    return state


def _runs(client: Any, experiment_id: str, sweep_id: str) -> list[Any]:
    from mlflow.entities import ViewType

    runs, token = [], None
    while True:
        condition = f"tags.sweep_id = '{sweep_id}'"
        page = client.search_runs([experiment_id], condition, ViewType.ALL, 1000, page_token=token)
        runs += page
        if not (token := page.token):
            return runs


def _run(client: Any, run: Any) -> State:
    run_id = run.info.run_id
    metrics = {
        key: sorted((p.step, p.value, p.timestamp) for p in client.get_metric_history(run_id, key))
        for key in run.data.metrics
    }
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "start_time": run.info.start_time,
        "end_time": run.info.end_time,
        "params": dict(run.data.params),
        "tags": {key: _made_from(key, value) for key, value in run.data.tags.items()},
        "metrics": metrics,
        "inputs": [
            [entry.dataset.name, entry.dataset.digest, entry.dataset.source, _pairs(entry.tags)]
            for entry in run.inputs.dataset_inputs
        ],
        "files": _files(client, run_id),
    }


def _made_from(key: str, value: str) -> str:
    """Return a tag without the digest of the records, of which each home has its own."""
    return value.partition(": ")[2] if key == "report_of" else value


def _files(client: Any, run_id: str) -> dict[str, bytes]:
    if not client.list_artifacts(run_id):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(_downloaded(client, run_id, folder))
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def _downloaded(client: Any, run_id: str, folder: str) -> str:
    """Download the files of a run; MLflow's own repetitions are off, and a server that is busy
    may close a connection between two reads, which is no finding."""
    from mlflow.exceptions import MlflowException

    for _ in range(3):
        try:
            return str(client.download_artifacts(run_id, "", folder))
        except MlflowException as error:
            if "Max retries exceeded" not in str(error):
                raise
    return str(client.download_artifacts(run_id, "", folder))


def _experiment(experiment: Any, sweep_id: str) -> State:
    return {
        "name": experiment.name,
        "lifecycle": experiment.lifecycle_stage,
        "tags": {key: value for key, value in experiment.tags.items() if sweep_id in key},
    }


def _model(client: Any, model: Any) -> State:
    versions = client.search_model_versions(f"name = '{model.name}'")
    return {
        "name": model.name,
        "tags": dict(model.tags),
        "aliases": {alias: int(number) for alias, number in model.aliases.items()},
        "versions": {int(version.version): dict(version.tags) for version in versions},
    }


def _role(run: Any) -> str:
    trial = run.data.tags.get("trial")
    return f"<run of {trial}>" if trial else "<parent>"


def _pairs(tags: Any) -> dict[str, str]:
    return {tag.key: tag.value for tag in tags}


def replaced(value: Any, names: dict[str, str]) -> Any:
    """Return plain data with each name in its texts replaced."""
    if isinstance(value, dict):
        return {replaced(k, names): replaced(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [replaced(item, names) for item in value]
    if isinstance(value, str):
        for old, new in names.items():
            value = value.replace(old, new)
    return value


def _table_without_seconds(table: bytes) -> list[dict[str, Any]]:
    split = json.loads(table)
    rows = [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
    return [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in rows]


def _without_seconds(table: bytes) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(table.decode()))
    return [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in rows]
