"""`digitexp evaluate`: what a trained network gets wrong, on the images that validated it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from digitexp.cli.lettering import Font, Language
from digitexp.cli.train import check_output_folder

if TYPE_CHECKING:
    from digitexp.data import Source, Split
    from digitexp.evaluation.diagnostics import Answers

EVALUATION: Final = "evaluation"


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
    language: Language = "en",
    font: Font = None,
) -> None:
    """Show what a trained network gets wrong; the test part is not looked at.

    Classification report, accuracy by class, the pairs of classes confused most, and pictures:
    a random sample as `actual | predicted`, and the most confident errors.
    """
    from digitexp.plots.language import in_language
    from digitexp.trained_run import read_run

    drawing = in_language(language, font)
    target = output or folder / EVALUATION
    run = read_run(folder)
    check_output_folder(target, overwrite=overwrite or output is None)
    source, split = run.load_data(data)
    from digitexp.plots.evaluation import evaluation_files

    answers = answer(run.load_model(), source, split)
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


def answer(model: Any, source: Source, split: Split) -> Answers:
    """Ask a network about its validation part, and how much it gets right of its training part.

    Args:
        model: (n, pixels) images in [0, 1] -> (n, classes) logits.
        source: What it was trained on.
        split: As it was then.
    """
    from digitexp.evaluation.diagnostics import Answers
    from digitexp.metrics import accuracy
    from digitexp.trained_run import logits_of

    train, validation = split.train_indices, split.validation_indices
    return Answers(
        images=source.images[validation],
        labels=source.labels[validation],
        logits=logits_of(model, source.images[validation]),
        class_names=source.class_names,
        train_accuracy=accuracy(logits_of(model, source.images[train]), source.labels[train]),
        image_numbers=validation,
    )
