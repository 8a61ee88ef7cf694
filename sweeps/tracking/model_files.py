"""The files of a trial's model as MLflow loads and serves it; made here, byte for byte the same.

`mlflow.pyfunc.save_model` writes the same files, but with the time, invented ids and paths of this
machine in them. The code is a file of ours (`served_model.py`), the rest is JSON, YAML and an npz:
nothing is pickled. No MLflow here.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from sweeps.abilities import Signature
from sweeps.records.format import pack_arrays
from sweeps.records.record import Record, SweepInfo

_CODE: Final = Path(__file__).with_name("served_model.py")
_OURS: Final = "digit-sweeps"
"""Our own distribution: on no index, so that nobody must look for its name there."""


def model_files(
    info: SweepInfo,
    record: Record,
    weights: Mapping[str, np.ndarray],
    signature: Signature,
    directory: Path | None,
    code: Iterable[str] = (),
) -> dict[str, bytes]:
    """Return the model's folder: content by name.

    Args:
        info: The sweep.
        record: The trial.
        weights: Of its best epoch, by name.
        signature: What the model takes and answers.
        directory: Where its experiment is looked up first.
        code: Digests of the code that may rebuild it; none if that is not known.
    """
    told = {
        "experiment": info.experiment,
        "directory": str(directory) if directory else None,
        "config": dict(record.spec.config),
        "info": record.model_info,
        **({"code": sorted(code)} if code else {}),
    }
    example = signature.example.tolist()
    required = _requirements(record)
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
    return {name: text.encode() for name, text in texts.items()} | {
        "weights.npz": pack_arrays(weights)
    }


def _description(record: Record, signature: Signature, python: str) -> dict[str, Any]:
    """Return the file by which MLflow knows a model: https://mlflow.org/docs/latest/ml/model/."""
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


def _requirements(record: Record) -> list[str]:
    """Return what the trial was trained with, as pip writes it."""
    packages: Mapping[str, str] = record.environment.get("packages", {})
    return [f"{name}=={version}" for name, version in packages.items() if name != _OURS]


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=True)
    return text
