"""`digitexp check`: the debug checklist, on data or on a trained trial."""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING, Annotated

import typer

from digitexp.cli.options import Home, Storage, find_trial

if TYPE_CHECKING:
    from rich.console import Console

    from digitexp.apps.checklist import Finding
    from digitexp.data import Source, Split
    from digitexp.trained import TrainedTrial

WIDTH = 80


def check(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIR | SWEEP TRIAL]", help="As in `digitexp evaluate`; none: data only."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Data, as in `digitexp data`. Default: digits20, or what it was trained on.",
        ),
    ] = None,
    features: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Pixels an image must have.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Classes there must be.")
    ] = None,
    home: Home = None,
    storage: Storage = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Check data, or a training: data, model, learning curve, with verdicts and advice.

    Exit code 0: nothing failed (warnings may be there); 1: a check failed; 2: nothing to check.
    """
    from digitexp.apps.checklist import check_data, exit_code
    from digitexp.data.loading import DEFAULT, find_source

    if not words:
        found = find_source(data or DEFAULT)
        findings = check_data(found, n_features=features, n_classes=classes)
    else:
        findings = _check_trial(find_trial(words, home, storage), data, features, classes)
    if as_json:
        content = {"exit_code": exit_code(findings), "findings": [f.as_json() for f in findings]}
        print(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        _print(findings)
    raise typer.Exit(exit_code(findings))


def _check_trial(
    run: TrainedTrial, data: str | None, features: int | None, classes: int | None
) -> list[Finding]:
    from digitexp.apps.checklist import advise, check_data, check_model, check_training
    from digitexp.data import DataError
    from digitexp.data.loading import find_source

    try:
        found = find_source(data or run.source)
    except DataError as error:
        if data is not None:
            raise
        findings, source, split = [_no_data(error)], None, None
    else:
        findings = check_data(
            found,
            n_features=features or prod(run.image_shape),
            n_classes=classes or len(run.class_names),
        )
        same, source, split = _same_data(run, data or run.source)
        findings += same
    findings += check_model(run, source, split)
    training = check_training(run)
    return [*findings, *training, *advise(run, training, _train_sizes(source, split))]


def _no_data(error: Exception) -> Finding:
    from digitexp.apps.checklist import Finding

    advice = "Name what it was trained on with --data SOURCE to have data and accuracy checked."
    found = str(error).partition("; expected")[0]  # the advice says what is expected
    return Finding("data", "source", "warn", found, advice)


def _same_data(run: TrainedTrial, name: str) -> tuple[list[Finding], Source | None, Split | None]:
    """Return findings on the data's identity, and data and split if they are the same."""
    from digitexp.apps.checklist import check_same_data
    from digitexp.data import DataError, load_source, split_source

    try:
        source = load_source(name)
        split = split_source(source, run.about["split_seed"])
    except DataError as error:  # findings on the data say why, or this one on the split
        from digitexp.apps.checklist import Finding

        return [Finding("data", "split", "fail", str(error), "Mend the data.")], None, None
    same = check_same_data(source, split, run.about)
    return same, *((None, None) if any(f.verdict == "fail" for f in same) else (source, split))


def _train_sizes(source: Source | None, split: Split | None) -> list[int]:
    import numpy as np

    if source is None or split is None:
        return []
    counts = np.bincount(source.labels[split.train_indices], minlength=len(source.class_names))
    return [int(count) for count in counts]


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=WIDTH, highlight=False, markup=False)
    table = Table(width=WIDTH, padding=(0, 1))
    for column in ("part", "check", "verdict", "seen"):
        table.add_column(column)
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    part = ""
    for one in findings:
        if one.part == "advice":
            continue
        if part and one.part != part:
            table.add_section()
        verdict = Text(one.verdict, style=styles[one.verdict])
        table.add_row("" if one.part == part else one.part, one.name, verdict, Text(one.seen))
        part = one.part
    console.print(table)
    _print_advice(console, findings)
    counts = {v: sum(f.verdict == v and f.part != "advice" for f in findings) for v in styles}
    console.print(f"{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failed")


def _print_advice(console: Console, findings: list[Finding]) -> None:
    """Print the advice: of the rules first, then on each trouble, with its commands."""
    trouble = ""
    for one in findings:
        if not one.advice:
            continue
        if one.part != "advice":
            console.print(f"{one.part}, {one.name}: {one.advice}")
            continue
        if one.name != trouble:
            trouble = one.name
            console.print(f"\n{trouble.capitalize()}: {one.seen}.", style="bold")
        console.print(f"- {one.advice}")
        if one.command:
            console.print(f"  {one.command}", style="cyan", soft_wrap=True)  # to be copied whole
    if any(one.advice for one in findings):
        console.print()
