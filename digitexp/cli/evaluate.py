"""`digitexp evaluate`: shows the mistakes of a trained network on its validation images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from digitexp.cli.options import Data, Font, Home, Language, Storage, Words, find_trial
from digitexp.cli.train import check_output_folder

if TYPE_CHECKING:
    from digitexp.evaluation.diagnostics import Answers
    from digitexp.trained import ShownTrial

EVALUATION: Final = "evaluation"


def evaluate(
    words: Words,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Default: evaluation/ in DIR or SWEEP-TRIAL."
        ),
    ] = None,
    data: Data = None,
    home: Home = None,
    storage: Storage = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into a folder that is not empty.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    language: Language = "en",
    font: Font = None,
) -> None:
    """Show what a trained network gets wrong; the test set is not looked at.

    Writes a classification report, accuracy by class, the pairs of classes confused most, and
    pictures: a random sample as `actual | predicted`, and the most confident errors.
    """
    from digitexp.plots.language import in_language

    drawing = in_language(language, font)
    trial = find_trial(words, home, storage)
    target = output or trial.folder / EVALUATION
    check_output_folder(target, overwrite=overwrite or output is None)
    shown = trial.with_images(data)
    from digitexp.plots.evaluation import evaluation_files

    answers = answer(trial.load_model(), shown)
    with drawing:
        files = evaluation_files(answers)
    target.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (target / name).write_bytes(content)
    if as_json:
        print(files["diagnostics.json"].decode(), end="")
    else:
        print(files["summary.txt"].decode())
        print(f"Written to {target}: {', '.join(files)}")


def answer(model: Any, trial: ShownTrial) -> Answers:
    """Return a network's answers to a trial's images, and its accuracy on the training part.

    Args:
        model: (n, pixels) images in [0, 1] -> (n, classes) logits.
        trial: The trial of the network.
    """
    from digitexp.evaluation.diagnostics import Answers
    from digitexp.metrics import accuracy
    from digitexp.trained import logits_of

    return Answers(
        images=trial.images,
        labels=trial.labels,
        logits=logits_of(model, trial.images),
        class_names=trial.class_names,
        part=trial.part,
        train_accuracy=accuracy(logits_of(model, trial.train_images), trial.train_labels),
        image_numbers=trial.image_numbers,
    )
