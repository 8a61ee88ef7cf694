"""The rules of the debug checklist, on data, model and training.

Loading refuses data at the first mistake; these rules list all of them. Only `digitexp.data`
decides which data may be loaded.

The rules on the shapes of a model need its stored weights only; the last two rebuild the model,
without training it.

`advice.py` says what to do about a loss that does not fall, over-fitting and a poor class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from digitexp.data.checking import (
    check_classes,
    check_test_classes,
    convert_images,
    convert_labels,
    find_shared,
    fingerprint_images,
)
from digitexp.data.source import DataError, Found, Images, Labels, Source
from digitexp.data.splits import Split
from digitexp.metrics import accuracy
from digitexp.trained import TrainedTrial, logits_of

if TYPE_CHECKING:
    from digitexp.data.source import Source
    from digitexp.data.splits import Split
from math import sqrt

from digitexp.training.outcome import EPOCH_METRICS

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one rule.

    Attributes:
        part: The part that was checked.
        name: Name of the rule, a few words.
        verdict: `ok`; `warn`: worth a look, results may be worse than they could be; `fail`:
            results mean nothing, or nothing was learned.
        seen: The figures that were found.
        advice: Advice; empty when there is nothing to do.
        command: A command to try, complete; empty when none would help.
    """

    part: Literal["data", "model", "training", "advice"]
    name: str
    verdict: Verdict
    seen: str
    advice: str = ""
    command: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return asdict(self)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 if a rule failed, else 0; a warning alone is no failure."""
    return int(any(finding.verdict == "fail" for finding in findings))


def share(part: float, decimals: int = 1) -> str:
    """Return a share as a percentage, such as `93.1%`."""
    return f"{part:.{decimals}%}"


SMALLEST_CLASS = 0.5
"""A class with fewer images than this share of the mean one has too little weight in the loss."""

FEWEST_IMAGES = 50
"""A fifth of a class validates: of 50 images 10, whose recall near 90 % has a standard error of
9.5 points (sqrt(0.9 * 0.1 / 10)). Below that no recall says much."""

MOST_CONSTANT = 0.5
"""Share of pixels with one value in all images, above which most inputs carry nothing. The digits
in the middle of MNIST's 28x28 leave less than a tenth constant."""


def check_data(
    found: Found, *, n_features: int | None = None, n_classes: int | None = None
) -> list[Finding]:
    """Check the training images and labels of a source.

    Args:
        found: The source, unconverted.
        n_features: Pixels each image must have, such as 400; None = any number.
        n_classes: Classes there must be, such as 10; None = any number.
    """
    findings = []
    images = labels = None
    try:
        raw, where = found.train, found.where
        images, policies = convert_images(raw.images, where, ng_course=found.ng_course)
    except DataError as error:
        findings.append(_refused("pixels", error))
    else:
        findings += [_features(images, n_features), _range(images, policies)]
    try:
        labels, _ = convert_labels(
            found.train.labels,
            found.where,
            images=len(found.train.images),
            ng_course=found.ng_course,
        )
        classes = check_classes(labels, found.where)
    except DataError as error:
        findings.append(_refused("labels", error))
        labels = None
    else:
        findings += [_labels(labels, classes, n_classes), _balance(labels), _class_size(labels)]
    if images is not None:
        findings += [_constant_pixels(images), _blank_images(images)]
    if images is not None and labels is not None:
        findings.append(_duplicates(images, labels))
        findings += _test_apart(found, images, labels)
    return findings


def check_same_data(source: Source, split: Split, about: Mapping[str, Any]) -> list[Finding]:
    """Compare a source and its split with the data of a training.

    Args:
        source: The data at hand.
        split: Its split by the seed of the training.
        about: `digest` and `split_digest` of the training's data.
    """
    advice = "Name the data it was trained on with --data."
    findings = []
    for name, here, there in (
        ("same data", source.digest, about["digest"]),
        ("same split", split.digest, about["split_digest"]),
    ):
        if here == there:
            findings.append(Finding("data", name, "ok", f"as trained on, digest {here[:12]}"))
        else:
            seen = f"digest {here[:12]}, trained on {there[:12]}"
            findings.append(Finding("data", name, "fail", seen, advice))
    return findings


