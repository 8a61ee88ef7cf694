"""`digitexp train` trains one configuration into a folder; `parameters` lists what can be set."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from digitexp.cli.options import Font, Language, Overwrite, SplitSeed
from digitexp.config import DEFAULTS, ConfigError, TrialConfig
from digitexp.plots.language import SEPARATOR, say_parts
from digitexp.tensorflow_setup import check_tensorflow
from digitexp.training.engines import engine_of, plan_training
from digitexp.training.outcome import EPOCH_METRICS, TrainingOutcome
from digitexp.weights_files import check_initial_weights

if TYPE_CHECKING:
    from digitexp.training.outcome import TrainingData

_LEFTOVERS = (
    "weights.npz", "confusion.npz", "confusion_matrix.png", "confusion_matrix.json",
    "calibration.json", "reliability.png",
)  # fmt: skip
"""Files of an earlier training or `digitexp calibrate` that this training may not write anew."""


def check_output_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that cannot be filled, before anything slow is done; creates nothing.

    Raises:
        ValueError: `folder` is a file, or it is not empty and `overwrite` is not set.
        PermissionError: Nothing may be written there.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--output {folder} is a file; give the name of a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise ValueError(f"--output {folder} is not empty; choose another or add --overwrite.")
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise ValueError(f"--output {folder}: {nearest} is a file, not a folder.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(f"--output {folder}: no permission to write into {nearest}.")


def check_engine(config: TrialConfig) -> None:
    """Raise MissingTensorFlowError if Keras is to train a configuration and is not installed."""
    if engine_of(config)[0] == "keras":
        check_tensorflow()


def write_outcome(
    folder: Path,
    config: TrialConfig,
    outcome: TrainingOutcome,
    class_names: Sequence[str],
    about_data: dict[str, Any],
) -> None:
    """Write everything a training left; files of an earlier training are replaced.

    The files are config.json (parameters and data), metrics.json (with outcome and timings),
    history.csv, model_summary.txt, loss_curves.png and, unless training diverged in its first
    epoch, weights.npz, confusion.npz (of each epoch), confusion_matrix.png and .json (of the best).
    """
    from digitexp.experiments.pictures import draw_trial

    files = draw_trial(
        outcome.history,
        outcome.arrays["confusion"],
        class_names,
        outcome.metrics.get("best_epoch"),
        say_parts(f"{config.describe()}{SEPARATOR}{outcome.stop_reason.replace('_', ' ')}"),
    )
    files["config.json"] = _json({"parameters": config.to_params(), "data": about_data})
    files["metrics.json"] = _json(
        {
            "outcome": outcome.outcome,
            "stop_reason": outcome.stop_reason,
            "engine": outcome.engine,
            "metrics": dict(outcome.metrics),
            "timings": dict(outcome.timings),
            **({"info": dict(outcome.info)} if outcome.info else {}),
        }
    )
    files["history.csv"] = _history_csv(outcome).encode()
    files["model_summary.txt"] = outcome.summary.encode()
    if outcome.weights is not None:
        files["weights.npz"] = _npz(np.savez, outcome.weights)
        files["confusion.npz"] = _npz(
            np.savez_compressed, {"confusion": outcome.arrays["confusion"]}
        )
    for leftover in _LEFTOVERS:
        (folder / leftover).unlink(missing_ok=True)
    write_files(folder, files)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by name into a folder, which is created if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _npz(save: Callable[..., None], arrays: Mapping[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    save(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _history_csv(outcome: TrainingOutcome) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["epoch", *outcome.history])
    columns = zip(*outcome.history.values(), strict=True)
    writer.writerows([epoch, *values] for epoch, values in enumerate(columns, 1))
    return stream.getvalue()


def print_outcome(folder: Path, outcome: TrainingOutcome, class_names: Sequence[str]) -> None:
    """Print accuracy, confusion matrix and where the files are."""
    metrics = outcome.metrics
    if outcome.outcome == "diverged":
        epochs = len(outcome.history["loss"])
        print(f"Diverged in epoch {epochs}: the loss is no longer a finite number.")
    if metrics:
        best = int(metrics["best_epoch"])
        _print_confusion(outcome.arrays["confusion"][best - 1], class_names)
        print(
            f"Best epoch {best} of {int(metrics['epochs'])} "
            f"({outcome.stop_reason.replace('_', ' ')}, {metrics['train_seconds']:.1f} s): "
            f"validation accuracy {metrics['best_val_accuracy']:.2%}, "
            f"training accuracy {metrics['train_accuracy']:.2%}."
        )
    if targeted := outcome.info.get("targeted"):
        _print_targeted(targeted, class_names)
    print(f"Written to {folder}")


def _print_targeted(told: Mapping[str, Any], class_names: Sequence[str]) -> None:
    """Print each class's recall without augmentation, and with that of the worst classes."""
    if told["right_after"] is None:
        return
    print(f"\nTargeted augmentation of {', '.join(told['classes'])}; recall on validation images:")
    columns = zip(
        class_names, told["images"], told["right_before"], told["right_after"], strict=True
    )
    for name, images, before, after in columns:
        if images:
            mark = "  augmented" if name in told["classes"] else ""
            change = f"{(after - before) / images:+7.1%}"
            print(f"{name:>12}  {before / images:6.1%} -> {after / images:6.1%} {change}{mark}")
    print()


