"""Before a sweep: `sweeps init` and `plan`."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from dataclasses import asdict
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sweeps.cli.console import Terminal, answered
from sweeps.cli.options import CsvOption, JsonOption, asks
from sweeps.config.options import RunOptions
from sweeps.errors import UsageError
from sweeps.records import data_in_words
from sweeps.wording import counted, format_params, format_seconds, printable, rough, scaled

if TYPE_CHECKING:
    from sweeps.config.sweep import SweepConfig
    from sweeps.runner.planning import SweepPlan


@asks(
    *("space", "trials", "name", "extend", "same_code", "seed", "overrides", "sampler", "pruner"),
    *("learn_from", "data", "ask_ahead", "timeout", "budget", "workers"),
)
def plan(
    asked: RunOptions,
    power: Annotated[
        bool,
        typer.Option(
            "--power",
            help="Show instead which differences a confirmation will see, by its number of folds.",
        ),
    ] = False,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Validate a space and show what would run; creates nothing.

    Editors complete the keys of a space file by search_spaces/schema.json of this package.
    """
    from sweeps.cli.confirming import reserving_for
    from sweeps.config.resolving import resolve
    from sweeps.runner.planning import make_plan

    config = resolve(asked)
    if power:
        _show_power(config, csv=csv, as_json=as_json)
        return
    planned = make_plan(config, reserving_for(config, None))
    document = _to_dict(planned)
    if not answered(
        document,
        document["planned"],
        as_json=as_json,
        csv=csv,
        columns=("origin", "engine", "reason", "seconds", "epochs"),
    ):
        _print(planned)


def _show_power(config: SweepConfig, *, csv: Path | None, as_json: bool) -> None:
    """Show the difference that each number of folds sees, and where only more samples help."""
    from sweeps.confirm.planning import plan_power
    from sweeps.render.answer import in_lines

    found = plan_power(config)
    alone = found.by_numbers
    rows = [
        {"folds": folds, "difference": seen, "by_numbers": alone.get(folds)}
        for folds, seen in found.seen.items()
    ]
    document = {
        "name": config.name,
        "confirmations": list(found.confirmations),
        "seen": rows,
        "at_best": found.at_best,
        "unit": found.unit,
    }
    if answered(document, rows, as_json=as_json, csv=csv):
        return
    best = found.at_best
    print("A lead that is told from luck in 8 of 10 confirmations:\n")
    is_share = found.unit == "share"
    digits = None if is_share else max(0, 1 - math.floor(math.log10(min(found.seen.values()))))
    said = partial(scaled, unit=found.unit, digits=digits)
    print(f"  folds   {'points' if is_share else ' by'}{'   one number a fold' if alone else ''}")
    for folds, seen in found.seen.items():
        print(f"  {folds:>5}   {said(seen):>6}{f'   {said(alone[folds]):>6}' if alone else ''}")
    print(f"   more   {said(best):>6} at best\n" if best else "")
    source = f"From earlier confirmations on these data: {', '.join(found.confirmations)}."
    if not found.confirmations:
        source = (
            "Nothing was confirmed on these data in this home yet: this is what a default "
            "confirmation of mlp on digits20 (4000 images) sees, only a first guess for others."
        )
    limit = (
        f"More folds see no less than {said(best)}{' points' if is_share else ''}, for the samples "
        f"are the limit. With twice as many samples it is {said(best / 2**0.5)}."
    )
    print("\n".join(in_lines([limit, source] if best else [source])))


def _to_dict(plan: SweepPlan) -> dict[str, Any]:
    from sweeps.runner.planning import what_a_pruner_sees

    config = plan.config
    return {
        "name": config.name,
        "space": config.space.to_dict(),
        "size": config.space.size(),
        "data": {"name": config.data.name, "digest": config.data.digest, **config.data.info},
        "trials": config.limits.trials,
        "sampler": vars(config.sampler),
        "why_sampler": config.why_sampler or None,
        "ask_ahead": config.ask_ahead,
        "workers": config.parallelism.workers,
        "gpus": _gpus(plan) or None,
        "at_once": config.parallelism.at_once,
        "dropped_baselines": list(config.dropped_baselines),
        "learned": plan.learned.to_dict() if plan.learned else None,
        "goes_on": plan.goes_on or None,
        "left": plan.left,
        "planned": [
            {"origin": p.origin, **asdict(p.plan), "epochs": p.epochs, "params": dict(p.params)}
            for p in plan.trials
        ],
        "estimated_seconds": plan.seconds,
        "measured_seconds": plan.measured_seconds,
        "timeout_seconds": config.limits.timeout_seconds,
        "in_time": plan.in_time,
        "budget_seconds": config.limits.budget_seconds,
        "budget": list(plan.budget.lines()) if plan.budget else None,
        "pruner_sees": what_a_pruner_sees(config) or None,
    }


