"""`digitexp softmax` and `digitexp activations`: the building blocks, tried by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitexp.cli.options import Font, Language


def softmax(
    logits: Annotated[
        list[float], typer.Argument(metavar="LOGIT...", help="After `--` if one is negative.")
    ],
    temperature: Annotated[
        list[float] | None,
        typer.Option("--temperature", "-t", help="Divides the logits; may be given again."),
    ] = None,
) -> None:
    """Print the probabilities of logits, at one or several temperatures."""
    import numpy as np

    from digitexp import numpy_functions

    rows = [(one, numpy_functions.softmax(logits, one)) for one in temperature or [1.0]]
    print("logit   " + "".join(f"{logit:9.4g}" for logit in logits) + "  entropy, nats")
    for one, probabilities in rows:
        entropy = float(-(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum())
        shown = "".join(f"{probability:9.4f}" for probability in probabilities)
        print(f"T = {one:<4g}{shown}  {entropy:.3f}")


def activations(
    file: Annotated[Path, typer.Argument(help="The picture, a PNG.")] = Path("activations.png"),
    language: Language = "en",
    font: Font = None,
) -> None:
    """Draw ReLU and sigmoid, and their slopes."""
    from digitexp.plots.figures import draw_activations
    from digitexp.plots.language import in_language

    with in_language(language, font):
        file.write_bytes(draw_activations())
    print(f"wrote {file}")
