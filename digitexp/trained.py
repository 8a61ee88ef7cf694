"""A trained trial of digits, its data and its network; reads the folders of `digitexp train`."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from digitexp.activations import ALL
from digitexp.config import TrialConfig
from digitexp.data import DataError, Source, Split, load_source, split_source
from digitexp.data.files import read_npz_arrays
from digitexp.models import chain_of
from digitexp.training.outcome import TrainingData

Floats = NDArray[np.float32]

AT_ONCE = 256
"""Images that go through the convolutions together: more would leave the cache."""
NORM_EPSILON: Final = 1e-3
"""Default epsilon of Keras's `BatchNormalization`."""


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network in NumPy, for pages, which are made without TensorFlow.

    The formulas are those of the Keras layers that `digitexp.models` builds, at inference: dropout
    does nothing, batch normalisation uses its stored means and variances.

    Attributes:
        config: Its configuration; only its layers matter.
        image_shape: Height and width.
        weights: By name, as `digitexp.models.model_weights` returns them.
    """

    config: TrialConfig
    image_shape: tuple[int, int]
    weights: Mapping[str, np.ndarray] = field(repr=False)

    def logits(self, images: np.ndarray) -> Floats:
        """Return (n, classes) logits of images (n, pixels) or (n, h, w) in [0, 1]."""
        return self.head(self.hidden(images))

    def head(self, hidden: np.ndarray) -> Floats:
        """Return (n, classes) logits of the last hidden layer's outputs (n, units)."""
        return self._dense(hidden.astype(np.float32, copy=False), "output")

    def hidden(self, images: np.ndarray) -> Floats:
        """Return the last hidden layer's outputs (n, units); without such a layer, the features."""
        flat = images.astype(np.float32, copy=False).reshape(-1, math.prod(self.image_shape))
        parts = [self._hidden(flat[i : i + AT_ONCE]) for i in range(0, len(flat), AT_ONCE)]
        return np.concatenate(parts) if parts else self._hidden(flat)

    def _hidden(self, flat: Floats) -> Floats:
        outputs = self._features(flat) if self.config.architecture == "cnn" else flat
        for number in range(1, len(self.config.units) + 1):
            outputs = self._activated(self._dense(outputs, f"hidden_{number}"))
        return outputs

    def _features(self, flat: Floats) -> Floats:
        maps = flat.reshape(-1, *self.image_shape, 1)
        for block in range(1, len(self.config.filters) + 1):
            for turn in range(1, self.config.convs_per_block + 1):
                maps = self._convolved(maps, f"{block}_{turn}")
            maps = _pooled(maps)
        return maps.reshape(len(maps), math.prod(maps.shape[1:]))

    def _convolved(self, maps: Floats, name: str) -> Floats:
        kernel, bias = (self._weight(f"conv_{name}/{part}") for part in ("kernel", "bias"))
        side = kernel.shape[0]
        before = (side - 1) // 2
        margins = (before, side - 1 - before)
        padded = np.pad(maps, ((0, 0), margins, margins, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
        # windows: (n, h, w, channels, side, side); the kernel: (side, side, channels, filters)
        summed = np.tensordot(windows, kernel, axes=((4, 5, 3), (0, 1, 2))) + bias
        if self.config.batch_norm:
            scale, shift, mean, variance = (
                self._weight(f"norm_{name}/{part}")
                for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            summed = (summed - mean) / np.sqrt(variance + np.float32(NORM_EPSILON)) * scale + shift
        return self._activated(summed)

    def _dense(self, inputs: Floats, name: str) -> Floats:
        return np.asarray(inputs @ self._weight(f"{name}/kernel") + self._weight(f"{name}/bias"))

    def _activated(self, inputs: Floats) -> Floats:
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(ALL[self.config.activation].values(inputs))

    def _weight(self, name: str) -> Floats:
        return np.asarray(self.weights[name], np.float32)


def _pooled(maps: Floats) -> Floats:
    """Return the maximum of each 2x2 cell; an odd side is padded by -inf below or right."""
    (_, height, width, _) = maps.shape
    margins = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    padded = np.pad(maps, margins, constant_values=-np.inf)
    rows = np.maximum(padded[:, ::2], padded[:, 1::2])
    return np.maximum(rows[:, :, ::2], rows[:, :, 1::2])


IMAGES_AT_ONCE: Final = 2048
"""Forward passes of so many images need little memory, also with convolutions."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedTrial:
    """One training of digits, whether `digitexp train` or a sweep made it.

    Attributes:
        name: Name for people: a folder, or a text such as `mlp, trial 12`.
        config: The configuration that was trained.
        about: The training data: name, digests, split_seed, image_shape, class_names.
        outcome: `complete`, `stopped` or `diverged`.
        stop_reason: Why the training ended.
        metrics: Headline metrics; empty when the training diverged in its first epoch.
        history: `digitexp.training.outcome.EPOCH_METRICS`, one value per epoch.
        confusion: (epochs, classes, classes) counts, [true, predicted], of the images that early
            stopping watches; no epoch if the counts were not kept.
        counts: (classes, classes) counts of the best epoch; None without one.
        weights: Weights of the best epoch by name; None without one, or if they were freed.
        temperature: Divisor of the logits, fitted on validation images; 1 if none was fitted.
        folder: Folder into which evaluations of the trial are written.
    """

    name: str
    config: TrialConfig
    about: Mapping[str, Any] = field(repr=False)
    outcome: str
    stop_reason: str
    metrics: Mapping[str, float] = field(repr=False)
    history: Mapping[str, np.ndarray] = field(repr=False)
    confusion: np.ndarray = field(repr=False)
    counts: np.ndarray | None = field(repr=False)
    weights: Mapping[str, np.ndarray] | None = field(repr=False)
    temperature: float = 1.0
    folder: Path = Path()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        return tuple(self.about["class_names"])

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of an image."""
        height, width = self.about["image_shape"]
        return int(height), int(width)

    @property
    def source(self) -> str:
        """The data source as the training was given it; its name if that was not kept."""
        return str(self.about.get("source") or self.about["name"])

    @property
    def epochs(self) -> int:
        """Epochs in the history."""
        return len(next(iter(self.history.values()), ()))

    @property
    def best_epoch(self) -> int | None:
        """The epoch, from 1, whose weights were kept."""
        best = self.metrics.get("best_epoch")
        return None if best is None else int(best)

    def load_data(self, named: str | None = None) -> tuple[Source, Split]:
        """Load the data of the training and split them as the training did.

        Args:
            named: Source of the data; None = the source that the training was given.

        Raises:
            ValueError: The data cannot be loaded, or their digests have changed.
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

    def with_images(self, named: str | None = None) -> ShownTrial:
        """Return the trial with its validation and its training images.

        Raises:
            ValueError: See `load_data`.
        """
        source, split = self.load_data(named)
        arrays = TrainingData.of_split(source, split)
        return self.shown_on(arrays, image_numbers=split.validation_indices)

    def shown_on(
        self,
        arrays: TrainingData,
        part: str = "the validation part",
        images: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        image_numbers: np.ndarray | None = None,
    ) -> ShownTrial:
        """Return the trial with images to show.

        Args:
            arrays: Arrays of the training.
            part: Name of the part that `images` belong to.
            images: (n, ...) pixels; None = the validation images of `arrays`.
            labels: (n,) classes of the images.
            image_numbers: (n,) numbers of the images in the source; None if they are not known.
        """
        if images is None or labels is None:
            images, labels = arrays.validation_images, arrays.validation_labels
        facts = {one.name: getattr(self, one.name) for one in fields(TrainedTrial)}
        return ShownTrial(
            **facts,
            part=part,
            images=images.reshape(-1, *self.image_shape),
            labels=labels,
            image_numbers=image_numbers,
            train_images=arrays.train_images.reshape(-1, *self.image_shape),
            train_labels=arrays.train_labels,
        )

    @cached_property
    def network(self) -> Network:
        """The trained network in NumPy.

        Raises:
            ValueError: The trial has no weights: it diverged, or they were freed; or they are those
                of another network.
        """
        weights, chain = self._weights(), chain_of(*self._described)
        takes = chain.shapes()
        found = {name: np.shape(weights[name]) for name in takes if name in weights}
        if found != takes:
            raise ValueError(f"The weights are {found}; this model takes {takes}.")
        return Network(self.config, self.image_shape, weights)

    @property
    def _described(self) -> tuple[TrialConfig, tuple[int, int], int]:
        return self.config, self.image_shape, len(self.class_names)

    def load_model(self) -> Any:
        """Rebuild the network in Keras: (n, pixels) images in [0, 1] -> (n, classes) logits.

        Raises:
            ValueError: The trial has no weights, or they belong to another network.
        """
        weights = self._weights()
        from digitexp.models import build_model, set_weights
        from digitexp.tensorflow_setup import start_tensorflow

        start_tensorflow()
        model = build_model(*self._described)
        set_weights(model, weights)
        return model

    def _weights(self) -> Mapping[str, np.ndarray]:
        if self.weights is None:
            raise ValueError(
                f"{self.name} has no weights: it diverged, or they were freed; take another one"
            )
        return self.weights


@dataclass(frozen=True, eq=False, kw_only=True)
class ShownTrial(TrainedTrial):
    """A trained trial, and the images that its network is shown.

    Attributes:
        part: Name of the part that `images` belong to, such as `the validation part`.
        images: (n, h, w), float32 in [0, 1]: images that the trial was not trained on.
        labels: (n,) classes of the images.
        image_numbers: (n,) numbers of the images in the source; None if they are not known.
        train_images: (n_train, h, w) images of the training.
        train_labels: (n_train,) classes of the training images.
    """

    part: str
    images: NDArray[np.float32] = field(repr=False)
    labels: NDArray[np.integer] = field(repr=False)
    image_numbers: NDArray[np.integer] | None = field(default=None, repr=False)
    train_images: NDArray[np.float32] = field(repr=False)
    train_labels: NDArray[np.integer] = field(repr=False)

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """Logits (n, classes) of `images`."""
        return self.network.logits(self.images)


def logits_of(model: Any, images: np.ndarray) -> np.ndarray:
    """Return (n, classes) float32 logits of images (n, ...), a few at once."""
    flat = images.reshape(len(images), -1).astype(np.float32, copy=False)
    parts = (flat[i : i + IMAGES_AT_ONCE] for i in range(0, len(flat), IMAGES_AT_ONCE))
    return np.concatenate([np.asarray(model(part, training=False)) for part in parts])


def read_folder(folder: Path) -> TrainedTrial:
    """Read a folder that `digitexp train --output` filled.

    Raises:
        ValueError: There is no such folder, or a file in it is missing or cannot be read.
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
        classes = len(about["class_names"])
        every_epoch = _read_if_there(folder / "confusion.npz", read_npz_arrays) or {}
        return TrainedTrial(
            name=str(folder),
            folder=folder,
            config=TrialConfig.from_params(config["parameters"]),
            about={**about, **known, "image_shape": tuple(about["image_shape"])},
            outcome=metrics["outcome"],
            stop_reason=metrics["stop_reason"],
            metrics=metrics["metrics"],
            history=_read(folder / "history.csv", _history),
            confusion=every_epoch.get("confusion", np.zeros((0, classes, classes), np.uint32)),
            counts=_read_if_there(
                folder / "confusion_matrix.json",
                lambda path: np.array(_json(path)["counts"], dtype=np.int64),
            ),
            weights=_read_if_there(folder / "weights.npz", read_npz_arrays),
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


def _short(digests: tuple[str, str]) -> str:
    return "digest {:.12}, split {:.12}".format(*digests)