def _print(plan: SweepPlan) -> None:
    from sweeps.confirm.checks import how_it_is_confirmed
    from sweeps.experiments.loading import script_facts
    from sweeps.records import describe_learned
    from sweeps.render.section import Section, Table
    from sweeps.render.summaries import render_sections
    from sweeps.runner.planning import what_a_pruner_sees

    config, planned = plan.config, plan.trials
    space, size = config.space, config.space.size()
    uses = {"n_train": "to train on", "n_validation": "to validate", "n_test": "in the test set"}
    info = config.data.info
    most = sorted({one.epochs for one in planned if isinstance(one.epochs, int)})
    ends = " to ".join(map(str, dict.fromkeys([*most[:1], *most[-1:]])))
    facts = {
        **(script_facts(space.experiment) or {"experiment": space.experiment}),
        "data": data_in_words(config.space.experiment, vars(config.data)),
        "samples": ", ".join(f"{info[n]} {use}" for n, use in uses.items() if info.get(n)),
        "objective": "; ".join(f"{one.metric}, {one.direction}" for one in space.objectives),
        "space": "infinitely many points" if size is None else f"{size} points",
        "constraints": ", ".join(str(c) for c in space.constraints) or "none",
        "trials": f"{_how_many(plan)}, seed {config.seed}",
        "confirm": how_it_is_confirmed(config),
        "epochs": f"at most {ends} a trial" if ends else "",
        "sampler": f"{config.sampler_in_words}, pruner {config.pruner.name}",
        "pruner": what_a_pruner_sees(config),
        "workers": str(config.parallelism),
        "gpus": f"of each worker: {'; '.join(gpus)}" if (gpus := _gpus(plan)) else "",
        "learns": describe_learned(plan.learned) if plan.learned else "",
        "goes on": plan.goes_on,
        "left out": ", ".join(f"baseline {name}" for name in config.dropped_baselines),
    }
    print(printable(f"{config.name}: {space.description}" if space.description else config.name))
    for label, text in facts.items():
        if text:
            print(printable(f"  {label:<12}{text}"))
    varies = [(row.name, row.kind, row.range, row.condition) for row in space.parameters]
    first = [
        (
            one.origin,
            one.plan.engine,
            "?" if one.plan.seconds is None else f"{one.plan.seconds:.1f}",
            format_params(one.params, separator=" "),
        )
        for one in planned
    ]
    title = "Next trials" if plan.goes_on else "First trials"
    tables = {
        "What varies": Table(("parameter", "kind", "range", "when"), varies),
        title: Table(("origin", "engine", "seconds", "parameters"), first),
    }
    sections = [Section(name, name, [table]) for name, table in tables.items() if table.rows]
    Terminal().print(render_sections(sections), crop=False)
    for (engine, reason), count in Counter((p.plan.engine, p.plan.reason) for p in planned).items():
        print(printable(f"Engine {engine} for {count} of {len(planned)}: {reason}"))
    _print_duration(plan)


def _gpus(plan: SweepPlan) -> list[str]:
    from sweeps.executors.preloading import dealt, visible_gpus

    return [gpus for gpus in dealt(visible_gpus(), plan.config.parallelism.at_once) if gpus]


def _print_duration(plan: SweepPlan) -> None:
    which = "the " + counted(plan.left, "trial") + (" that are left" if plan.goes_on else "")
    for line in plan.budget.lines() if plan.budget else ():
        print(line)
    if plan.budget:
        print("Nothing was created.")
    elif not plan.left:
        print("Nothing is left to run; ask for more --trials. Nothing was created.")
    elif plan.seconds is None:
        print("How long a trial takes shows once the first has ended. Nothing was created.")
    else:
        of_trials = ", as its trials took so far" if plan.measured_seconds is not None else ""
        print(f"About {format_seconds(plan.seconds)} for {which}{of_trials}.")
        if plan.in_time is not None:
            assert plan.config.limits.timeout_seconds is not None
            limit = format_seconds(plan.config.limits.timeout_seconds)
            print(f"In the {limit} of --timeout about {plan.in_time} of them begin.")
        print("Nothing was created.")


def _how_many(plan: SweepPlan) -> str:
    """Return how many trials there will be, in words where a budget decides it."""
    limits = plan.config.limits
    if plan.budget is not None:
        known = "" if plan.budget.trials is None else f"about {rough(limits.trials)}, "
        return f"{known}as many as {format_seconds(plan.budget.seconds)} pay for"
    return str(limits.trials)


_SCAFFOLDS: Final = Path(__file__).with_name("scaffolds")


class Scaffold(Enum):
    """The library or language of the experiment."""

    KERAS = "keras"
    SCIKIT_LEARN = "scikit-learn"
    SCRIPT = "script"


def init(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder; made if it is missing.")
    ] = None,
    kind: Annotated[
        Scaffold,
        typer.Option(help="keras: a model of yours; scikit-learn; script: any language."),
    ] = Scaffold.KERAS,
    script: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="SCRIPT", help="Write a space for this script, from its --help."
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(help="With --from: the Python that runs the script (default: python3)."),
    ] = None,
) -> None:
    """Write a space, an experiment and a test to begin with.

    With --from, write only a space, beside a script that there is already. Nothing is ever
    overwritten.
    """
    if (folder is None) == (script is None):
        raise UsageError("give either a folder to write into, or --from and a script")
    if python is not None and script is None:
        raise UsageError("--python is for --from: a new space names its Python in `command`")
    if folder is not None:
        _init_folder(folder, kind)
    elif script is not None:
        from sweeps.experiments.script_help import space_of_script  # loads what reads a space

        path, text = space_of_script(script, python)
        path.write_text(text, encoding="utf-8")
        print(printable(text))
        print(f"wrote {path}: edit the lines marked EDIT, and the ranges; then")
        print(f"sweeps run {shlex.quote(str(path))} --trials 2 --strict")


def _init_folder(folder: Path, kind: Scaffold) -> None:
    files = {
        path.name.removesuffix(".txt"): path.read_bytes()
        for path in sorted((_SCAFFOLDS / kind.value).iterdir())
    }
    taken = [name for name in files if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder} has {', '.join(taken)} already, which stay as they are; give another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        print(f"wrote {folder / name}")
    print(f"\ncd {shlex.quote(str(folder))}\nsweeps run space.yaml --trials 2 --strict")
    print("python -m pytest")
