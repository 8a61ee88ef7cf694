"""`digitexp robustness`: how accuracy falls when images are attacked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from digitexp.cli.lettering import Font, Language


def robustness(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="What `digitexp train --output DIR` wrote."),
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Their data, if their name alone does not say it."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The picture, a PNG.")
    ] = Path("robustness.png"),
    language: Language = "en",
    font: Font = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Attack the validation images with each network's own gradients (FGSM); draw accuracy.

    The attack is one step against the very network: a stronger one would find more mistakes.
    """
    from digitexp.plots.language import in_language
    from digitexp.trained_run import read_run

    drawing = in_language(language, font)
    runs = {str(folder): read_run(folder) for folder in folders}
    loaded = {name: run.load_data(data) for name, run in runs.items()}
    if len({split.digest for _, split in loaded.values()}) > 1:
        raise ValueError("these networks were judged on different images; name those of one split.")
    models = {name: run.load_model() for name, run in runs.items()}
    from digitexp.evaluation.robustness import EPSILONS, attacked_accuracies
    from digitexp.plots.figures import draw_robustness

    source, split = next(iter(loaded.values()))
    images = source.images[split.validation_indices].reshape(len(split.validation_indices), -1)
    labels = source.labels[split.validation_indices]
    found = {
        name: attacked_accuracies(model, images, labels).tolist() for name, model in models.items()
    }
    with drawing:
        output.write_bytes(draw_robustness(EPSILONS, found))
    if as_json:
        print(json.dumps({"epsilons": EPSILONS, "images": len(labels), "accuracies": found}))
        return
    print(f"Accuracy on {len(labels)} validation images, attacked by so much a pixel (FGSM):")
    width = max(map(len, found))
    print(f"{'':{width}}" + "".join(f"{epsilon:8g}" for epsilon in EPSILONS))
    for name, values in found.items():
        print(f"{name:{width}}" + "".join(f"{value:8.1%}" for value in values))
    print(f"Written to {output}")
