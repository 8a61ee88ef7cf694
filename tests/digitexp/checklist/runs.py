"""Trainings as their files would tell them, without training."""

from pathlib import Path

import numpy as np

from digitexp.config import TrialConfig
from digitexp.metrics import recalls
from digitexp.trained import TrainedTrial

CLASSES = [str(digit) for digit in range(10)]


def counts_of(rights, images=100, taken_for=3):
    """A confusion matrix with these right answers a class; mistakes go to one other class."""
    counts = np.diag(rights).astype(int)
    for label, right in enumerate(rights):
        counts[label, taken_for if label != taken_for else taken_for + 1] += images - right
    return counts


def history_of(losses, rates=None, **columns):
    losses = np.array(losses, dtype=float)
    given = {
        "loss": losses,
        "accuracy": np.linspace(0.3, 0.9, len(losses)),
        "val_loss": losses + 0.1,
        "val_accuracy": np.linspace(0.3, 0.8, len(losses)),
        "learning_rate": np.array(rates or [0.001] * len(losses)),
    }
    return given | {name: np.array(values, dtype=float) for name, values in columns.items()}


def make_run(
    *, rights=(93,) * 10, train_accuracy=0.94, losses=(1.7, 0.6, 0.3, 0.25), history=None,
    counts=None, metrics=None, outcome="complete", stop_reason="early_stopping", source="digits20",
    folder=Path("first"), split_seed=0, **params,
):  # fmt: skip
    """A training of the tutorial's net on digits20, with what is given in place of its own."""
    history = history or history_of(losses)
    counts = counts_of(rights) if counts is None else counts
    best = int(np.nanargmin(history["val_loss"])) if outcome == "complete" else 0
    own = {
        "best_val_accuracy": float(counts.trace() / counts.sum()),
        "best_val_loss": float(history["val_loss"][best]),
        "best_val_cross_entropy": float(history["val_loss"][best]),
        "train_accuracy": train_accuracy,
        "best_epoch": best + 1.0,
        "epochs": float(len(history["loss"])),
        "parameters": 10575.0,
        **recalls(counts, CLASSES),
    }
    about = {
        "name": "digits20", "source": source, "digest": "d", "split_digest": "s",
        "split_seed": split_seed, "image_shape": (20, 20), "class_names": CLASSES,
    }  # fmt: skip
    return TrainedTrial(
        name=str(folder),
        folder=folder,
        config=TrialConfig.from_params(params),
        about=about,
        outcome=outcome,
        stop_reason=stop_reason,
        metrics=own | (metrics or {}),
        history=history,
        confusion=np.zeros((0, 10, 10), np.uint32),
        counts=counts,
        weights=None,
    )
