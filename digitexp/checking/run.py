"""What `digitexp train` left in a folder, read back without TensorFlow."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.config import TrialConfig

__all__ = ["TrainedRun", "read_run"]


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """One training, as its files tell it.

    Attributes:
        folder: Where it lies.
        config: What was asked for.
        about: The data trained on: name, digests, split, image shape, class names.
        outcome: `complete`, `stopped` or `diverged`.
        stop_reason: Why it ended.
        metrics: Headline metrics; empty when it diverged in its first epoch.
        history: One array per column of history.csv, one value per epoch.
        counts: (classes, classes), [true, predicted], of the best epoch; None without one.
        weights: Of the best epoch, by name; None without one.
    """

    folder: Path
    config: TrialConfig
    about: Mapping[str, Any]
    outcome: str
    stop_reason: str
    metrics: Mapping[str, float]
    history: Mapping[str, np.ndarray] = field(repr=False)
    counts: np.ndarray | None = field(repr=False)
    weights: Mapping[str, np.ndarray] | None = field(repr=False)

    @property
    def n_features(self) -> int:
        """Pixels of an image."""
        return prod(self.about["image_shape"])

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the labels."""
        return list(self.about["class_names"])

    @property
    def source(self) -> str:
        """The data source as it was given; its name where an older folder has no more."""
        return str(self.about.get("source", self.about["name"]))

    @property
    def epochs(self) -> int:
        """Epochs in the history."""
        return len(next(iter(self.history.values()), ()))


def read_run(folder: Path) -> TrainedRun:
    """Read a folder that `digitexp train --output` filled.

    Raises:
        ValueError: It is none, or a file in it is missing or cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(
            f"there is no folder '{folder}'; give one that `digitexp train --output` filled, "
            "or --data SOURCE alone to check data."
        )
    config = _read(folder / "config.json", _json)
    metrics = _read(folder / "metrics.json", _json)
    try:
        return TrainedRun(
            folder=folder,
            config=TrialConfig.from_params(config["parameters"]),
            about={**config["data"], "image_shape": tuple(config["data"]["image_shape"])},
            outcome=metrics["outcome"],
            stop_reason=metrics["stop_reason"],
            metrics=metrics["metrics"],
            history=_read(folder / "history.csv", _history),
            counts=_read_if_there(folder / "confusion_matrix.json", _counts),
            weights=_read_if_there(folder / "weights.npz", _weights),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{folder} holds no {error} in config.json or metrics.json; train again with "
            "`digitexp train --output DIR`."
        ) from error


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    if not path.is_file():
        raise ValueError(
            f"{path.parent} has no {path.name}, so `digitexp train --output` did not fill it; "
            "give a folder that it filled."
        )
    try:
        return reader(path)
    except Exception as error:  # zip, CSV, JSON and NumPy each have errors of their own
        raise ValueError(f"{path} cannot be read ({error}); train again.") from error


def _read_if_there(path: Path, reader: Callable[[Path], Any]) -> Any:
    return _read(path, reader) if path.is_file() else None


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _history(path: Path) -> dict[str, np.ndarray]:
    header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    named = dict(zip(header, columns, strict=True))
    named.pop("epoch", None)
    return {name: np.array(values, dtype=float) for name, values in named.items()}


def _counts(path: Path) -> np.ndarray:
    return np.array(_json(path)["counts"], dtype=np.int64)


def _weights(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
