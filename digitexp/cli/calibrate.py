"""`digitexp calibrate`: fits a temperature and compares calibration before and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from digitexp.cli.options import Data, Font, Home, Language, Storage, Words, find_trial
from digitexp.cli.train import check_output_folder

if TYPE_CHECKING:
    from digitexp.evaluation.calibration import CrossFitted, Interval

PICTURE, DATA = "reliability.png", "calibration.json"
SAYS = {
    "lower": "lower when calibrated",
    "higher": "higher when calibrated",
    "cannot tell": "no clear change",
}


def calibrate(
    words: Words,
    data: Data = None,
    home: Home = None,
    storage: Storage = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print calibration.json.")] = False,
    language: Language = "en",
    font: Font = None,
) -> None:
    """Fit a temperature on the validation part; show calibration before and after.

    Each validation image is judged at the temperature that four fifths of the others give. Writes
    reliability.png and calibration.json into DIR, or SWEEP-TRIAL. The test set is not looked at.
    """
    from digitexp.plots.language import in_language, say
    from digitexp.trained import logits_of

    drawing = in_language(language, font)
    trial = find_trial(words, home, storage)
    folder = trial.folder
    check_output_folder(folder, overwrite=True)
    shown = trial.with_images(data)
    logits = logits_of(trial.load_model(), shown.images)
    from digitexp.evaluation.calibration import cross_fit
    from digitexp.plots.figures import draw_reliability

    found = cross_fit(logits, shown.labels.astype(np.int32))
    with drawing:
        told = "{images} validation images of {name}"
        images = say(told, images=found.images, name=trial.about["name"])
        picture = draw_reliability(found, f"{images}  ·  {trial.config.describe()}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PICTURE).write_bytes(picture)
    document = json.dumps(found.to_dict(), indent=1) + "\n"
    (folder / DATA).write_text(document, encoding="utf-8")
    if as_json:
        print(document, end="")
    else:
        _print(found, folder)


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
