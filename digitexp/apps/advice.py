"""Advice on the common troubles of a training, drawn from the figures of the run at hand.

Each trouble has remedies, the one most worth trying first. A remedy is given only where the run
shows a need for it. It comes with a command that repeats the training with one change.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.apps.checklist import Finding, mistakes_of, share, worst_class
from digitexp.config import TrialConfig
from digitexp.parameters import PARAMETERS, RELU_LIKE, SATURATING
from digitexp.trained import TrainedTrial

OPTIONS = ("learning_rate", "batch_size", "dropout", "l2", "epochs", "seed")
"""Parameters with an option of `digitexp train`; the others go through --set."""

COUNTS = {"hidden_layers": "units_", "conv_blocks": "filters_"}
"""Parameter that counts the values of a series -> beginning of their names."""


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
    params = TrialConfig.from_params(params).to_params()
    words = ["digitexp", "train", "--output", str(_next_folder(run.folder))]
    if run.source != "digits20":
        words += ["--data", run.source]
    if run.about["split_seed"]:
        words += ["--split-seed", str(run.about["split_seed"])]
    return shlex.join([*words, *_options(params)])


def _options(params: Mapping[str, Any]) -> list[str]:
    usual = TrialConfig().to_params() | {
        name: value
        for name, value in TrialConfig(architecture="cnn").to_params().items()
        if name != "architecture"
    }
    words = _series(params, usual)
    for name, value in params.items():
        in_series = name in COUNTS or name.startswith(tuple(COUNTS.values()))
        if in_series or value == usual.get(name, ...):
            continue
        text = "none" if value is None else str(value)
        if name in OPTIONS:
            words += [f"--{name.replace('_', '-')}", text]
        else:
            words += ["--set", f"{name}={text}"]
    return words


def _series(params: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    """Return layers and blocks, each whole or not at all."""
    words = []
    for count, prefix in COUNTS.items():
        mine, others = (
            {name: value for name, value in one.items() if name.startswith(prefix)}
            for one in (params, usual)
        )
        if count not in params or mine == others:
            continue
        if prefix == "units_" and mine:
            words += ["--units", ",".join(map(str, mine.values()))]
            continue
        given = {count: params[count], **mine}
        words += [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    return words


def _next_folder(folder: Path) -> Path:
    """Return a name that is free: `first-2` for `first`."""
    number = 2
    while (new := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    return new


HIGHEST_RATE = 0.01
"""Adam's steps are about as long as its rate, whatever the gradient (Kingma and Ba, 2015); weights
of these nets are about 0.1, so that longer steps throw them about."""

LOWEST_RATE = 1e-5
"""Below, a weight moves less than 0.1 in 10,000 steps."""

USUAL_RATE = 0.001
"""Adam's default (Kingma and Ba, 2015)."""

MUCH_DROPOUT = 0.6
MOST_EPOCHS = int(PARAMETERS["epochs"].high or 0)
DEEP = 4
"""Hidden layers from which the size of the first weights decides whether a signal gets through."""

OUT_OF_PROPORTION = 2.0
"""The first epoch's mean loss is about ln(classes); twice the last one, where that never fell
below guessing, it is only where the weights were thrown about."""

HEAVY_PENALTY = 0.5
"""Share of the loss that is L2 penalty, above which the net learns small weights first."""

USEFUL_L2 = 0.001
"""On digits20 it raised the mean validation accuracy of six seeds of the 25-15 net from 91.7 to
92.1 %, and of five nets of 512 hidden units, on 300 images, from 84.1 to 84.4 %."""

USEFUL_DROPOUT, WIDE = 0.3, 64
"""Dropout is for layers that can spare neurons: 0.2 cost the 25-15 net 0.6 points (six seeds).
Fewer units are no remedy here at all: 64 in place of 512 cost 1.3 points on 300 images."""

RISEN = 1.05
"""val_loss at the end, as a multiple of its best, above which it did more than waver."""

FEW = 0.5
"""A class with fewer training images than this share of the mean has too little weight."""

