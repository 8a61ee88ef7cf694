"""`digitexp data`, `softmax`, `activations`: look at a source, and at the parts of a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitexp.cli.options import Font, Language

if TYPE_CHECKING:
    from digitexp.data import Source, Split


def data(
    source: Annotated[
        str,
        typer.Argument(
            help="digits20, sklearn-digits, mnist, fashion_mnist, or a path: a folder of IDX "
            "files, a folder with X.npy and y.npy, a .npz or a .mat file."
        ),
    ] = "digits20",
    preview: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw 8x8 images chosen at random into this file."),
    ] = None,
    split_seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Decides which images validate.")
    ] = 0,
    language: Language = "en",
    font: Font = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show what a data source holds: sizes, classes, pixels, conversions, splits, digests."""
    if preview is not None:
        check_preview_path(preview)
        from digitexp.plots.language import in_language

        drawing = in_language(language, font)
    from digitexp.data import load_source, split_source

    loaded = load_source(source)
    facts = describe_source(loaded, split_source(loaded, split_seed), split_seed)
    if preview is not None:
        from digitexp.plots.images import draw_preview

        with drawing:
            preview.write_bytes(draw_preview(loaded.images, loaded.labels))
        facts["preview"] = str(preview)
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        print_facts(facts)


def check_preview_path(path: Path) -> None:
    """Raise ValueError unless a PNG can be written there, before anything slow is done."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"--preview: received '{path}'; expected a file name ending in .png.")
    if not path.parent.is_dir():
        raise ValueError(f"--preview: there is no folder '{path.parent}'. Create it first.")
    if path.is_dir():
        raise ValueError(f"--preview: '{path}' is a folder; expected a file name ending in .png.")


def describe_source(source: Source, split: Split, split_seed: int) -> dict[str, Any]:
    """Collect the facts of a source and its split, JSON-compatible."""
    train, validation = split.train_indices, split.validation_indices
    parts = {
        "train": source.labels[train],
        "validation": source.labels[validation],
        "test": source.test.labels if source.test else source.labels[:0],
    }
    return {
        "name": source.name,
        "shape": list(source.images.shape[1:]),
        "pixels": [float(source.images.min()), float(source.images.max())],
        "policies": list(source.policies),
        "digest": source.digest,
        "test_digest": source.test.digest if source.test else None,
        "split": {
            "seed": split_seed,
            **{part: len(labels) for part, labels in parts.items()},
            "digest": split.digest,
        },
        "classes": {
            name: {part: int((labels == number).sum()) for part, labels in parts.items()}
            for number, name in enumerate(source.class_names)
        },
    }


def print_facts(facts: dict[str, Any]) -> None:
    """Print the facts as two tables."""
    from rich.console import Console
    from rich.table import Table

    split, (height, width), (low, high) = facts["split"], facts["shape"], facts["pixels"]
    about = Table.grid(padding=(0, 2))
    about.add_row("source", facts["name"], style="bold")
    about.add_row("images", f"{height}x{width}, float32, pixels from {low:g} to {high:g}")
    for policy in facts["policies"]:
        about.add_row("converted", policy)
    about.add_row("digest", facts["digest"])
    about.add_row("test digest", facts["test_digest"] or "(no test set)")
    about.add_row(f"split, seed {split['seed']}", split["digest"])
    counts = Table()
    counts.add_column("class")
    parts = ("train", "validation", "test")
    for part in parts:
        counts.add_column(part, justify="right")
    for name, row in facts["classes"].items():
        counts.add_row(name, *(str(row[part]) for part in parts))
    counts.add_section()
    counts.add_row("all", *(str(split[part]) for part in parts), style="bold")
    console = Console(highlight=False, markup=False)  # names may hold square brackets
    console.print(about)
    console.print(counts)
    hint = facts.get("preview") or "none (draw one with --preview FILE.png)"
    console.print(f"preview: {hint}", soft_wrap=True)


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
