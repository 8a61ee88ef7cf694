"""The debug checklist: rules on data, model and training, and advice on what to do.

Loading refuses data at the first mistake; these rules list all of them. Only `digitexp.data`
decides which data may be loaded. Advice is given only where the run shows a need for it, with a
command that repeats the training with one change.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from math import sqrt
from typing import Any, Final, Literal

import numpy as np

from digitexp.activations import ALL
from digitexp.config import TrialConfig
from digitexp.data import checking
from digitexp.data.source import DataError, Found, Images, Labels, Source
from digitexp.data.splits import Split
from digitexp.metrics import accuracy
from digitexp.trained import TrainedTrial, logits_of
from digitexp.training.outcome import EPOCH_METRICS

Verdict = Literal["ok", "warn", "fail"]
Part = Literal["data", "model", "training", "advice"]


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

    part: Part
    name: str
    verdict: Verdict
    seen: str
    advice: str = ""
    command: str = ""


def _rule(
    part: Part, name: str, seen: str, *, holds: bool, advice: str = "", otherwise: Verdict = "fail"
) -> Finding:
    verdict: Verdict = "ok" if holds else otherwise
    return Finding(part, name, verdict, seen, "" if holds else advice)


SMALLEST_CLASS = 0.5
"""A class with fewer images than this share of the mean one has too little weight in the loss."""

FEWEST_IMAGES = 50
"""A fifth of a class validates: of 50 images 10, whose recall near 90 % has a standard error of
9.5 points (sqrt(0.9 * 0.1 / 10)). Below that no recall says much."""


def check_data(
    found: Found, *, n_features: int | None = None, n_classes: int | None = None
) -> list[Finding]:
    """Check the training images and labels of a source.

    Args:
        found: The source, unconverted.
        n_features: Pixels each image must have, such as 400; None = any number.
        n_classes: Classes there must be, such as 10; None = any number.
    """
    findings: list[Finding] = []
    images = None
    raw, where = found.train, found.where
    try:
        images, policies = checking.convert_images(raw.images, where, ng_course=found.ng_course)
    except DataError as error:
        findings.append(Finding("data", "pixels", "fail", str(error), _REFUSED))
    else:
        findings += _on_pixels(images, policies, n_features)
    try:
        labels, _ = checking.convert_labels(
            raw.labels, where, images=len(raw.images), ng_course=found.ng_course
        )
        findings += _on_labels(labels, checking.check_classes(labels, where), n_classes)
    except DataError as error:
        return [*findings, Finding("data", "labels", "fail", str(error), _REFUSED)]
    if images is not None:
        findings.append(_duplicates(images, labels))
        try:
            checking.make_source(found)
        except DataError as error:  # the training part is sound
            findings.append(Finding("data", "test set", "fail", str(error), _REFUSED))
    return findings


_REFUSED: Final = "Mend the files; training refuses them too."


def _on_pixels(images: Images, policies: list[str], expected: int | None) -> Iterator[Finding]:
    height, width = images.shape[1:]
    seen = f"{len(images)} images of {height}x{width} = {height * width} features"
    advice = f"{expected} expected: scale or crop the images before they are saved."
    yield _rule("data", "features", seen, holds=expected in (None, height * width), advice=advice)
    low, high = float(images.min()), float(images.max())
    scaled = next((f", {policy}" for policy in policies if "divided" in policy), "")
    seen, holds = f"from {low:.3g} to {high:.3g}{scaled}", high - low >= 0.5
    advice = "Images that were divided twice, or are very pale, train slowly; scale them to [0, 1]."
    yield _rule("data", "pixels", seen, holds=holds, advice=advice, otherwise="warn")


def _on_labels(labels: Labels, classes: int, expected: int | None) -> Iterator[Finding]:
    seen = f"{classes} classes, labels 0 to {classes - 1}, one for each of {len(labels)} images"
    advice = f"{expected} expected: some labels are missing, or were read from another file."
    yield _rule("data", "labels", seen, holds=expected in (None, classes), advice=advice)
    sizes = np.bincount(labels)
    least, mean, size = int(sizes.argmin()), float(sizes.mean()), int(sizes.min())
    share = f"{size / mean:.0%} of the mean"
    seen = f"{size} to {sizes.max()} images a class; class {least} has {share}"
    advice = (
        f"Collect more images of class {least}: at least one must train and one validate, and of "
        f"fewer than {FEWEST_IMAGES} a recall is mostly chance."
    )
    holds = size >= max(SMALLEST_CLASS * mean, FEWEST_IMAGES)
    wrong: Verdict = "fail" if size < 2 else "warn"
    yield _rule("data", "class balance", seen, holds=holds, advice=advice, otherwise=wrong)


def _duplicates(images: Images, labels: Labels) -> Finding:
    keys = checking.fingerprint_images(images)
    copies = len(keys) - len(set(keys))
    contradicting = len(set(zip(keys, labels, strict=True))) - len(set(keys))
    seen = f"{copies} images are copies of others, {contradicting} with another label"
    advice = "Keep one of each, with the right label: a copy that validates flatters the score."
    wrong: Verdict = "fail" if contradicting else "warn"
    return _rule("data", "duplicates", seen, holds=not copies, advice=advice, otherwise=wrong)


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
    broken = ", ".join(name for name, one in run.weights.items() if not np.isfinite(one).all())
    whole = f"{len(run.weights)} arrays, all numbers finite"
    seen = f"NaN or infinity in {broken}" if broken else whole
    findings = [_rule("model", "weights", seen, holds=not broken)]
    try:
        model = run.load_model()
    except ValueError as error:  # other shapes than the configuration and the data ask for
        advice = "config.json and weights.npz are of two trainings: train again."
        return [*findings, Finding("model", "rebuilt", "fail", str(error), advice)]
    findings.append(check_last_layer(model.layers[-1], len(run.class_names)))
    if source is not None and split is not None:
        chosen = split.validation_indices
        computed = accuracy(logits_of(model, source.images[chosen]), source.labels[chosen])
        stored = run.metrics["best_val_accuracy"]
        seen = f"{computed:.1%} of the validation images right, {stored:.1%} written down"
        holds = abs(computed - stored) <= ROUNDING
        advice = "Weights, data or split are not those of this training."
        findings.append(_rule("model", "rebuilt", seen, holds=holds, advice=advice))
    return findings


def check_last_layer(layer: Any, n_classes: int) -> Finding:
    """Check that a Keras layer returns one logit a class.

    The softmax belongs into the loss (`from_logits=True`), which subtracts the largest logit
    first; a softmax in the layer rounds small probabilities to 0, and their logarithm is infinite.
    """
    name = layer.activation.__name__
    holds = layer.units == n_classes and name == "linear"
    seen = f"{layer.units} outputs, activation {name}"
    seen += ": logits" if holds else f"; {n_classes} and linear expected"
    advice = "Return logits, and let the loss take the softmax."
    return _rule("model", "last layer", seen, holds=holds, advice=advice)


SMALLEST_GAP = 0.02
"""The tutorial's net on digits20 has a validation accuracy of 90.8 to 92.7 % by its seed alone (six
seeds); a gap of less than that range is not worth a remedy."""

BAR = 3.0
"""Standard errors by which accuracy must exceed that of guessing, and by which the recall of a poor
class is below that of the others: by chance alone the worst of ten is so in 5 % of trainings."""


def check_training(run: TrainedTrial) -> list[Finding]:
    """Check the record of a training; neither its data nor TensorFlow is needed."""
    findings = [_history(run)]
    if not findings[0].advice:  # else nothing else can be read from it
        findings.append(_loss_fell(run))
        if run.metrics and run.counts is not None:
            findings += [*_on_accuracy(run, run.counts), _worst_class(run, run.counts)]
    return findings


def _history(run: TrainedTrial) -> Finding:
    missing = ", ".join(name for name in EPOCH_METRICS if name not in run.history)
    if missing or not run.epochs:
        seen, advice = f"no {missing or 'epoch'}", "history.csv is not whole: train again."
        return Finding("training", "history", "fail", seen, advice)
    if run.outcome == "diverged":
        seen = f"diverged in epoch {run.epochs}: the loss is no longer a finite number"
        return Finding("training", "history", "fail", seen)
    seen = f"{run.epochs} epochs of {run.config.epochs}, the best was {run.best_epoch}"
    return Finding("training", "history", "ok", f"{seen} ({run.stop_reason.replace('_', ' ')})")


def _loss_fell(run: TrainedTrial) -> Finding:
    first, last = run.history["loss"][[0, -1]]
    if run.epochs == 1 and np.isfinite(first):
        advice = "One epoch shows no curve: train more."
        return Finding("training", "loss falls", "warn", f"{first:.4g} in the only epoch", advice)
    seen = f"from {first:.4g} to {last:.4g} in {run.epochs} epochs"
    return _rule("training", "loss falls", seen, holds=bool(last < first))  # NaN is not less


def _on_accuracy(run: TrainedTrial, counts: np.ndarray) -> Iterator[Finding]:
    """Compare the weights that were kept with guessing the largest class always, and with training.

    The training accuracy is counted over all images trained on; chance is in the validation
    images alone, as a binomial count.
    """
    images, validation = int(counts.sum()), run.metrics["best_val_accuracy"]
    guessed = float(counts.sum(axis=1).max()) / images
    seen = f"validation accuracy {validation:.1%}; guessing: {guessed:.1%}"
    holds = validation > guessed + BAR * _standard_error(guessed, images)
    yield _rule("training", "learns", seen, holds=holds)
    train = run.metrics["train_accuracy"]
    noise = 1.96 * _standard_error(validation, images)  # holds 95 % of chance deviations
    gap = train - validation
    seen = (
        f"training accuracy {train:.1%}, validation {validation:.1%}: gap {100 * gap:.1f} points, "
        f"{'more than' if gap > noise else 'within'} its noise of {100 * noise:.1f} "
        f"(95 %, {images} images)"
    )
    holds = gap <= max(noise, SMALLEST_GAP)
    yield _rule("training", "over-fitting", seen, holds=holds, otherwise="warn")


def _standard_error(share: float, images: int) -> float:
    """Return the standard error of a share counted over so many images (binomial)."""
    return sqrt(share * (1 - share) / images)


def _worst_class(run: TrainedTrial, counts: np.ndarray) -> Finding:
    """Compare the class with the lowest recall with all other classes together."""
    names, totals, hits = run.class_names, counts.sum(axis=1), counts.diagonal()
    label = int(np.where(totals > 0, hits / np.maximum(totals, 1), np.inf).argmin())
    images, right = int(totals[label]), int(hits[label])
    tied = [names[i] for i in np.flatnonzero(hits * images == right * totals) if totals[i]]
    tie = f" (as poor: {', '.join(tied[1:])})" if tied[1:] else ""
    seen = f"{names[label]}{tie}: recall {right / images:.1%}, {right} of {images}"
    mistakes = np.where(np.arange(len(counts)) == label, 0, counts[label])
    if mistakes.any():
        other, *alike = [names[i] for i in np.flatnonzero(mistakes == mistakes.max())]
        seen += f"; {mistakes.max()} taken for {other}"
        seen += f", as many for {', '.join(alike)}" if alike else ""
    others = float((hits.sum() - right) / max(totals.sum() - images, 1))
    seen += f"; the other classes {others:.1%}"
    wrong: Verdict = "warn" if right else "fail"
    holds = right > 0 and right / images >= others - BAR * _standard_error(others, images)
    return _rule("training", "worst class", seen, holds=holds, otherwise=wrong)


HIGHEST_RATE, LOWEST_RATE, USUAL_RATE = 0.01, 1e-5, 0.001
"""Adam's steps are about as long as its rate, whatever the gradient, and its default is 0.001
(Kingma and Ba, 2015). Weights of these nets are about 0.1, so that longer steps than 0.01 throw
them about; with steps below 1e-5 a weight moves less than 0.1 in 10,000 of them."""

OUT_OF_PROPORTION = 2.0
"""The first epoch's mean loss is about ln(classes); twice the last one, where that never fell
below guessing, it is only where the weights were thrown about."""

USEFUL_L2 = 0.001
"""On digits20 it raised the mean validation accuracy of six seeds of the 25-15 net from 91.7 to
92.1 %, and of five nets of 512 hidden units, on 300 images, from 84.1 to 84.4 %."""

USEFUL_DROPOUT, WIDE = 0.3, 64
"""Dropout is for layers that can spare neurons: 0.2 cost the 25-15 net 0.6 points (six seeds).
Fewer units are no remedy here at all: 64 in place of 512 cost 1.3 points on 300 images."""

AUGMENTATION = {"rotation": 10.0, "shift": 0.1, "zoom": 0.1}
"""Degrees, share of the side, share of the size: they leave a digit what it is.

