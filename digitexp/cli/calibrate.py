"""`digitexp calibrate`: whether what `digitexp train` left says how sure it is, and is right."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from digitexp.calibration import CrossFitted, Interval
    from digitexp.training.outcome import TrainingData

PICTURE, DATA = "reliability.png", "calibration.json"
SAYS = {
    "lower": "lower when calibrated",
    "higher": "higher when calibrated",
    "cannot tell": "not to be told from no change",
}


def calibrate(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="What `digitexp train -o DIR` wrote.")
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="What it was trained on, if a file or a folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print calibration.json.")] = False,
) -> None:
    """Fit a temperature on the validation part; show calibration before and after.

    Each validation image is judged at the temperature that four fifths of the others give. Writes
    reliability.png and calibration.json into the folder. The test part is not looked at.
    """
    written, weights = _read_training(folder)
    logits, labels = _validation_logits(folder, written, weights, data)
    from digitexp.calibration import cross_fit
    from digitexp.config import TrialConfig
    from digitexp.plots.reliability import draw_reliability

    found = cross_fit(logits, labels)
    config = TrialConfig.from_params(written["parameters"])
    title = f"{found.images} validation images of {written['data']['name']}  ·  {config.describe()}"
    (folder / PICTURE).write_bytes(draw_reliability(found, title))
    document = json.dumps(found.to_dict(), indent=1) + "\n"
    (folder / DATA).write_text(document, encoding="utf-8")
    if as_json:
        print(document, end="")
    else:
        _print(found, folder)


def _read_training(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return config.json and the weights of a training.

    Raises:
        ValueError: The folder holds no training, or not a whole one.
        PermissionError: Nothing may be written there.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} holds no config.json; give a folder that `digitexp train` made")
    if not (folder / "weights.npz").is_file():
        raise ValueError(f"{folder} holds no weights.npz: that training diverged; train another")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder}: no permission to write {PICTURE} and {DATA} there")
    try:
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        # From memory: numpy leaves a file open that is no whole archive.
        content = io.BytesIO((folder / "weights.npz").read_bytes())
        with np.load(content, allow_pickle=False) as archive:
            weights = {name: archive[name] for name in archive.files}
        known = {"digest", "split_digest", "split_seed", "image_shape", "class_names", "name"}
        if not known <= set(written["data"]) or not isinstance(written["parameters"], dict):
            raise KeyError("data")  # noqa: TRY301
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{folder}: config.json or weights.npz are not those of `digitexp train` ({error}); "
            "train again"
        ) from None
    return written, weights


def _validation_logits(
    folder: Path, written: dict[str, Any], weights: dict[str, NDArray[Any]], source: str | None
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return logits and labels of the validation part it was stopped early on.

    Raises:
        ValueError: The data are others, or the weights do not belong to the configuration.
    """
    from digitexp.experiment import experiment

    about = written["data"]
    named = about["name"] if source is None else source
    prepared = experiment.prepare(named, about["split_seed"])
    if (prepared.digest, prepared.split_digest) != (about["digest"], about["split_digest"]):
        raise ValueError(
            f"{folder} was trained on other data than '{named}' is now; name them by --data"
        )
    params = {name: value for name, value in written["parameters"].items() if name != "seed"}
    model = experiment.load_model(params, weights, about)
    arrays: TrainingData = prepared.payload
    images = arrays.validation_images
    chunks = [images[at : at + 8192] for at in range(0, len(images), 8192)]
    logits = [np.asarray(model(chunk, training=False), np.float32) for chunk in chunks]
    return np.concatenate(logits), arrays.validation_labels


def _print(found: CrossFitted, folder: Path) -> None:
    lowest, highest = found.temperatures[0], found.temperatures[-1]
    print(
        f"Temperature {found.temperature:.3f}, fitted on {found.images} validation images "
        f"({found.accuracy:.2%} right); below, each is judged at that of the other folds "
        f"({lowest:.3f} to {highest:.3f})."
    )
    if found.accuracy == 1:
        print("Every image is right: that says nothing about how often to expect a mistake.")
    print()
    _print_row("", "T = 1", "calibrated", "change")
    for name, unit, scale, digits in (("ece", "%", 100, 2), ("nll", "nats", 1, 3)):
        one = found.measures[name]
        cells = (_cell(i, scale, digits) for i in (one.before, one.after, one.change))
        _print_row(f"{name.upper()}, {unit}", *cells)
    _print_row("ECE, bins of equal mass", *(f"{100 * value:.2f}" for value in found.equal_mass))
    _print_row("ECE of a perfect network", *(f"{100 * v:.2f}" for v in found.if_calibrated))
    said = (f"{name.upper()}: {SAYS[one.word]}" for name, one in found.measures.items())
    print(f"\n{'; '.join(said)} (95 % intervals, for as many other images).")
    print(f"Written to {folder}: {PICTURE}, {DATA}")


def _print_row(name: str, *cells: str) -> None:
    print((f"{name:26}" + "".join(f"{cell:25}" for cell in cells)).rstrip())


def _cell(interval: Interval, scale: float, digits: int) -> str:
    value, low, high = (f"{scale * v:.{digits}f}" for v in (interval.value, interval.low,
                                                            interval.high))  # fmt: skip
    return f"{value} ({low} to {high})"
