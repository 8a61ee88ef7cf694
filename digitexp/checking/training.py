"""Rules on a training: its history, how it ended, what it learned, what it confuses.

What to do about a loss that does not fall, over-fitting and a poor class is in `advice.py`.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from digitexp.checking.finding import Finding, Verdict, share
from digitexp.trained_run import TrainedRun
from digitexp.training.outcome import EPOCH_METRICS

__all__ = ["check_training", "worst_class"]

TWO_SIDED_95 = 1.96
"""Standard errors to either side that hold 95 % of what chance does (normal distribution)."""

SMALLEST_GAP = 0.02
"""The tutorial's net on digits20 has a validation accuracy of 90.8 to 92.7 % by its seed alone (six
seeds); a gap of less than that range is not worth a remedy."""

SURPRISE = 0.05
"""How probable a class as poor as the worst may be by chance, before it is called poor."""

BAR = 3.0
"""Standard errors by which accuracy must exceed that of guessing."""


def check_training(run: TrainedRun) -> list[Finding]:
    """Check what a training wrote of itself; needs neither its data nor TensorFlow."""
    complete = _history(run)
    if complete.verdict == "fail" and run.outcome != "diverged":
        return [complete]  # nothing else can be read from it
    findings = [complete, _ended(run)]
    if run.epochs:
        findings += [_loss_fell(run), _rate(run)]
    if run.metrics and run.counts is not None:
        findings += [_better_than_guessing(run), _best_epoch(run), _gap(run), _worst_class(run)]
    return findings


def _finding(name: str, verdict: Verdict, seen: str, advice: str = "") -> Finding:
    return Finding("training", name, verdict, seen, "" if verdict == "ok" else advice)


def _history(run: TrainedRun) -> Finding:
    missing = [name for name in EPOCH_METRICS if name not in run.history]
    if missing or not run.epochs:
        seen = f"no {', '.join(missing)}" if missing else "no epoch"
        return _finding("history", "fail", seen, "history.csv is not whole: train again.")
    broken = [name for name in EPOCH_METRICS if not np.isfinite(run.history[name]).all()]
    if broken:
        seen = f"{run.epochs} epochs; {', '.join(broken)} not finite"
        return _finding("history", "fail", seen)
    said = int(run.metrics.get("epochs", run.epochs))
    if said != run.epochs:
        seen = f"{run.epochs} epochs, {said} written down"
        return _finding("history", "fail", seen, "The files are of two trainings: train again.")
    return _finding("history", "ok", f"{run.epochs} epochs of {len(EPOCH_METRICS)} metrics")


def _ended(run: TrainedRun) -> Finding:
    if run.outcome == "diverged":
        seen = f"diverged in epoch {run.epochs}: the loss is no longer a finite number"
        return _finding("how it ended", "fail", seen)
    if run.stop_reason == "max_epochs":
        return _finding("how it ended", "ok", f"after all {run.config.epochs} epochs")
    patience = run.config.early_stopping_patience_epochs
    if run.stop_reason == "early_stopping":
        seen = f"early stopping after {run.epochs} epochs of {run.config.epochs}"
        seen += f", {patience} without a better val_loss"
        return _finding("how it ended", "ok", seen)
    return _finding("how it ended", "ok", run.stop_reason.replace("_", " "))


def _loss_fell(run: TrainedRun) -> Finding:
    losses = run.history["loss"]
    first, last = losses[0], losses[-1]
    seen = f"from {first:.4g} to {last:.4g} in {run.epochs} epochs"
    if run.epochs == 1 and np.isfinite(first):
        advice = "One epoch shows no course: train more."
        return _finding("loss falls", "warn", f"{first:.4g} in the only epoch", advice)
    fell = last < first  # NaN is not less
    return _finding("loss falls", "ok" if fell else "fail", seen)


def _rate(run: TrainedRun) -> Finding:
    rates = run.history["learning_rate"]
    falls = int((np.diff(rates) < 0).sum())
    on_plateaus = run.config.learning_rate_schedule == "plateau"
    seen = f"{rates[0]:.3g} all the time"
    if falls:
        times = "once" if falls == 1 else f"{falls} times"
        seen = f"fell {times}, from {rates[0]:.3g} to {rates[-1]:.3g}"
    elif on_plateaus and run.config.plateau_patience_epochs is not None:
        seen += "; no plateau was long enough"
    best = int(run.metrics.get("best_epoch", 1)) - 1  # what the rate does after it is no matter
    at_floor = on_plateaus and falls > 0 and rates[best] <= 1.001 * run.config.min_learning_rate
    advice = "It can fall no further: lower min_learning_rate if the loss still fell with it."
    return _finding("learning rate", "warn" if at_floor else "ok", seen, advice)


def _better_than_guessing(run: TrainedRun) -> Finding:
    """Compare with answering the largest class always, and its shares as probabilities."""
    assert run.counts is not None
    shares = run.counts.sum(axis=1) / run.counts.sum()
    largest, present = float(shares.max()), shares[shares > 0]
    entropy = float(-(present * np.log(present)).sum())
    right, loss = run.metrics["best_val_accuracy"], run.metrics["best_val_cross_entropy"]
    bar = largest + BAR * standard_error(largest, int(run.counts.sum()))
    seen = (
        f"validation accuracy {share(right)}, cross-entropy {loss:.3g}; "
        f"guessing: {share(largest)}, {entropy:.3g}"
    )
    learned = right > bar and loss < entropy
    return _finding("learns", "ok" if learned else "fail", seen)


def _best_epoch(run: TrainedRun) -> Finding:
    best = int(run.metrics["best_epoch"])
    seen = f"{best} of {run.epochs}, val_loss {run.history['val_loss'][best - 1]:.4g}"
    if best == run.epochs and run.stop_reason == "max_epochs":
        return _finding("best epoch", "warn", f"{seen}, the last")
    if best == 1 and run.epochs > 3:
        return _finding("best epoch", "warn", f"{seen}, the first")
    return _finding("best epoch", "ok", seen)


def _gap(run: TrainedRun) -> Finding:
    """Compare training and validation accuracy of the weights that were kept.

    The training accuracy is counted over all images trained on; chance is in the validation
    images alone, as a binomial count.
    """
    assert run.counts is not None
    train, validation = run.metrics["train_accuracy"], run.metrics["best_val_accuracy"]
    images = int(run.counts.sum())
    noise = TWO_SIDED_95 * standard_error(validation, images)
    gap = train - validation
    high = gap > max(noise, SMALLEST_GAP)
    relation = "more than" if gap > noise else "within"
    seen = (
        f"training accuracy {share(train)}, validation {share(validation)}: "
        f"gap {100 * gap:.1f} points, {relation} its noise of {100 * noise:.1f} "
        f"(95 %, {images} images)"
    )
    return _finding("over-fitting", "warn" if high else "ok", seen)


def _worst_class(run: TrainedRun) -> Finding:
    assert run.counts is not None
    label, surprise = worst_class(run.counts)
    row = run.counts[label]
    names, images, right = run.class_names, int(row.sum()), int(row[label])
    seen = f"{names[label]}: recall {share(right / images)}, {right} of {images}"
    mistakes = row.copy()
    mistakes[label] = 0
    if mistakes.any():
        other = int(mistakes.argmax())
        seen += f"; {mistakes[other]} taken for {names[other]}"
    others = run.counts.trace() - right
    seen += f"; the other classes {share(others / max(run.counts.sum() - images, 1))}"
    if right == 0:
        return _finding("worst class", "fail", seen, "It is never recognised.")
    poor = surprise < SURPRISE
    return _finding("worst class", "warn" if poor else "ok", seen)


def worst_class(counts: np.ndarray) -> tuple[int, float]:
    """Return the class with the lowest recall, and how probable one so low is by chance.

    By chance: were its recall that of all other classes together, so few of its images or fewer
    would be right with this (binomial) probability, times the number of classes, because the
    worst of many was picked (Bonferroni's bound, as in Dunn, 1961).

    Args:
        counts: (classes, classes), [true, predicted], images in at least two classes.
    """
    from scipy.stats import binom

    totals, right = counts.sum(axis=1), np.diagonal(counts)
    recall = np.where(totals > 0, right / np.maximum(totals, 1), np.inf)
    label = int(recall.argmin())
    rest = (right.sum() - right[label]) / max(totals.sum() - totals[label], 1)
    chance = float(binom.cdf(right[label], totals[label], rest)) * int((totals > 0).sum())
    return label, min(chance, 1.0)


def standard_error(part: float, n: int) -> float:
    """Return the standard error of a share counted over `n` images (binomial)."""
    return sqrt(part * (1 - part) / n)