def _refused(name: str, error: DataError) -> Finding:
    return Finding("data", name, "fail", str(error), "Mend the files; training refuses them too.")


def _features(images: Images, expected: int | None) -> Finding:
    height, width = images.shape[1:]
    seen = f"{len(images)} images of {height}x{width} = {height * width} features"
    if expected in (None, height * width):
        return Finding("data", "features", "ok", seen)
    return Finding("data", "features", "fail", f"{seen}; {expected} expected",
                   "Scale or crop the images to one size before they are saved.")  # fmt: skip


def _range(images: Images, policies: list[str]) -> Finding:
    low, high = float(images.min()), float(images.max())
    scaled = next((f", {policy}" for policy in policies if "divided" in policy), "")
    seen = f"from {low:.3g} to {high:.3g}{scaled}"
    if high - low >= 0.5:
        return Finding("data", "pixels", "ok", seen)
    return Finding(
        "data", "pixels", "warn", f"{seen}: less than half of [0, 1] is used",
        "Images that were divided twice, or are very pale, train slowly; scale them to [0, 1].",
    )  # fmt: skip


def _labels(labels: Labels, classes: int, expected: int | None) -> Finding:
    seen = f"{classes} classes, labels 0 to {classes - 1}, one for each of {len(labels)} images"
    if expected in (None, classes):
        return Finding("data", "labels", "ok", seen)
    return Finding("data", "labels", "fail", f"{seen}; {expected} classes expected",
                   "Look for labels that are missing or were read from another file.")  # fmt: skip


def _balance(labels: Labels) -> Finding:
    sizes = np.bincount(labels)
    least, mean = int(sizes.argmin()), float(sizes.mean())
    seen = f"{sizes.min()} to {sizes.max()} images a class"
    if sizes[least] >= SMALLEST_CLASS * mean:
        return Finding("data", "class balance", "ok", seen)
    return Finding(
        "data", "class balance", "warn",
        f"{seen}; class {least} has {share(sizes[least] / mean, 0)} of the mean, {mean:.0f}",
        f"Collect more images of class {least}, or look at its recall and not only at accuracy.",
    )  # fmt: skip


def _class_size(labels: Labels) -> Finding:
    sizes = np.bincount(labels)
    least, advice = int(sizes.argmin()), ""
    verdict: Verdict = "ok"
    if sizes[least] < 2:
        verdict, advice = "fail", "One image must train and one validate: add some."
    elif sizes[least] < FEWEST_IMAGES:
        verdict = "warn"
        advice = f"With fewer than {FEWEST_IMAGES} images its recall is mostly chance: add some."
    seen = f"the smallest, {least}, has {sizes[least]}, about {sizes[least] / 5:.0f} to validate"
    return Finding("data", "smallest class", verdict, seen, advice)


def _constant_pixels(images: Images) -> Finding:
    flat = images.reshape(len(images), -1)
    constant = int((flat.min(axis=0) == flat.max(axis=0)).sum())
    seen = f"{constant} of {flat.shape[1]} are the same in all images"
    if constant <= MOST_CONSTANT * flat.shape[1]:
        return Finding("data", "constant pixels", "ok", seen)
    return Finding("data", "constant pixels", "warn", seen,
                   "Crop the empty margin: these inputs carry nothing.")  # fmt: skip


def _blank_images(images: Images) -> Finding:
    flat = images.reshape(len(images), -1)
    blank = np.flatnonzero(flat.min(axis=1) == flat.max(axis=1))
    if not len(blank):
        return Finding("data", "blank images", "ok", "none")
    return Finding("data", "blank images", "warn", f"{len(blank)}, the first is {blank[0]}",
                   "An image without ink shows no class: remove it.")  # fmt: skip


