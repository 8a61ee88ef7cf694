"""Rules on a trained model: its shapes, its last layer, and whether its weights do what is said.

Shapes need the stored weights only; the last two rules rebuild the model, without training it.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from digitexp.checking.finding import Finding, share
from digitexp.evaluation import accuracy
from digitexp.trained_run import TrainedRun, logits_of

if TYPE_CHECKING:
    from digitexp.data.source import Source
    from digitexp.data.splits import Split

__all__ = ["check_accuracy", "check_last_layer", "check_model"]

ROUNDING = 0.002
"""Share of the validation images whose class another order of additions may turn."""


def check_model(run: TrainedRun, source: Source | None, split: Split | None) -> list[Finding]:
    """Check the model a training left.

    Args:
        run: The training.
        source: The data it was trained on; None = not at hand, then accuracy is not recomputed.
        split: Which of it validates.
    """
    if run.weights is None:
        return [Finding("model", "weights", "fail", "none were kept: no epoch had a finite loss")]
    findings = [_finite(run.weights), _outputs(run), _inputs(run), _parameters(run)]
    try:
        model = run.load_model()
    except ValueError as error:
        advice = "config.json and weights.npz are of two trainings: train again."
        return [*findings, Finding("model", "rebuilt", "fail", str(error), advice)]
    findings.append(check_last_layer(model.layers[-1], len(run.class_names)))
    if source is not None and split is not None:
        chosen = split.validation_indices
        logits = logits_of(model, source.images[chosen])
        stored = run.metrics["best_val_accuracy"]
        findings.append(check_accuracy(accuracy(logits, source.labels[chosen]), stored))
    return findings


def check_last_layer(layer: Any, n_classes: int) -> Finding:
    """Check that a Keras layer returns one logit a class.

    The softmax belongs into the loss (`from_logits=True`), which subtracts the largest logit
    first; a softmax in the layer rounds small probabilities to 0, and their logarithm is infinite.
    """
    name = layer.activation.__name__
    seen = f"{layer.units} outputs, activation {name}"
    if layer.units == n_classes and name == "linear":
        return Finding("model", "last layer", "ok", f"{seen}: logits")
    return Finding("model", "last layer", "fail", f"{seen}; {n_classes} and linear expected",
                   "Return logits, and let the loss take the softmax.")  # fmt: skip


def check_accuracy(computed: float, stored: float) -> Finding:
    """Compare the accuracy of the rebuilt model with what the training wrote down."""
    seen = f"{share(computed)} of the validation images right, {share(stored)} written down"
    if abs(computed - stored) <= ROUNDING:
        return Finding("model", "rebuilt", "ok", seen)
    return Finding("model", "rebuilt", "fail", seen,
                   "Weights, data or split are not those of this training.")  # fmt: skip


def _finite(weights: Any) -> Finding:
    broken = [name for name, values in weights.items() if not np.isfinite(values).all()]
    if not broken:
        return Finding("model", "weights", "ok", f"{len(weights)} arrays, all numbers finite")
    return Finding("model", "weights", "fail", f"NaN or infinity in {', '.join(broken)}")


def _kernels(run: TrainedRun) -> list[np.ndarray]:
    return [array for array in (run.weights or {}).values() if array.ndim >= 2]


def _outputs(run: TrainedRun) -> Finding:
    outputs, classes = _kernels(run)[-1].shape[-1], len(run.class_names)
    seen = f"{outputs} for {classes} classes"
    if outputs == classes:
        return Finding("model", "outputs", "ok", seen)
    return Finding("model", "outputs", "fail", seen, "Train with the data named in config.json.")


def _inputs(run: TrainedRun) -> Finding:
    first = _kernels(run)[0]
    if first.ndim > 2:  # a convolution takes images of any size
        kernel = "x".join(map(str, first.shape[:2]))
        return Finding("model", "inputs", "ok", f"{kernel} kernels on {first.shape[2]} channel(s)")
    pixels = prod(run.about["image_shape"])
    seen = f"{first.shape[0]} for {pixels} pixels"
    if first.shape[0] == pixels:
        return Finding("model", "inputs", "ok", seen)
    return Finding("model", "inputs", "fail", seen, "Train with the data named in config.json.")


def _parameters(run: TrainedRun) -> Finding:
    # Means and variances of batch normalisation are measured, not trained.
    trained = (a for name, a in (run.weights or {}).items() if "/moving_" not in name)
    stored = sum(array.size for array in trained)
    said = int(run.metrics["parameters"])
    if stored == said:
        return Finding("model", "parameters", "ok", f"{stored}")
    return Finding("model", "parameters", "fail", f"{stored} stored, {said} written down",
                   "metrics.json and weights.npz are of two trainings: train again.")  # fmt: skip
