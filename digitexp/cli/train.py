"""`digitexp train`: one configuration into a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitexp.cli.lettering import Font, Language
from digitexp.cli.train_output import check_output_folder, print_outcome, write_outcome
from digitexp.config import ConfigError, TrialConfig
from digitexp.weights_files import check_initial_weights

if TYPE_CHECKING:
    from digitexp.training.outcome import TrainingData


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
    split_seed: Annotated[int, typer.Option(min=0, help="Decides which images validate.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into a folder that is not empty.")
    ] = False,
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
    check_initial_weights(config)
    check_output_folder(output, overwrite=overwrite)
    from digitexp.plots.lettering import choose_lettering

    lettering = choose_lettering(language, font)
    arrays, about = _load(data, split_seed)
    from digitexp.training.engines import plan_training
    from digitexp.training.train import train as train_config

    if not quiet:
        plan = plan_training(config, len(arrays.train_labels), arrays.image_shape, arrays.n_classes)
        print(f"Engine {plan.engine}: {plan.reason}.", flush=True)
    outcome = train_config(config, arrays, _silent if quiet else _epoch_printer(config.epochs))
    write_outcome(output, config, outcome, arrays.class_names, about, lettering)
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
    return TrainingData.from_split(
        loaded.images,
        loaded.labels,
        split.train_indices,
        split.validation_indices,
        loaded.class_names,
    ), about


def _silent(_epoch: int, _metrics: Mapping[str, float]) -> None:
    return None


def _epoch_printer(epochs: int) -> Callable[[int, Mapping[str, float]], None]:
    width = len(str(epochs))

    def show(epoch: int, metrics: Mapping[str, float]) -> None:
        print(
            f"epoch {epoch + 1:{width}}/{epochs}  "
            f"loss {metrics['loss']:.4f}  accuracy {metrics['accuracy']:.4f}  "
            f"val_loss {metrics['val_loss']:.4f}  val_accuracy {metrics['val_accuracy']:.4f}  "
            f"learning_rate {metrics['learning_rate']:.3g}",
            flush=True,
        )

    return show
