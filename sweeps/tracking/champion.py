"""A sweep's champion in MLflow's registry: one registered model per sweep, a version per champion.

Until the sweep is confirmed, the champion is the best trial, and provisional; afterwards it is a
training of the confirmed configuration.

The model's files lie in the run of its trial, under a fixed name: `log_model` would invent an id
at each call. A version is identified by the digest of the trial's record, and the alias is set
last. After a kill or a lost reply the same steps can be repeated, and add nothing.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from sweeps.capabilities import Signature
from sweeps.journal.events import Record
from sweeps.records.arrays import pack_arrays
from sweeps.records.code import ExperimentCode
from sweeps.records.sweep import SweepInfo
from sweeps.tracking.runs import every_page, log_files
from sweeps.wording import fresh_name
from sweeps.workspace.failpoints import reached

ALIAS: Final = "champion"
FOLDER: Final = "model"
"""Folder of the model's files in the run of its trial."""
PAGES: Final = "interactive"
"""Folder of the interactive pages, beside the model."""
DIGEST: Final = "record_digest"
"""Tag that identifies a version."""
VERIFICATION: Final = "verification"
"""Tag of run and version: whether the champion's model answers as it was recorded."""


@dataclass(frozen=True)
class ChampionModel:
    """The training whose model is to be registered.

    Attributes:
        key: `<trial>-<attempt>`.
        digest: SHA-256 (hex) of its record.
        value: Value of its objective.
        files: Makes the model's files, content by name; returns None if there is no model, because
            the experiment serves none or the weights are gone. Called only if the trial has no
            version yet.
        pages: Makes the interactive pages, content by name. Called only if its run has none yet.
        confirmation: The sweep it was trained in, if that is a confirmation; the model is then no
            longer provisional.
        verification: Whether the model answers as it was recorded, in a sentence; empty if that is
            not known.
        saved: The verified model in a format of its library: files by name.
    """

    key: str
    digest: str
    value: float
    files: Callable[[], Mapping[str, bytes] | None]
    pages: Callable[[], Mapping[str, bytes]] = dict
    confirmation: SweepInfo | None = None
    verification: str = ""
    saved: Mapping[str, Path] = field(default_factory=dict)


def model_name(info: SweepInfo) -> str:
    """Return the registered model's name: the sweep's, and the end of its id.

    Sweeps of several homes may share a server, so that the name alone is not unique there.
    """
    return f"{info.name}-{info.id.rpartition('-')[2]}"


def register_champion(
    client: Any, run_id: str, info: SweepInfo, champion: ChampionModel, scratch: Path | None = None
) -> None:
    """Point the alias `champion` to a version that is made of this trial.

    Args:
        client: The `MlflowClient`.
        run_id: The trial's run.
        info: The sweep; if it was renamed, so is its registered model.
        champion: The trial.
        scratch: See `log_files`.
    """
    model: Any = _renamed(client, find_model(client, info), info)
    about = _about(info, champion)
    versions = versions_of(client, model) if model else []
    kept = _made_of(versions, run_id, champion)
    if kept is None or not client.list_artifacts(run_id, FOLDER):
        files = champion.files()
        if files is None:
            return
        reached("champion.begun")
        under = {f"{FOLDER}/{name}": content for name, content in files.items()}
        log_files(client, run_id, under, scratch)
        reached("champion.filed")
    if kept is None:
        if model is None:
            tags = {"sweep_id": info.id, "experiment": info.experiment_name}
            model = client.create_registered_model(model_name(info), tags, about)
            reached("champion.named")
        _create_version(client, model, run_id, info, champion)
        reached("champion.versioned")
        # Looked up even though it was just created: a repeated request may have made two.
        versions = versions_of(client, model)
        kept = _made_of(versions, run_id, champion)
        assert kept is not None
    if model.description != about:
        client.update_registered_model(model.name, about)
    if champion.verification and kept.tags.get(VERIFICATION) != champion.verification:
        about_it = VERIFICATION, champion.verification
        client.set_model_version_tag(kept.name, kept.version, *about_it)
    if str(model.aliases.get(ALIAS, "")) != str(kept.version):
        client.set_registered_model_alias(model.name, ALIAS, kept.version)
        reached("champion.done")
    last = {version.tags.get(DIGEST): version for version in versions} | {champion.digest: kept}
    for version in versions:
        if DIGEST in version.tags and version.version != last[version.tags[DIGEST]].version:
            client.delete_model_version(version.name, version.version)


