"""`sweeps plan` and `sweeps schema`: look before you run; creates nothing."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sweeps.cli.options import ExtendOption, HomeOption, JsonOption, SameCodeOption, SpaceArgument

if TYPE_CHECKING:
    from rich.table import Table

    from search_spaces.parameters import Value
    from sweeps.config import SweepConfig
    from sweeps.experiment import EnginePlan
    from sweeps.study.proposals import Proposal

SHOWN_SAMPLES: Final = 5


@dataclass(frozen=True)
class PlannedTrial:
    """One configuration the sweep would try, and how it would be trained."""

    origin: str
    params: Mapping[str, Value]
    plan: EnginePlan


@dataclass(frozen=True)
class SweepPlan:
    """What would run.

    Attributes:
        trials: The next configurations, as far as they can be known.
        left: How many trials would be run in all.
        goes_on: From what an existing sweep would go on, in a line; empty for a new one.
    """

    config: SweepConfig = field(repr=False)
    trials: list[PlannedTrial]
    left: int
    goes_on: str = ""

    @property
    def seconds(self) -> float | None:
        """About how long all trials take: the mean of the planned ones, so many at once."""
        known = [p.plan.seconds for p in self.trials if p.plan.seconds is not None]
        if self.trials and not known:
            return None
        mean = sum(known) / max(len(known), 1)
        return mean * self.left / self.config.parallelism.at_once


def plan(
    space: SpaceArgument,
    trials: Annotated[int | None, typer.Option("--trials", "-n")] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the sweep (default: the space's).")
    ] = None,
    extend: ExtendOption = False,
    same_code: SameCodeOption = False,
    seed: Annotated[int, typer.Option(help="Decides every trial.")] = 0,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Fix or narrow.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="See sweeps run.")] = None,
    pruner: Annotated[str | None, typer.Option(help="See sweeps run.")] = None,
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
        name=name,
        extend=extend,
        same_code=same_code,
        seed=seed,
        overrides=tuple(overrides or ()),
        sampler=sampler,
        pruner=pruner,
        data=data,
        ask_ahead=ask_ahead,
        workers=workers,
        home=home,
    )
    planned = make_plan(resolve(options))
    if as_json:
        print(json.dumps(_to_dict(planned), indent=1))
    else:
        _print(planned)


def schema() -> None:
    """Print the JSON Schema of a space file, for editors."""
    from search_spaces.reading.schema import json_schema

    print(json.dumps(json_schema(), indent=1))


def make_plan(config: SweepConfig) -> SweepPlan:
    """Return the next configurations that would be tried, each with how it would be trained.

    Raises:
        UsageError: The sweep exists with other options, or cannot be extended like that.
    """
    existing = None
    if config.home.find(config.name) or config.extend:
        from sweeps.coordinator.previewing import preview

        existing = preview(config)
    if existing is not None:
        proposals, left, goes_on = existing.proposals(), existing.left, existing.text
    else:
        proposals, left, goes_on = _first_proposals(config), config.limits.trials, ""
    trials = []
    for proposal in itertools.islice(proposals, len(config.space.baselines) + SHOWN_SAMPLES):
        engine = config.experiment.plan(config.configuration(proposal.params), config.data)
        trials.append(PlannedTrial(proposal.origin, proposal.params, engine))
    return SweepPlan(config, trials, left, goes_on)


def _first_proposals(config: SweepConfig) -> Iterator[Proposal]:
    """Yield the baselines and what the sampler would propose after them.

    They are those of the real sweep as long as they are among its first `ask_ahead` slots, which
    see no outcome yet.
    """
    from sweeps.study.proposals import Exhausted

    proposer = config.proposer()
    for _ in range(config.limits.trials):
        try:
            yield proposer.propose()
        except Exhausted:
            return


def _to_dict(plan: SweepPlan) -> dict[str, Any]:
    config = plan.config
    return {
        "name": config.name,
        "space": config.space.to_dict(),
        "size": config.space.size(),
        "data": {"name": config.data.name, "digest": config.data.digest, **config.data.info},
        "trials": config.limits.trials,
        "workers": config.parallelism.workers,
        "at_once": config.parallelism.at_once,
        "dropped_baselines": list(config.dropped_baselines),
        "goes_on": plan.goes_on or None,
        "left": plan.left,
        "planned": [
            {
                "origin": p.origin,
                "params": dict(p.params),
                "engine": p.plan.engine,
                "reason": p.plan.reason,
                "seconds": p.plan.seconds,
            }
            for p in plan.trials
        ],
        "estimated_seconds": plan.seconds,
    }


def _print(plan: SweepPlan) -> None:
    from sweeps.cli.console import Terminal
    from sweeps.report.numbers import counted, format_seconds

    config, planned = plan.config, plan.trials
    space, size = config.space, config.space.size()
    facts = {
        "experiment": space.experiment,
        "data": f"{config.data.name} (sha256 {config.data.digest[:8]})",
        "objective": "; ".join(f"{one.metric}, {one.direction}" for one in space.objectives),
        "space": "infinitely many points" if size is None else f"{size} points",
        "constraints": ", ".join(str(c) for c in space.constraints) or "none",
        "trials": f"{config.limits.trials}, seed {config.seed}",
        "sampler": f"{config.sampler.name}, pruner {config.pruner.name}",
        "workers": str(config.parallelism),
        "goes on": plan.goes_on,
        "left out": ", ".join(f"baseline {name}" for name in config.dropped_baselines),
    }
    print(f"{config.name}: {space.description}" if space.description else config.name)
    for label, text in facts.items():
        if text:
            print(f"  {label:<12}{text}")
    console = Terminal()
    console.print(_parameter_table(config), crop=False)
    if planned:
        console.print(
            _trial_table("Next trials" if plan.goes_on else "First trials", planned), crop=False
        )
    for (engine, reason), count in Counter((p.plan.engine, p.plan.reason) for p in planned).items():
        print(f"Engine {engine} for {count} of {len(planned)}: {reason}")
    which = "the " + counted(plan.left, "trial") + (" that are left" if plan.goes_on else "")
    if not plan.left:
        print("Nothing is left to run; ask for more --trials. Nothing was created.")
    elif plan.seconds is None:
        print("How long a trial takes shows once the first has ended. Nothing was created.")
    else:
        print(f"About {format_seconds(plan.seconds)} for {which}. Nothing was created.")


def _parameter_table(config: SweepConfig) -> Table:
    table = _table("What varies")
    for heading in ("parameter", "kind", "range", "when"):
        table.add_column(heading)
    for row in config.space.parameters:
        table.add_row(row.name, row.kind, row.range, row.condition)
    return table


def _trial_table(title: str, planned: list[PlannedTrial]) -> Table:
    from sweeps.report.numbers import format_value

    table = _table(title)
    for heading in ("origin", "engine", "seconds", "parameters"):
        table.add_column(heading)
    for p in planned:
        values = (f"{name}={format_value(value)}" for name, value in p.params.items())
        seconds = "?" if p.plan.seconds is None else f"{p.plan.seconds:.1f}"
        table.add_row(p.origin, p.plan.engine, seconds, " ".join(values))
    return table


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
