"""`digitexp evaluate`: what a trained network gets wrong, on the images that validated it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from zipfile import BadZipFile

import typer

from digitexp.cli.train_output import check_output_folder

if TYPE_CHECKING:
    import numpy as np

    from digitexp.data import Source, Split
    from digitexp.diagnostics import Answers

CONFIG, WEIGHTS = "config.json", "weights.npz"
EVALUATION: Final = "evaluation"
IMAGES_AT_ONCE: Final = 2048
"""Forward passes of so many images need little memory, also with convolutions."""


def evaluate(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="What `digitexp train --output DIR` wrote.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Default: evaluation/ in DIR."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Its data, if they are not a known source by name."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into a folder that is not empty.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show what a trained network gets wrong; the test part is not looked at.

    Classification report, accuracy by class, the pairs of classes confused most, and pictures:
    a random sample as `actual | predicted`, and the most confident errors.
    """
    target = output or folder / EVALUATION
    trained = read_training(folder)
    check_output_folder(target, overwrite=overwrite or output is None)
    source, split = load_data(trained["data"], data)
    from digitexp.diagnostics import evaluation_files

    files = evaluation_files(answer(trained["parameters"], folder / WEIGHTS, source, split))
    target.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (target / name).write_bytes(content)
    if as_json:
        print(files["diagnostics.json"].decode(), end="")
    else:
        print(files["summary.txt"].decode())
        print(f"Written to {target}: {', '.join(files)}")


def read_training(folder: Path) -> dict[str, Any]:
    """Return what `config.json` says: `parameters` and `data`.

    Raises:
        ValueError: The folder holds no training, or one without weights.
    """
    if not (folder / CONFIG).is_file():
        raise ValueError(
            f"{folder} holds no {CONFIG}; name a folder that `digitexp train --output` filled."
        )
    if not (folder / WEIGHTS).is_file():
        raise ValueError(
            f"{folder} holds no {WEIGHTS}: that training diverged; evaluate another one."
        )
    try:
        trained = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        about = trained["data"]
        return {
            "parameters": dict(trained["parameters"]),
            "data": {key: about[key] for key in ("name", "digest", "split_seed", "split_digest")},
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / CONFIG} is not as `digitexp train` writes it "
            f"({type(error).__name__}: {error}); train again."
        ) from None


def load_data(about: dict[str, Any], named: str | None) -> tuple[Source, Split]:
    """Load and split the data of a training.

    Args:
        about: `name`, `digest`, `split_seed` and `split_digest`, as the training noted them.
        named: Where they are, if the noted name alone does not say it.

    Raises:
        ValueError: They cannot be loaded, or are not what the network was trained on.
    """
    from digitexp.data import DataError, load_source, split_source

    try:
        source = load_source(named or about["name"])
        split = split_source(source, about["split_seed"])
    except DataError as error:
        if named:
            raise
        message = f"{error} Name the data of this training by --data."
        raise DataError(message) from None
    now, then = (source.digest, split.digest), (about["digest"], about["split_digest"])
    if now != then:
        raise ValueError(
            f"data: found {source.name} ({_short(now)}); the network was trained on "
            f"{about['name']} ({_short(then)}). Name those data by --data; nothing was written."
        )
    return source, split


def _short(digests: tuple[str, str]) -> str:
    return "digest {:.12}, split {:.12}".format(*digests)


def answer(parameters: dict[str, Any], weights: Path, source: Source, split: Split) -> Answers:
    """Rebuild a trained network and ask it about its validation part, and its training part.

    Raises:
        ValueError: The weights do not belong to the parameters.
    """
    from digitexp.config import TrialConfig
    from digitexp.diagnostics import Answers
    from digitexp.evaluation import accuracy
    from digitexp.models import build_model, set_weights
    from digitexp.training.tensorflow_setup import start_tensorflow

    start_tensorflow()
    flat = source.images.reshape(len(source.images), -1)
    config = TrialConfig.from_params(parameters)
    model = build_model(config, flat.shape[1], len(source.class_names))
    set_weights(model, _read_weights(weights))
    train, validation = split.train_indices, split.validation_indices
    return Answers(
        images=source.images[validation],
        labels=source.labels[validation],
        logits=_logits(model, flat[validation]),
        class_names=source.class_names,
        train_accuracy=accuracy(_logits(model, flat[train]), source.labels[train]),
        image_numbers=validation,
    )


def _read_weights(file: Path) -> dict[str, np.ndarray]:
    import numpy as np

    try:
        # opened here: of a damaged file np.load would leave it open
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return dict(stored)
    except (BadZipFile, EOFError, ValueError) as error:
        raise ValueError(f"{file} is damaged ({error}); train again.") from None


def _logits(model: Any, images: np.ndarray) -> np.ndarray:
    """Return (n, classes) logits of images (n, pixels), a few at once."""
    import numpy as np

    parts = (images[i : i + IMAGES_AT_ONCE] for i in range(0, len(images), IMAGES_AT_ONCE))
    return np.concatenate([np.asarray(model(part, training=False)) for part in parts])
