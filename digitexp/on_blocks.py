"""The experiment that confirms: configurations of digits, trained and judged on fresh blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from digitexp.data import load_source, split_source
from digitexp.data.blocks import Block, make_block
from digitexp.data.source import Source
from digitexp.data.splits import Split
from digitexp.evaluation import accuracy, cross_entropy
from digitexp.experiment import DigitExperiment
from digitexp.training.outcome import TrainingData
from sweeps.experiment import (
    EnginePlan,
    Experiment,
    MetricInfo,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    TrialResult,
    TrialSpec,
    Value,
)

__all__ = ["DigitsOnBlocks", "experiment"]

BLOCK, AGAIN = "block", "again"
_OWN = (BLOCK, AGAIN)
_KEPT = ("best_epoch", "epochs", "train_seconds", "parameters")


@dataclass(frozen=True)
class Pool:
    """Everything blocks are made of: the images of a source, and which scored the search."""

    source: Source = field(repr=False)
    split: Split

    def block(self, number: int) -> Block:
        """Return a block of it."""
        return make_block(self.source.labels, self.split, number)


class DigitsOnBlocks:
    """Digits, with two parameters more: the block a trial is trained and judged on, and `again`.

    The seed of a trial follows from its block, so that every finalist meets it under the same;
    `again` makes it another one.
    """

    name = "digits-on-blocks"
    parameters: Mapping[str, ParameterInfo] = {
        **DigitExperiment.parameters,
        BLOCK: ParameterInfo("int", low=0, high=9999, default=0, description="fresh block"),
        AGAIN: ParameterInfo("int", low=0, high=9999, default=0, description="another seed"),
    }
    metrics: Mapping[str, MetricInfo] = {
        "block_accuracy": MetricInfo("maximize", None, "share right of the block's images"),
        "block_cross_entropy": MetricInfo("minimize", None, "of the block's images, nats"),
        **{name: DigitExperiment.metrics[name] for name in _KEPT},
    }
    measures: Mapping[str, str] = {}

    def __init__(self) -> None:
        self._digits = DigitExperiment()

    def check(self, config: Mapping[str, Value]) -> None:
        """Raise ValueError if the configuration is impossible."""
        self._digits.check(_without_block(config))

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Load a source and split off V0, the images that scored the search."""
        loaded = load_source(source)
        split = split_source(loaded, split_seed)
        info = {
            "n_v0": len(split.validation_indices),
            "n_pool": len(split.train_indices),
            "split_seed": split_seed,
            "image_shape": list(loaded.images.shape[1:]),
            "class_names": list(loaded.class_names),
            "policies": list(loaded.policies),
        }
        return PreparedData(loaded.name, loaded.digest, split.digest, info, Pool(loaded, split))

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Nothing that constraints could need."""
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Name the engine, the reason and about how many seconds all epochs take."""
        arrays = _arrays(data.payload, data.payload.block(0))
        search = PreparedData(data.name, data.digest, data.split_digest, data.info, arrays)
        return self._digits.plan(_without_block(config), search)

    def warm_up(self) -> None:
        """Import and configure TensorFlow."""
        self._digits.warm_up()

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Train on a block and judge the best epoch on the block's own images."""
        pool: Pool = data.payload
        block = pool.block(int(spec.config.get(BLOCK) or 0))
        config = _without_block(spec.config)
        seed = (block.seed + int(spec.config.get(AGAIN) or 0)) % 2**32
        own = TrialSpec(spec.sweep, spec.slot, spec.attempt, seed, config)
        arrays = _arrays(pool, block)
        inner = PreparedData(data.name, data.digest, data.split_digest, data.info, arrays)
        result = self._digits.train(own, inner, on_epoch)
        if result.weights is None:
            return TrialResult(**{**vars(result), "metrics": {}})
        logits = self._logits(config, result.weights, data.info, pool, block)
        labels = pool.source.labels[block.evaluation_indices].astype(np.int32)
        metrics = {
            "block_accuracy": accuracy(logits, labels),
            "block_cross_entropy": cross_entropy(logits, labels),
            **{name: result.metrics[name] for name in _KEPT if name in result.metrics},
        }
        judged = {
            "block_correct": (logits.argmax(axis=1) == labels).astype(np.uint8),
            "block_images": block.evaluation_indices.astype(np.int32),
            "block_logits": logits,
        }
        kept = {"confusion": result.arrays["confusion"], **judged}
        return TrialResult(**{**vars(result), "metrics": metrics, "arrays": kept})

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw loss curves and confusion matrix of the part that stopped it early."""
        config = _without_block(spec.config)
        return self._digits.draw(
            TrialSpec(spec.sweep, spec.slot, spec.attempt, spec.seed, config), result
        )

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Rebuild the model, see `DigitExperiment.load_model`."""
        return self._digits.load_model(_without_block(config), weights, info)

    def _logits(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
        pool: Pool,
        block: Block,
    ) -> np.ndarray:
        model = self._digits.load_model(config, weights, info)
        images = pool.source.images[block.evaluation_indices]
        flat = images.reshape(len(images), -1).astype(np.float32)
        return np.asarray(model(flat, training=False), np.float32)


def _arrays(pool: Pool, block: Block) -> TrainingData:
    source = pool.source
    return TrainingData.from_split(
        source.images, source.labels, block.train_indices, block.inner_indices, source.class_names
    )


def _without_block(config: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in config.items() if name not in _OWN}


experiment: Experiment = DigitsOnBlocks()
"""What a confirmation's space names."""
