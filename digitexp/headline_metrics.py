"""The headline metrics: one value a trial, of the restored best weights.

Each with the direction that is better, the per-epoch metric a pruner watches in its place, and its
meaning and unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

HEADLINE_METRICS: Final[Mapping[str, tuple[Literal["maximize", "minimize"], str | None, str]]] = {
    "best_val_accuracy": ("maximize", "val_accuracy", "share of right answers"),
    "best_val_loss": ("minimize", "val_loss", "cross-entropy with L2 penalty, nats"),
    "best_val_cross_entropy": (
        "minimize",
        None,
        "cross-entropy without penalty, nats; compares across l2",
    ),
    "train_accuracy": ("maximize", "accuracy", "on the training part"),
    "accuracy_gap": ("minimize", None, "train_accuracy - best_val_accuracy"),
    "best_epoch": ("minimize", None, "epoch with the lowest val_loss, from 1"),
    "epochs": ("minimize", None, "epochs trained"),
    "train_seconds": ("minimize", None, "wall time of the training alone, seconds"),
    "parameters": ("minimize", None, "trainable weights"),
    **{
        f"recall_{digit}": ("maximize", None, f"share of the {digit}s recognised")
        for digit in range(10)
    },
}
