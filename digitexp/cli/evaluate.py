"""`digitexp evaluate`, `calibrate`, `check`, `robustness`, `pages`: judge a trained network."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from digitexp.cli.options import (
    Data,
    Font,
    Home,
    Language,
    Overwrite,
    Storage,
    Words,
    find_trial,
    find_trials,
    shown_trials,
)
from digitexp.cli.train import check_output_folder, write_files

if TYPE_CHECKING:
    from rich.console import Console

    from digitexp.calibration import CrossFitted, ErrorEstimate
    from digitexp.checklist import Finding
    from digitexp.diagnostics import Answers
    from digitexp.trained import ShownTrial, TrainedTrial


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
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    language: Language = "en",
    font: Font = None,
) -> None:
    """Show what a trained network gets wrong; the test set is not looked at.

    Writes a classification report, the pairs of classes confused most, and pictures: a random
    sample as `actual | predicted`, and the most confident errors.
    """
    from digitexp.plots.language import in_language

    drawing = in_language(language, font)
    trial = find_trial(words, home, storage)
    target = output or trial.folder / "evaluation"
    check_output_folder(target, overwrite=overwrite or output is None)
    shown = trial.with_images(data)
    from digitexp.plots.evaluation import evaluation_files

    with drawing:
        files = evaluation_files(_answers(shown))
    write_files(target, files)
    if as_json:
        print(files["diagnostics.json"].decode(), end="")
    else:
        print(files["summary.txt"].decode())
        print(f"Written to {target}: {', '.join(files)}")


def _answers(trial: ShownTrial) -> Answers:
    from digitexp.diagnostics import Answers
    from digitexp.metrics import accuracy

    return Answers(
        images=trial.images,
        labels=trial.labels,
        logits=trial.logits,
        class_names=trial.class_names,
        part=trial.part,
        train_accuracy=accuracy(trial.network.logits(trial.train_images), trial.train_labels),
        image_numbers=trial.image_numbers,
    )


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
) -> None:
    """Fit a temperature on the validation part; show calibration before and after.

    Each validation image is judged at the temperature that four fifths of the others give. Writes
    reliability.png and calibration.json into DIR, or SWEEP-TRIAL. The test set is not looked at.
    """
    from digitexp.calibration import cross_fit
    from digitexp.plots.figures import draw_reliability

    trial = find_trial(words, home, storage)
    folder = trial.folder
    check_output_folder(folder, overwrite=True)
    shown = trial.with_images(data)
    found = cross_fit(shown.logits, shown.labels.astype(np.int32))
    images = f"{found.images} validation images of {trial.about['name']}"
    picture = draw_reliability(found, f"{images}  ·  {trial.config.describe()}")
    document = json.dumps(found.to_dict(), indent=1) + "\n"
    write_files(folder, {PICTURE: picture, DATA: document.encode()})
    if as_json:
        print(document, end="")
    else:
        _print_comparison(found, folder)


def _print_comparison(found: CrossFitted, folder: Path) -> None:
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
    said = (f"{name.upper()}: {SAYS[one.word]}" for name, one in found.measures.items())
    print(f"\n{'; '.join(said)} (95 % intervals, for as many other images).")
    print(f"Written to {folder}: {PICTURE}, {DATA}")


def _print_row(name: str, *cells: str) -> None:
    print((f"{name:26}" + "".join(f"{cell:25}" for cell in cells)).rstrip())


def _cell(interval: ErrorEstimate, scale: float, digits: int) -> str:
    value, low, high = (f"{scale * v:.{digits}f}" for v in interval)
    return f"{value} ({low} to {high})"


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
    from digitexp.checklist import check_data
    from digitexp.data.loading import DEFAULT, find_source

    if not words:
        found = find_source(data or DEFAULT)
        findings = check_data(found, n_features=features, n_classes=classes)
    else:
        findings = _check_trial(find_trial(words, home, storage), data, features, classes)
    code = int(any(finding.verdict == "fail" for finding in findings))
    if as_json:
        content = {"exit_code": code, "findings": [asdict(finding) for finding in findings]}
        print(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        _print_findings(findings)
    raise typer.Exit(code)


def _check_trial(
    run: TrainedTrial, data: str | None, features: int | None, classes: int | None
) -> list[Finding]:
    from digitexp.checklist import Finding, advise, check_data, check_model, check_training
    from digitexp.data import DataError
    from digitexp.data.loading import find_source

    source, split = None, None
    try:
        found = find_source(data or run.source)
    except DataError as error:
        if data is not None:
            raise
        advice = "Name what it was trained on with --data SOURCE to have data and accuracy checked."
        seen = str(error).partition("; expected")[0]  # the advice says what is expected
        findings = [Finding("data", "source", "warn", seen, advice)]
    else:
        findings = check_data(
            found,
            n_features=features or prod(run.image_shape),
            n_classes=classes or len(run.class_names),
        )
        try:
            source, split = run.load_data(data)
        except ValueError as error:
            findings.append(Finding("data", "same data", "fail", str(error)))
        else:
            seen = f"as trained on, digest {source.digest[:12]}"
            findings.append(Finding("data", "same data", "ok", seen))
    training = check_training(run)
    return [*findings, *check_model(run, source, split), *training, *advise(run, training)]


def _print_findings(findings: list[Finding]) -> None:
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


def robustness(
    words: Words,
    data: Data = None,
    home: Home = None,
    storage: Storage = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The picture, a PNG.")
    ] = Path("robustness.png"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Attack the validation images with each network's own gradients (FGSM); draw accuracy.

    The attack is one step against the very network: a stronger one would find more mistakes.
    """
    trials = find_trials(words, home, storage)
    if len({(trial.about["digest"], trial.about["split_digest"]) for trial in trials}) > 1:
        raise ValueError("these networks were judged on different images; name those of one split.")
    shown = trials[0].with_images(data)
    models = {trial.name: trial.load_model() for trial in trials}
    from digitexp.diagnostics import EPSILONS, attacked_accuracies
    from digitexp.plots.figures import draw_robustness

    images, labels = shown.images.reshape(len(shown.images), -1), shown.labels
    found = {
        name: attacked_accuracies(model, images, labels).tolist() for name, model in models.items()
    }
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
    write_files(target, files)
    print(f"Written to {target}: {', '.join(files)}")
