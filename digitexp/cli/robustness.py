"""`digitexp robustness`: draws the accuracy of networks on attacked images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from digitexp.cli.options import Data, Font, Home, Language, Storage, Words, find_trials


def robustness(
    words: Words,
    data: Data = None,
    home: Home = None,
    storage: Storage = None,
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

    drawing = in_language(language, font)
    trials = find_trials(words, home, storage)
    if len({(trial.about["digest"], trial.about["split_digest"]) for trial in trials}) > 1:
        raise ValueError("these networks were judged on different images; name those of one split.")
    shown = trials[0].with_images(data)
    models = {trial.name: trial.load_model() for trial in trials}
    from digitexp.evaluation.robustness import EPSILONS, attacked_accuracies
    from digitexp.plots.figures import draw_robustness

    images, labels = shown.images.reshape(len(shown.images), -1), shown.labels
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