AUGMENTATION = {"rotation": 10.0, "shift": 0.1, "zoom": 0.1}
"""Degrees, share of the side, share of the size: they leave a digit what it is.

Measured with three seeds on digits20, the 25-15 net: validation accuracy 92.0 % without, 93.9 %
with all images augmented, 91.7 % with those of the worst class only; recall of the worst class
84.3, 89.0 and 86.3 %. One layer of 512 on 400 images: 89.0 % without, 95.0 % with all.
"""

Changes = Mapping[str, Any]
Remedy = tuple[str, Changes | None]
"""Advice with its reason, and the parameters that follow it; None where no parameter does."""


def advise(
    run: TrainedTrial, findings: Sequence[Finding], train_sizes: Sequence[int]
) -> list[Finding]:
    """Return advice on the troubles that the rules found.

    A net that learned nothing has one trouble only, from which all others follow.

    Args:
        run: The training.
        findings: Findings of `check_training`.
        train_sizes: Images of each class trained on; empty where the data is not at hand.
    """
    found = {finding.name: finding for finding in findings}
    for name in ("how it ended", "loss falls", "learns"):
        if name in found and found[name].verdict == "fail":
            return _given("loss does not fall", found[name], _one_after_another(run), run)
    advice: list[Finding] = []
    for name, trouble, remedies in (
        ("best epoch", "best epoch at an end", _on_epochs(run)),
        ("over-fitting", "over-fitting", _on_over_fitting(run, sum(train_sizes))),
        ("worst class", "one class is poor", _on_class(run, train_sizes)),
    ):
        if name in found and found[name].verdict != "ok":
            advice += _given(trouble, found[name], remedies, run)
    return advice


def _given(
    trouble: str, finding: Finding, remedies: Iterable[Remedy], run: TrainedTrial
) -> list[Finding]:
    return [
        Finding(
            "advice",
            trouble,
            finding.verdict,
            finding.seen,
            text,
            "" if changes is None else training_command(run, changes),
        )
        for text, changes in remedies
    ]


def _one_after_another(run: TrainedTrial) -> Iterator[Remedy]:
    """Yield the remedies for the loss, each with the changes of those before it.

    No single one may be enough: bounded gradients do not help with a rate of 10.
    """
    remedies = [*_on_rate(run), *_on_loss(run)] or list(_on_initial_weights(run))
    if remedies and run.config.hidden_layers >= DEEP:
        remedies += [one for one in _on_initial_weights(run) if one not in remedies]
    together: Changes = {}
    for text, changes in remedies:
        together = {**together, **(changes or {})}
        yield text, together


def _on_rate(run: TrainedTrial) -> Iterator[Remedy]:
    rate = run.config.learning_rate
    if rate > HIGHEST_RATE or (_exploded(run) and rate > USUAL_RATE):
        text = f"learning_rate is {rate:g}; up to {HIGHEST_RATE:g} is usual. Lower it."
        yield text, {"learning_rate": USUAL_RATE}
    elif rate < LOWEST_RATE:
        text = f"learning_rate is {rate:g}: its steps hardly move a weight. Raise it."
        yield text, {"learning_rate": USUAL_RATE}


def _on_loss(run: TrainedTrial) -> Iterator[Remedy]:
    config, penalty = run.config, 0.0
    if run.metrics:
        penalty = 1 - run.metrics["best_val_cross_entropy"] / run.metrics["best_val_loss"]
    if config.l2 and penalty > HEAVY_PENALTY:
        text = f"The L2 penalty is {share(penalty, 0)} of the loss. Lower l2, now {config.l2:g}."
        yield text, {"l2": config.l2 / 100}
    if max(config.dropout_rates, default=0) > MUCH_DROPOUT:
        text = f"dropout is {max(config.dropout_rates):g}: little passes through. Lower it."
        yield text, {"dropout": USEFUL_DROPOUT}
    if _exploded(run) and config.clipnorm is None:
        losses = run.history["loss"][np.isfinite(run.history["loss"])]
        text = f"The loss was {losses.max():.3g} at worst" if len(losses) else "No loss was finite"
        text += ": bound the gradients with clipnorm (Pascanu et al., 2013)."
        yield text, {"clipnorm": 1.0}


