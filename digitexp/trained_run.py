"""Reads back what `digitexp train` left in a folder, with its data and its network."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from digitexp.config import TrialConfig
from digitexp.data import DataError, Source, Split, load_source, split_source

__all__ = ["TrainedRun", "logits_of", "read_run"]

IMAGES_AT_ONCE: Final = 2048
"""Forward passes of so many images need little memory, also with convolutions."""


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

    def load_data(self, named: str | None = None) -> tuple[Source, Split]:
        """Load what it was trained on, and split it as it was.

        Args:
            named: Where the data are, if not where they were.

        Raises:
            ValueError: They cannot be loaded, or are not what the network was trained on.
        """
        about = self.about
        try:
            source = load_source(named or self.source)
            split = split_source(source, about["split_seed"])
        except DataError as error:
            if named:
                raise
            message = f"{error} Name the data of this training by --data."
            raise DataError(message) from None
        now, then = (source.digest, split.digest), (about["digest"], about["split_digest"])
        if now != then:
            raise ValueError(
                f"data: found {source.name} ({_short(now)}); the network was trained on "
                f"{about['name']} ({_short(then)}). Name those data by --data; nothing was written."
            )
        return source, split

    def load_model(self) -> Any:
        """Rebuild the network: (n, pixels) images in [0, 1] -> (n, classes) logits.

        Raises:
            ValueError: It has no weights, since it diverged, or they are another network's.
        """
        if self.weights is None:
            raise ValueError(
                f"{self.folder} holds no weights.npz: that training diverged; take another one."
            )
        from digitexp.models import build_model, set_weights
        from digitexp.tensorflow_setup import start_tensorflow

        start_tensorflow()
        shape = tuple(self.about["image_shape"])
        model = build_model(self.config, shape, len(self.class_names))
        set_weights(model, self.weights)
        return model


def logits_of(model: Any, images: np.ndarray) -> np.ndarray:
    """Return (n, classes) float32 logits of images (n, ...), a few at once."""
    flat = images.reshape(len(images), -1).astype(np.float32, copy=False)
    parts = (flat[i : i + IMAGES_AT_ONCE] for i in range(0, len(flat), IMAGES_AT_ONCE))
    return np.concatenate([np.asarray(model(part, training=False)) for part in parts])


def read_run(folder: Path) -> TrainedRun:
    """Read a folder that `digitexp train --output` filled.

    Raises:
        ValueError: It is none, or a file in it is missing or cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(
            f"there is no folder '{folder}'; give one that `digitexp train --output` filled."
        )
    config = _read(folder / "config.json", _json)
    metrics = _read(folder / "metrics.json", _json)
    try:
        about = config["data"]
        known = {name: about[name] for name in ("digest", "split_digest", "split_seed", "name")}
        return TrainedRun(
            folder=folder,
            config=TrialConfig.from_params(config["parameters"]),
            about={**about, **known, "image_shape": tuple(about["image_shape"])},
            outcome=metrics["outcome"],
            stop_reason=metrics["stop_reason"],
            metrics=metrics["metrics"],
            history=_read(folder / "history.csv", _history),
            counts=_read_if_there(folder / "confusion_matrix.json", _counts),
            weights=_read_if_there(folder / "weights.npz", _weights),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"config.json or metrics.json in {folder} is not as `digitexp train` writes it "
            f"({type(error).__name__}: {error}); train again with `digitexp train --output DIR`."
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
    # From memory: NumPy leaves a file open that is no whole archive.
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _short(digests: tuple[str, str]) -> str:
    return "digest {:.12}, split {:.12}".format(*digests)