def log_verified(
    client: Any, run_id: str, champion: ChampionModel, scratch: Path | None = None
) -> None:
    """Tag a champion's run with its verification, and log the saved model, beside `model.py`.

    Call it after `register_champion`, which takes a run with such files for one that has its own.
    """
    if not champion.verification:
        return
    if client.get_run(run_id).data.tags.get(VERIFICATION) != champion.verification:
        client.set_tag(run_id, VERIFICATION, champion.verification)
    under = {f"{FOLDER}/{name}": path for name, path in champion.saved.items()}
    there = {file.path for file in client.list_artifacts(run_id, FOLDER)} if under else set()
    missing = {name: path.read_bytes() for name, path in under.items() if name not in there}
    log_files(client, run_id, missing, scratch)


def log_pages(
    client: Any, run_id: str, champion: ChampionModel, scratch: Path | None = None
) -> None:
    """Log the pages about a champion to its run, unless it has them; see `register_champion`."""
    if not client.list_artifacts(run_id, PAGES):
        pages = {f"{PAGES}/{name}": content for name, content in champion.pages().items()}
        if pages:
            log_files(client, run_id, pages, scratch)


def find_model(client: Any, info: SweepInfo) -> Any | None:
    """Return the registered model of a sweep, whatever its name is; None if there is none."""
    found = list(client.search_registered_models(f"tags.sweep_id = '{info.id}'"))
    return found[0] if found else None


def versions_of(client: Any, model: Any) -> list[Any]:
    """Return the versions of a registered model, oldest first, with their tags."""
    ask = partial(client.search_model_versions, f"name = '{model.name}'")
    found = every_page(lambda token: ask(page_token=token))
    return sorted(found, key=lambda version: int(version.version))


def _made_of(versions: Sequence[Any], run_id: str, champion: ChampionModel) -> Any | None:
    made = (v for v in versions if v.tags.get(DIGEST) == champion.digest)
    return next((version for version in made if version.run_id == run_id), None)


def _renamed(client: Any, model: Any | None, info: SweepInfo) -> Any | None:
    """Give the registered model the name that follows from the sweep's, and its versions too."""
    if model is None:
        return None
    if model.name != model_name(info):
        model = client.rename_registered_model(model.name, model_name(info))
        reached("champion.renamed")
    for version in versions_of(client, model):
        if version.tags.get("sweep") != info.name:
            client.set_model_version_tag(version.name, version.version, "sweep", info.name)
    return client.get_registered_model(model.name)


def _about(info: SweepInfo, champion: ChampionModel) -> str:
    if champion.confirmation is not None:
        return (
            f"The champion of sweep {info.id}, confirmed on fresh folds, from the sweep "
            f"{champion.confirmation.name}: as it was trained on fold 0, whichever fold scored "
            "best, or on everything but the test set (refit_epochs)."
        )
    return (
        f"The best trial of sweep {info.id} by {info.metric} on the validation part: provisional, "
        "since it was chosen by what it is measured on."
    )


def _create_version(
    client: Any, model: Any, run_id: str, info: SweepInfo, champion: ChampionModel
) -> None:
    root = client.get_run(run_id).info.artifact_uri
    trained_in = champion.confirmation or info
    tags = {
        "sweep": info.name,
        "sweep_id": info.id,
        "trial": champion.key,
        "metric": trained_in.metric,
        "value": str(champion.value),
        "provisional": str(champion.confirmation is None).lower(),
        DIGEST: champion.digest,
    }
    judged = f"{trained_in.metric} {champion.value:.6g} on the validation part"
    if champion.confirmation:
        judged = f"{fresh_name(trained_in.metric)} {champion.value:.6g} on its fold"
    about = f"Trial {champion.key} of {trained_in.name}: {judged}."
    client.create_model_version(
        model.name, f"{root}/{FOLDER}", run_id, tags, description=about, await_creation_for=0
    )