def _exploded(run: TrainedTrial) -> bool:
    """Return whether the loss was ever out of all proportion, or not a number."""
    losses = run.history["loss"]
    return run.outcome == "diverged" or bool(losses.max() > OUT_OF_PROPORTION * losses[-1])


def _on_initial_weights(run: TrainedTrial) -> Iterator[Remedy]:
    config = run.config
    if config.activation in RELU_LIKE and not config.kernel_initializer.startswith("he_"):
        yield (
            f"kernel_initializer is {config.kernel_initializer}; He's keeps the size of signals "
            f"through layers of {config.activation} (He et al., 2015).",
            {"kernel_initializer": "he_normal"},
        )
    elif config.activation in SATURATING:
        text = f"{config.activation} saturates: its slope, and the gradient with it, goes to 0."
        yield text, {"activation": "relu", "kernel_initializer": "he_normal"}
    else:
        yield "Try another learning rate.", {"learning_rate": config.learning_rate / 10}


def _on_epochs(run: TrainedTrial) -> Iterator[Remedy]:
    if int(run.metrics["best_epoch"]) == run.epochs:
        text = "val_loss was still falling in the last epoch: allow more epochs."
        yield text, {"epochs": min(3 * run.config.epochs, MOST_EPOCHS)}
    elif run.config.learning_rate > LOWEST_RATE:
        text = "No epoch after the first was better: take smaller steps."
        yield text, {"learning_rate": run.config.learning_rate / 10}


def _on_over_fitting(run: TrainedTrial, train_images: int) -> Iterator[Remedy]:
    config = run.config
    if not config.is_augmented:
        text = "Show each image a little turned, shifted and zoomed, anew in every epoch."
        yield text, AUGMENTATION
    if config.hidden_layers and config.l2 < USEFUL_L2 / 10:
        yield f"l2 is {config.l2:g}: have large weights cost something.", {"l2": USEFUL_L2}
    if config.hidden_layers and min(config.units) >= WIDE and not any(config.dropout_rates):
        text = (
            f"dropout is 0: have the hidden layers lose {share(USEFUL_DROPOUT, 0)} of their "
            "outputs in training (Srivastava et al., 2014)."
        )
        yield text, {"dropout": USEFUL_DROPOUT}
    risen = run.history["val_loss"][-1] / run.metrics["best_val_loss"]
    if config.early_stopping_patience_epochs is None and risen > RISEN:
        best = int(run.metrics["best_epoch"])
        text = (
            f"val_loss rose to {risen:.2f} times its best, of epoch {best}; early stopping saves "
            "the epochs after it (the best weights are kept in any case)."
        )
        yield text, {"early_stopping_patience_epochs": 5}
    if train_images:
        text = (
            f"More than the {train_images} images trained on help most. Judge by the validation "
            "accuracy: a smaller gap alone is no gain."
        )
        yield text, None


def _on_class(run: TrainedTrial, train_sizes: Sequence[int]) -> Iterator[Remedy]:
    assert run.counts is not None
    label, _ = worst_class(run.counts)
    name = run.class_names[label]
    if train_sizes and train_sizes[label] < FEW * np.mean(train_sizes):
        text = (
            f"{train_sizes[label]} images of {name} were trained on, "
            f"{np.mean(train_sizes):.0f} of a class on average: collect more of it."
        )
        yield text, None
    if not run.config.is_augmented:
        yield "Show all images a little turned, shifted and zoomed.", AUGMENTATION
        text = f"Or only those of the worst class, {name}; the table it prints shows each class."
        yield text, {**AUGMENTATION, "augment_worst_classes": 1}
    mistakes = mistakes_of(run.counts, label)
    if mistakes.any():
        other = run.class_names[int(mistakes.argmax())]
        text = (
            f"Look at the {mistakes.max()} of {mistakes.sum()} mistakes where {name} was taken "
            f"for {other}: wrong labels, or images that nobody could tell apart?"
        )
        yield text, None