def _print_confusion(counts: np.ndarray, class_names: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    print("\nTrue class in rows, predicted class in columns:")
    table = Table(box=None, padding=(0, 1))
    table.add_column("", style="bold")
    for name in class_names:
        table.add_column(Text(name), justify="right", overflow="fold")
    for true, row in enumerate(counts):
        styles = ["yellow" if count else "dim" for count in row]
        styles[true] = "bold blue"
        cells = (Text(str(count or "·"), style=one) for count, one in zip(row, styles, strict=True))
        table.add_row(Text(class_names[true]), *cells)
    Console(highlight=False).print(table)
    print()


def train(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to fill.")],
    learning_rate: Annotated[float | None, typer.Option(help="Adam's rate at the start.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    units: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Neurons of each hidden layer: 25,15")
    ] = None,
    dropout: Annotated[
        str | None, typer.Option(metavar="X[,X,...]", help="For all hidden layers, or for each.")
    ] = None,
    l2: Annotated[float | None, typer.Option(help="Penalty on the hidden kernels.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Most passes over the data.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Decides weights, shuffling and dropout.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other parameter; none = off."),
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="SOURCE", help="As in `digitexp data`: a name or a path.")
    ] = "digits20",
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    language: Language = "en",
    font: Font = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line per epoch.")] = False,
) -> None:
    """Train one configuration; write curves, confusion matrix, weights and history to a folder."""
    given = {
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "l2": l2,
        "epochs": epochs,
        "seed": seed,
        **_series("units", units),
        **_series("dropout", dropout),
    }
    params = {name: value for name, value in given.items() if value is not None}
    config = TrialConfig.from_params(merged_settings(params, settings or []))
    check_engine(config)
    check_initial_weights(config)
    check_output_folder(output, overwrite=overwrite)
    from digitexp.plots.language import in_language

    drawing = in_language(language, font)
    arrays, about = _load(data, split_seed)
    from digitexp.training.train import train as train_config

    if not quiet:
        plan = plan_training(config, len(arrays.train_labels), arrays.image_shape, arrays.n_classes)
        print(f"Engine {plan.engine}: {plan.reason}.", flush=True)
    watch = () if quiet else (_epoch_printer(config.epochs),)
    outcome = train_config(config, arrays, *watch)
    with drawing:
        write_outcome(output, config, outcome, arrays.class_names, about)
    print_outcome(output, outcome, arrays.class_names)
    if outcome.outcome == "diverged":
        raise typer.Exit(1)


def _series(name: str, text: str | None) -> dict[str, Any]:
    """Read `25,15` as units_1 and units_2; a single dropout is for all layers."""
    if text is None:
        return {}
    values = [parse_value(part.strip()) for part in text.split(",")]
    if name == "dropout" and len(values) == 1:
        return {"dropout": values[0]}
    return {f"{name}_{i}": value for i, value in enumerate(values, 1)}


def merged_settings(params: Mapping[str, Any], settings: list[str]) -> dict[str, Any]:
    """Return parameters with those of `--set NAME=VALUE`; ConfigError if one is given twice."""
    merged = dict(params)
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ConfigError(f"--set {setting}: write NAME=VALUE, such as --set clipnorm=1.0.")
        if name in merged:
            raise ConfigError(f"{name} is given twice; leave out one of them.")
        merged[name] = parse_value(text.strip())
    return merged


def parse_value(text: str) -> bool | int | float | str | None:
    """Read a value from the command line: `32`, `1e-3`, `true`, `none` or a word."""
    if text.lower() in {"none", "null", "off"}:
        return None
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _load(source: str, split_seed: int) -> tuple[TrainingData, dict[str, Any]]:
    from digitexp.data import load_source, split_source
    from digitexp.training.outcome import TrainingData

    loaded = load_source(source)
    split = split_source(loaded, split_seed)
    about = {
        "name": loaded.name,
        "source": source,
        "digest": loaded.digest,
        "split_seed": split_seed,
        "split_digest": split.digest,
        "image_shape": list(loaded.images.shape[1:]),
        "class_names": list(loaded.class_names),
        "policies": list(loaded.policies),
    }
    return TrainingData.of_split(loaded, split), about


def _epoch_printer(epochs: int) -> Callable[[int, Mapping[str, float]], None]:
    width = len(str(epochs))

    def show(epoch: int, metrics: Mapping[str, float]) -> None:
        *measured, rate = EPOCH_METRICS
        figures = "  ".join(f"{name} {metrics[name]:.4f}" for name in measured)
        figures += f"  {rate} {metrics[rate]:.3g}"
        print(f"epoch {epoch + 1:{width}}/{epochs}  {figures}", flush=True)

    return show


def parameters(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List every parameter with its meaning, its allowed values and its default.

    `digitexp train --set NAME=VALUE` sets one, a space searches or fixes any of them.
    """
    from digitexp.parameters import PARAMETERS

    if as_json:
        told = {
            name: {"kind": one.kind, "meaning": one.meaning, "default": DEFAULTS.get(name)}
            | asdict(one)
            for name, one in PARAMETERS.items()
        }
        print(json.dumps(told, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("parameter", no_wrap=True)
    table.add_column("default", no_wrap=True)
    table.add_column("meaning, and what is allowed")
    for name, parameter in PARAMETERS.items():
        default = DEFAULTS.get(name)
        shown = "" if "{i}" in name else "none" if default is None else str(default).lower()
        table.add_row(name, shown, f"{parameter.meaning}: {parameter.allowed}")
    Console(highlight=False).print(table)