_CODE: Final = Path(__file__).with_name("served_model.py")
_OURS: Final = "digit-sweeps"
"""Our own distribution; it is on no package index, so pip must not look for it there."""


def model_files(
    info: SweepInfo,
    record: Record,
    weights: Mapping[str, np.ndarray],
    signature: Signature,
    directory: Path | None,
    codes: Sequence[ExperimentCode] = (),
) -> dict[str, bytes]:
    """Return the model's folder as MLflow loads and serves it, content by name.

    `mlflow.pyfunc.save_model` writes the same files, but puts the time, invented ids and paths of
    this machine into them. Nothing is pickled: the code is `served_model.py`.

    Args:
        info: The sweep.
        record: The trial.
        weights: Weights of its best epoch, by name.
        signature: Inputs and outputs of the model.
        directory: Folder in which its experiment is looked up first.
        codes: The states of the code that may rebuild it; empty if they are unknown.
    """
    shipped = {code.identity for code in codes if code.shipped}
    told = {
        "experiment": info.experiment,
        "directory": str(directory) if directory else None,
        "config": dict(record.config),
        "info": record.model_info,
        # An older copy of `model.py` that is served somewhere asks for the digests by this name.
        **({"code": sorted({code.digest for code in codes})} if codes else {}),
        **({"shipped": sorted(shipped)} if shipped else {}),
    }
    example = signature.example.tolist()
    packages: Mapping[str, str] = record.environment.get("packages", {})
    required = [f"{name}=={version}" for name, version in packages.items() if name != _OURS]
    python = str(record.environment.get("python", ""))
    environment = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}" if python else "python", "pip", {"pip": required}],
    }
    texts = {
        "MLmodel": _yaml(_description(record, signature, python)),
        "model.py": _CODE.read_text(encoding="utf-8"),
        "config.json": json.dumps(told, indent=1, ensure_ascii=False) + "\n",
        "input_example.json": json.dumps(example),
        "serving_input_example.json": json.dumps({"inputs": example}),
        "requirements.txt": "".join(f"{line}\n" for line in required),
        "conda.yaml": _yaml(environment),
        "python_env.yaml": _yaml({"python": python, "dependencies": ["-r requirements.txt"]}),
    }
    return {name: text.encode("utf-8", "replace") for name, text in texts.items()} | {
        "weights.npz": pack_arrays(weights)
    }


def _description(record: Record, signature: Signature, python: str) -> dict[str, Any]:
    """Return the content of `MLmodel`; see https://mlflow.org/docs/latest/ml/model/."""
    created = datetime.fromtimestamp(record.finished_at / 1000, UTC)
    example = signature.example
    return {
        "flavors": {
            "python_function": {
                "loader_module": "mlflow.pyfunc.loaders.code_model",
                "model_code_path": "model.py",
                "artifacts": {
                    "config": {"path": "config.json", "uri": "config.json"},
                    "weights": {"path": "weights.npz", "uri": "weights.npz"},
                },
                "code": None,
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "python_version": python,
                "streamable": False,
            }
        },
        "is_signature_from_type_hint": False,
        "mlflow_version": importlib.metadata.version("mlflow"),
        "saved_input_example_info": {
            "artifact_path": "input_example.json",
            "serving_input_path": "serving_input_example.json",
            "type": "ndarray",
        },
        "signature": {
            "inputs": _tensor(str(example.dtype), example.shape[1:]),
            "outputs": _tensor("float32", signature.output_shape),
            "params": None,
        },
        "type_hint_from_example": False,
        "utc_time_created": created.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def _tensor(dtype: str, shape: tuple[int, ...]) -> str:
    spec = {"dtype": dtype, "shape": [-1, *shape]}
    return json.dumps([{"type": "tensor", "tensor-spec": spec}])


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=True)
    return text