def _duplicates(images: Images, labels: Labels) -> Finding:
    keys = fingerprint_images(images)
    surplus = len(keys) - len(set(keys))
    contradicting = sum(
        count > 1
        for count in Counter(key for key, _ in set(zip(keys, labels, strict=True))).values()
    )
    if contradicting:
        return Finding(
            "data", "duplicates", "fail",
            f"{contradicting} images occur with different labels",
            "One of the labels is wrong: look at them, and keep the right one.",
        )  # fmt: skip
    if surplus:
        return Finding(
            "data", "duplicates", "warn", f"{surplus} images occur more than once",
            "Keep one of each; a copy that validates what was trained on makes the score too good.",
        )  # fmt: skip
    return Finding("data", "duplicates", "ok", "none")


def _test_apart(found: Found, images: Images, labels: Labels) -> Iterator[Finding]:
    if found.test is None:
        return
    try:
        where = f"{found.where} (test set)"
        test, _ = convert_images(found.test.images, where, ng_course=found.ng_course)
        test_labels, _ = convert_labels(
            found.test.labels, where, images=len(test), ng_course=found.ng_course
        )
        check_test_classes(test_labels, where, classes=int(labels.max()) + 1)
    except DataError as error:
        yield _refused("test set", error)
        return
    shared = find_shared(fingerprint_images(images), fingerprint_images(test))
    seen = f"{len(test)} images, {len(shared)} of them are training images too"
    if not shared:
        yield Finding("data", "test set", "ok", seen)
    else:
        yield Finding("data", "test set", "fail", seen,
                      "Remove them from one part: the test score would be too good.")  # fmt: skip


ROUNDING = 0.002
"""Share of the validation images whose class another order of additions may turn."""


def check_model(run: TrainedTrial, source: Source | None, split: Split | None) -> list[Finding]:
    """Check the model a training left.

    Args:
        run: The training.
        source: Its data; None = not at hand, then accuracy is not recomputed.
        split: The training's split of the source.
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
    """Compare the accuracy of the rebuilt model with the one that the training recorded."""
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


def _kernels(run: TrainedTrial) -> list[np.ndarray]:
    return [array for array in (run.weights or {}).values() if array.ndim >= 2]


def _outputs(run: TrainedTrial) -> Finding:
    outputs, classes = _kernels(run)[-1].shape[-1], len(run.class_names)
    seen = f"{outputs} for {classes} classes"
    if outputs == classes:
        return Finding("model", "outputs", "ok", seen)
    return Finding("model", "outputs", "fail", seen, "Train with the data named in config.json.")


def _inputs(run: TrainedTrial) -> Finding:
    first = _kernels(run)[0]
    if first.ndim > 2:  # a convolution takes images of any size
        kernel = "x".join(map(str, first.shape[:2]))
        return Finding("model", "inputs", "ok", f"{kernel} kernels on {first.shape[2]} channel(s)")
    pixels = prod(run.about["image_shape"])
    seen = f"{first.shape[0]} for {pixels} pixels"
    if first.shape[0] == pixels:
        return Finding("model", "inputs", "ok", seen)
    return Finding("model", "inputs", "fail", seen, "Train with the data named in config.json.")


def _parameters(run: TrainedTrial) -> Finding:
    # Means and variances of batch normalisation are measured, not trained.
    trained = (a for name, a in (run.weights or {}).items() if "/moving_" not in name)
    stored = sum(array.size for array in trained)
    said = int(run.metrics["parameters"])
    if stored == said:
        return Finding("model", "parameters", "ok", f"{stored}")
    return Finding("model", "parameters", "fail", f"{stored} stored, {said} written down",
                   "metrics.json and weights.npz are of two trainings: train again.")  # fmt: skip


TWO_SIDED_95 = 1.96
"""Standard errors on either side that hold 95 % of chance deviations (normal distribution)."""

SMALLEST_GAP = 0.02
"""The tutorial's net on digits20 has a validation accuracy of 90.8 to 92.7 % by its seed alone (six
seeds); a gap of less than that range is not worth a remedy."""

SURPRISE = 0.05
"""A class is called poor if one as poor as it has less than this probability by chance."""

BAR = 3.0
"""Standard errors by which accuracy must exceed that of guessing."""


def check_training(run: TrainedTrial) -> list[Finding]:
    """Check the record of a training; neither its data nor TensorFlow is needed."""
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


def _history(run: TrainedTrial) -> Finding:
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


def _ended(run: TrainedTrial) -> Finding:
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


def _loss_fell(run: TrainedTrial) -> Finding:
    losses = run.history["loss"]
    first, last = losses[0], losses[-1]
    seen = f"from {first:.4g} to {last:.4g} in {run.epochs} epochs"
    if run.epochs == 1 and np.isfinite(first):
        advice = "One epoch shows no curve: train more."
        return _finding("loss falls", "warn", f"{first:.4g} in the only epoch", advice)
    fell = last < first  # NaN is not less
    return _finding("loss falls", "ok" if fell else "fail", seen)


def _rate(run: TrainedTrial) -> Finding:
    rates = run.history["learning_rate"]
    falls = int((np.diff(rates) < 0).sum())
    on_plateaus = run.config.learning_rate_schedule == "plateau"
    seen = f"{rates[0]:.3g} all the time"
    if falls:
        times = "once" if falls == 1 else f"{falls} times"
        seen = f"fell {times}, from {rates[0]:.3g} to {rates[-1]:.3g}"
    elif on_plateaus and run.config.plateau_patience_epochs is not None:
        seen += "; no plateau was long enough"
    best = int(run.metrics.get("best_epoch", 1)) - 1  # the rate after it does not matter
    at_floor = on_plateaus and falls > 0 and rates[best] <= 1.001 * run.config.min_learning_rate
    advice = "It can fall no further: lower min_learning_rate if the loss still fell with it."
    return _finding("learning rate", "warn" if at_floor else "ok", seen, advice)


def _better_than_guessing(run: TrainedTrial) -> Finding:
    """Compare with guessing: always the largest class, the classes' shares as probabilities."""
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