Measured with three seeds on digits20, the 25-15 net: validation accuracy 92.0 % without, 93.9 %
with all images augmented, 91.7 % with those of the worst class only; recall of the worst class
84.3, 89.0 and 86.3 %. One layer of 512 on 400 images: 89.0 % without, 95.0 % with all.
"""

Remedies = Iterator[tuple[str, Mapping[str, Any]]]
"""Advice with its reason, and the parameters that follow it; none where the data are to change."""


def advise(run: TrainedTrial, findings: Iterable[Finding]) -> list[Finding]:
    """Return advice on the troubles that the rules found, the remedy most worth trying first.

    A net that learned nothing has one trouble only, from which all others follow.

    Args:
        run: The training.
        findings: Findings of `check_training`.
    """
    answers = {
        "over-fitting": ("over-fitting", _on_over_fitting),
        "worst class": ("one class is poor", _on_class),
    }
    advice: list[Finding] = []
    for one in findings:
        if one.verdict == "ok" or one.advice:
            continue
        trouble, remedies = answers.get(one.name, ("loss does not fall", _on_loss))
        for text, changes in remedies(run):
            command = training_command(run, changes) if changes else ""
            advice.append(Finding("advice", trouble, one.verdict, one.seen, text, command))
        if trouble == "loss does not fall":
            break
    return advice


def _on_loss(run: TrainedTrial) -> Remedies:
    """Yield the remedies for the loss, each with the changes of those before it.

    No single one may be enough: bounded gradients do not help with a rate of 10.
    """
    together: dict[str, Any] = {}
    for text, changes in list(_on_steps(run)) or [_on_initial_weights(run.config)]:
        together |= changes
        yield text, dict(together)


def _on_steps(run: TrainedTrial) -> Remedies:
    rate, losses = run.config.learning_rate, run.history["loss"]
    usual = {"learning_rate": USUAL_RATE}
    exploded = run.outcome == "diverged" or losses.max() > OUT_OF_PROPORTION * losses[-1]
    if rate > HIGHEST_RATE or (exploded and rate > USUAL_RATE):
        yield f"learning_rate is {rate:g}; up to {HIGHEST_RATE:g} is usual. Lower it.", usual
    elif rate < LOWEST_RATE:
        yield f"learning_rate is {rate:g}: its steps hardly move a weight. Raise it.", usual
    if exploded and run.config.clipnorm is None:
        finite = losses[np.isfinite(losses)]
        text = f"The loss was {finite.max():.3g} at worst" if len(finite) else "No loss was finite"
        text += ": bound the gradients with clipnorm (Pascanu et al., 2013)."
        yield text, {"clipnorm": 1.0}


def _on_initial_weights(config: TrialConfig) -> tuple[str, Mapping[str, Any]]:
    nature = ALL[config.activation].nature
    if nature == "saturates":
        text = f"{config.activation} saturates: its slope, and the gradient with it, goes to 0."
        return text, {"activation": "relu", "kernel_initializer": "he_normal"}
    if nature == "like_relu" and not config.kernel_initializer.startswith("he_"):
        text = (
            f"kernel_initializer is {config.kernel_initializer}; He's keeps the size of signals "
            f"through layers of {config.activation} (He et al., 2015)."
        )
        return text, {"kernel_initializer": "he_normal"}
    return "Try another learning rate.", {"learning_rate": config.learning_rate / 10}


def _on_over_fitting(run: TrainedTrial) -> Remedies:
    config = run.config
    if not config.is_augmented:
        text = "Show each image a little turned, shifted and zoomed, anew in every epoch."
        yield text, AUGMENTATION
    if config.hidden_layers and config.l2 < USEFUL_L2 / 10:
        yield f"l2 is {config.l2:g}: have large weights cost something.", {"l2": USEFUL_L2}
    if config.hidden_layers and min(config.units) >= WIDE and not any(config.dropout_rates):
        text = (
            f"dropout is 0: have the hidden layers lose {USEFUL_DROPOUT:.0%} of their outputs in "
            "training (Srivastava et al., 2014)."
        )
        yield text, {"dropout": USEFUL_DROPOUT}
    if config.early_stopping_patience_epochs is None:
        text = f"Stop early: the best epoch was {run.best_epoch}, and its weights are kept."
        yield text, {"early_stopping_patience_epochs": 5}
    text = (
        "More images help most. Judge by the validation accuracy: a smaller gap alone is no gain."
    )
    yield text, {}


def _on_class(run: TrainedTrial) -> Remedies:
    if not run.config.is_augmented:
        yield "Show all images a little turned, shifted and zoomed.", AUGMENTATION
        text = "Or only those of the worst class; the table it prints shows each class."
        yield text, {**AUGMENTATION, "augment_worst_classes": 1}
    text = "Collect more images of it, and look at its mistakes (digitexp evaluate): wrong labels?"
    yield text, {}


def training_command(run: TrainedTrial, changes: Mapping[str, Any]) -> str:
    """Return the `digitexp train` that repeats a run with some parameters changed.

    Only parameters that differ from the defaults are written. A changed learning rate below
    `min_learning_rate` lowers that, too, and `dropout` replaces the rates of single layers.

    Raises:
        ConfigError: The changes make no valid configuration.
    """
    params = {**run.config.to_params(), **changes}
    if "dropout" in changes:
        params = {k: v for k, v in params.items() if not k.startswith("dropout_")}
    params["min_learning_rate"] = min(params["min_learning_rate"], params["learning_rate"])
    words = ["digitexp", "train", "--output", f"{run.folder}-2"]
    if run.source != "digits20":
        words += ["--data", run.source]
    if run.about["split_seed"]:
        words += ["--split-seed", str(run.about["split_seed"])]
    config = TrialConfig.from_params(params)
    changed = {one.name for one in fields(config) if getattr(config, one.name) != one.default}
    for name, value in config.to_params().items():
        series = name.rstrip("0123456789").rstrip("_")  # one that has changed is written whole
        if name in changed or series in changed or (name, value) == ("hidden_layers", 0):
            words += ["--set", f"{name}={'none' if value is None else value}"]
    return shlex.join(words)
