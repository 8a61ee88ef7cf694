"""The one trainer: of any net, by any engine, from its first epoch to the judgement of its best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from digitexp.training.observer import Observer
from digitexp.training.outcome import TrainingOutcome

if TYPE_CHECKING:
    from digitexp.training.resuming import SavesState


class Net(Protocol):
    """One net with its data, as an engine trains it.

    Attributes:
        engine: Name of the engine; of some nets known once they are trained, like the next two.
        engine_reason: Why this one, in a few words.
        summary: Its layers as a table, in text.
    """

    @property
    def engine(self) -> str: ...  # noqa: D102 - above
    @property
    def engine_reason(self) -> str: ...  # noqa: D102
    @property
    def summary(self) -> str: ...  # noqa: D102

    def named_weights(self) -> Mapping[str, np.ndarray]:
        """Return copies of all weights by name."""
        ...

    def fit(self, observer: Observer, checkpoint: SavesState | None) -> float:
        """Train until the observer says that it is over; the net then has the best weights.

        Args:
            observer: Is handed each epoch, and decides.
            checkpoint: Keeps the state, from which the next attempt goes on; None: nothing is kept.

        Returns:
            Seconds that earlier attempts have trained the epochs that were not trained again.
        """
        ...


Judge = Callable[[], tuple[dict[str, float], dict[str, np.ndarray]]]
"""Returns metrics of the net with its best weights, and arrays to keep."""


def train(
    net: Net,
    observer: Observer,
    judge: Judge,
    *,
    began: float,
    checkpoint: SavesState | None = None,
    info: Mapping[str, Any] | None = None,
) -> TrainingOutcome:
    """Train a net and judge its best epoch.

    Args:
        net: The net, as it was built.
        observer: Has its schedule, and measures it.
        judge: Judges the restored best weights; not asked if the first epoch diverged.
        began: When it began to be built, by `time.perf_counter`.
        checkpoint: See `Net.fit`.
        info: Facts for the outcome.
    """
    built = perf_counter()
    seconds_before = net.fit(observer, checkpoint)
    trained = perf_counter()
    seconds = trained - built + seconds_before
    has_best = bool(np.isfinite(observer.history.get("val_loss", [])).any())
    metrics, arrays = judge() if has_best else ({}, {})
    return TrainingOutcome(
        *observer.ending(),
        metrics=metrics | ({"train_seconds": seconds} if has_best else {}),
        history=observer.history,
        arrays={name: np.stack(kept) for name, kept in observer.kept.items()} | arrays,
        weights=net.named_weights() if has_best else None,
        timings={
            "build_seconds": built - began,
            "train_seconds": seconds,
            "evaluate_seconds": perf_counter() - trained,
        },
        summary=net.summary,
        engine=net.engine,
        engine_reason=net.engine_reason,
        info={} if info is None else info,
    )