def _best_epoch(run: TrainedTrial) -> Finding:
    best = int(run.metrics["best_epoch"])
    seen = f"{best} of {run.epochs}, val_loss {run.history['val_loss'][best - 1]:.4g}"
    if best == run.epochs and run.stop_reason == "max_epochs":
        return _finding("best epoch", "warn", f"{seen}, the last")
    if best == 1 and run.epochs > 3:
        return _finding("best epoch", "warn", f"{seen}, the first")
    return _finding("best epoch", "ok", seen)


def _gap(run: TrainedTrial) -> Finding:
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


def _worst_class(run: TrainedTrial) -> Finding:
    assert run.counts is not None
    label, surprise = worst_class(run.counts)
    row = run.counts[label]
    names, images, right = run.class_names, int(row.sum()), int(row[label])
    totals, hits = run.counts.sum(axis=1), run.counts.diagonal()
    tied = [names[i] for i in np.flatnonzero(hits * images == right * totals) if totals[i]]
    tie = f" (as poor: {', '.join(tied[1:])})" if tied[1:] else ""
    seen = f"{names[label]}{tie}: recall {share(right / images)}, {right} of {images}"
    mistakes = mistakes_of(run.counts, label)
    if mistakes.any():
        other, *alike = [names[i] for i in np.flatnonzero(mistakes == mistakes.max())]
        seen += f"; {mistakes.max()} taken for {other}"
        seen += f", as many for {', '.join(alike)}" if alike else ""
    others = run.counts.trace() - right
    seen += f"; the other classes {share(others / max(run.counts.sum() - images, 1))}"
    if right == 0:
        return _finding("worst class", "fail", seen, "It is never recognised.")
    poor = surprise < SURPRISE
    return _finding("worst class", "warn" if poor else "ok", seen)


def worst_class(counts: np.ndarray) -> tuple[int, float]:
    """Return the class with the lowest recall, and how probable one so low is by chance.

    If its recall were that of all other classes together, so few of its images or fewer would be
    right with a binomial probability. That is multiplied by the number of classes, because the
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


def mistakes_of(counts: np.ndarray, label: int) -> np.ndarray:
    """Return (classes,) how often a class was taken for each other one."""
    return np.where(np.arange(len(counts)) == label, 0, counts[label])


def standard_error(part: float, n: int) -> float:
    """Return the standard error of a share counted over `n` images (binomial)."""
    return sqrt(part * (1 - part) / n)
