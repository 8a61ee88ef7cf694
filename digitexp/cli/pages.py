"""`digitexp pages`, `softmax`, `activations`: try trained networks and their building blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitexp.cli.options import Data, Font, Home, Language, Storage, shown_trials
from digitexp.cli.train import check_output_folder


def pages(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR | SWEEP [TRIAL]",
            help="Folder of `digitexp train`; or a sweep and a trial of it (default: champion). Up "
            "to three more answer beside it.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Default: pages/ in DIR or SWEEP-TRIAL."
        ),
    ] = None,
    data: Data = None,
    home: Home = None,
    storage: Storage = None,
) -> None:
    """Write pages to play with: softmax, training, a pad to draw on, decision regions.

    Each is one HTML file that needs nothing else. The training page also trains networks of its
    own. The run of a champion in MLflow has the same pages.
    """
    from digitexp.pages import interactive_pages

    trials = shown_trials(words, home, storage, data)
    target = output or trials[0].folder / "pages"
    check_output_folder(target, overwrite=True)
    files = interactive_pages(*trials)
    target.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (target / name).write_bytes(content)
    print(f"Written to {target}: {', '.join(files)}")


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
