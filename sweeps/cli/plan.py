"""`sweeps plan` and `sweeps schema`: look before you run; creates nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sweeps.cli.options import HomeOption, JsonOption, SpaceArgument

if TYPE_CHECKING:
    from rich.table import Table

    from search_spaces.parameters import Value
    from sweeps.config import SweepConfig
    from sweeps.experiment import EnginePlan

SHOWN_SAMPLES: Final = 5


@dataclass(frozen=True)
class PlannedTrial:
    """One configuration the sweep would try, and how it would be trained."""

    origin: str
    params: Mapping[str, Value]
    plan: EnginePlan


def plan(
    space: SpaceArgument,
    trials: Annotated[int | None, typer.Option("--trials", "-n")] = None,
    seed: Annotated[int, typer.Option(help="Decides every trial.")] = 0,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Fix or narrow.")
    ] = None,
    sampler: Annotated[str | None, typer.Option()] = None,
    data: Annotated[str | None, typer.Option(metavar="SOURCE")] = None,
    ask_ahead: Annotated[int | None, typer.Option(help="Trials in flight at most.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes (default: one a core).")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Validate a space and show what would run; creates nothing."""
    from sweeps.config import resolve
    from sweeps.options import RunOptions

    options = RunOptions(
        space=space,
        trials=trials,
        seed=seed,
        overrides=tuple(overrides or ()),
        sampler=sampler,
        data=data,
        ask_ahead=ask_ahead,
        workers=workers,
        home=home,
    )
    config = resolve(options)
    planned = planned_trials(config)
    if as_json:
        print(json.dumps(_to_dict(config, planned), indent=1))
    else:
        _print(config, planned)


def schema() -> None:
    """Print the JSON Schema of a space file, for editors."""
    from search_spaces.reading.schema import json_schema

    print(json.dumps(json_schema(), indent=1))


def planned_trials(config: SweepConfig) -> list[PlannedTrial]:
    """Return the baselines and the first configurations the sampler would propose after them.

    They are those of the real sweep as long as they are among its first `ask_ahead` slots, which
    see no outcome yet.
    """
    from sweeps.study.proposals import Exhausted

    proposer = config.proposer()
    planned = []
    for _ in range(min(len(config.space.baselines) + SHOWN_SAMPLES, config.limits.trials)):
        try:
            proposal = proposer.propose()
        except Exhausted:
            break
        engine = config.experiment.plan(config.configuration(proposal.params), config.data)
        planned.append(PlannedTrial(proposal.origin, proposal.params, engine))
    return planned


def estimated_seconds(config: SweepConfig, planned: list[PlannedTrial]) -> float:
    """Return about how long all trials take: the mean of the planned ones, so many at once."""
    mean = sum(p.plan.seconds for p in planned) / len(planned)
    return mean * config.limits.trials / config.parallelism.at_once


def _to_dict(config: SweepConfig, planned: list[PlannedTrial]) -> dict[str, Any]:
    return {
        "name": config.name,
        "space": config.space.to_dict(),
        "size": config.space.size(),
        "data": {"name": config.data.name, "digest": config.data.digest, **config.data.info},
        "trials": config.limits.trials,
        "workers": config.parallelism.workers,
        "at_once": config.parallelism.at_once,
        "dropped_baselines": list(config.dropped_baselines),
        "planned": [
            {
                "origin": p.origin,
                "params": dict(p.params),
                "engine": p.plan.engine,
                "reason": p.plan.reason,
                "seconds": p.plan.seconds,
            }
            for p in planned
        ],
        "estimated_seconds": estimated_seconds(config, planned),
    }


def _print(config: SweepConfig, planned: list[PlannedTrial]) -> None:
    from sweeps.cli.console import Terminal
    from sweeps.report.numbers import format_seconds

    space, size = config.space, config.space.size()
    facts = {
        "experiment": space.experiment,
        "data": f"{config.data.name} (sha256 {config.data.digest[:8]})",
        "objective": f"{space.objective.metric}, {space.objective.direction}",
        "space": "infinitely many points" if size is None else f"{size} points",
        "constraints": ", ".join(str(c) for c in space.constraints) or "none",
        "trials": f"{config.limits.trials}, seed {config.seed}",
        "sampler": f"{config.sampler.name}, pruner {config.pruner.name}",
        "workers": str(config.parallelism),
        "left out": ", ".join(f"baseline {name}" for name in config.dropped_baselines),
    }
    print(f"{config.name}: {space.description}" if space.description else config.name)
    for label, text in facts.items():
        if text:
            print(f"  {label:<12}{text}")
    console = Terminal()
    console.print(_parameter_table(config), crop=False)
    console.print(_trial_table(planned), crop=False)
    for (engine, reason), count in Counter((p.plan.engine, p.plan.reason) for p in planned).items():
        print(f"Engine {engine} for {count} of {len(planned)}: {reason}")
    seconds = format_seconds(estimated_seconds(config, planned))
    print(f"About {seconds} for all {config.limits.trials} trials. Nothing was created.")


def _parameter_table(config: SweepConfig) -> Table:
    table = _table("What varies")
    for heading in ("parameter", "kind", "range", "when"):
        table.add_column(heading)
    for row in config.space.parameters:
        table.add_row(row.name, row.kind, row.range, row.condition)
    return table


def _trial_table(planned: list[PlannedTrial]) -> Table:
    from sweeps.report.numbers import format_value

    table = _table("First trials")
    for heading in ("origin", "engine", "seconds", "parameters"):
        table.add_column(heading)
    for p in planned:
        values = (f"{name}={format_value(value)}" for name, value in p.params.items())
        table.add_row(p.origin, p.plan.engine, f"{p.plan.seconds:.1f}", " ".join(values))
    return table


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
