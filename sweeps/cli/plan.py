"""`sweeps plan` and `sweeps schema`: look before you run; creates nothing."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sweeps.cli.options import (
    ExtendOption,
    HomeOption,
    JsonOption,
    SameCodeOption,
    SpaceArgument,
    duration,
)

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
        measured_seconds: What a trial of it took so far, typically; None before one has ended.
    """

    config: SweepConfig
    trials: list[PlannedTrial]
    left: int
    goes_on: str = ""
    measured_seconds: float | None = None

    @property
    def trial_seconds(self) -> float | None:
        """About how long a trial takes: as measured so far, else the mean of the planned ones."""
        known = [p.plan.seconds for p in self.trials if p.plan.seconds is not None]
        if self.measured_seconds is not None or not known:
            return self.measured_seconds
        return sum(known) / len(known)

    @property
    def seconds(self) -> float | None:
        """About how long all trials take, so many at once; None if that is not known."""
        if not self.left:
            return 0.0
        one = self.trial_seconds
        return None if one is None else one * self.left / self.config.parallelism.at_once

    @property
    def in_time(self) -> int | None:
        """About how many trials begin before `--timeout`; None if all of them do, or none knows."""
        limit, seconds = self.config.limits.timeout_seconds, self.seconds
        if limit is None or seconds is None or seconds <= limit:
            return None
        assert self.trial_seconds is not None
        at_once = self.config.parallelism.at_once
        return min(self.left, at_once * math.ceil(limit / self.trial_seconds))


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
    timeout: Annotated[
        float | None,
        typer.Option(parser=duration, metavar="TIME", help="What fits into it, such as 1h30m."),
    ] = None,
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
        timeout_seconds=timeout,
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
    measured = None
    if existing is not None:
        proposals, left, goes_on = existing.proposals(), existing.left, existing.text
        measured = existing.typical_seconds
    else:
        proposals, left, goes_on = _first_proposals(config), config.limits.trials, ""
    trials = []
    for proposal in itertools.islice(proposals, len(config.space.baselines) + SHOWN_SAMPLES):
        engine = config.experiment.plan(config.configuration(proposal.params), config.data)
        trials.append(PlannedTrial(proposal.origin, proposal.params, engine))
    return SweepPlan(config, trials, left, goes_on, measured)


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
        "measured_seconds": plan.measured_seconds,
        "timeout_seconds": config.limits.timeout_seconds,
        "in_time": plan.in_time,
        "pruner_sees": what_a_pruner_sees(config) or None,
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
        "pruner": what_a_pruner_sees(config),
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
        of_trials = ", as its trials took so far" if plan.measured_seconds is not None else ""
        print(f"About {format_seconds(plan.seconds)} for {which}{of_trials}.")
        if plan.in_time is not None:
            assert config.limits.timeout_seconds is not None
            limit = format_seconds(config.limits.timeout_seconds)
            print(f"In the {limit} of --timeout about {plan.in_time} of them begin.")
        print("Nothing was created.")


def what_a_pruner_sees(config: SweepConfig) -> str:
    """Return by which trials a pruner judges another one, in a line; empty without a pruner.

    Reproducible pruning knows what was told when a trial was proposed, and not what ended since.
    """
    if config.pruner.name == "none":
        return ""
    ahead, trials = config.ask_ahead, config.limits.trials
    if config.order != "slots":
        return "judges a trial by those that had ended when it was proposed"
    if trials <= ahead:
        return (
            f"ends nothing: trial n is judged by trials 0 to n - {ahead} (--ask-ahead {ahead}), "
            f"and there are {trials}"
        )
    return (
        f"judges trial n by trials 0 to n - {ahead} (--ask-ahead {ahead}): the first {ahead} of "
        f"{trials} by none, the last by {trials - ahead}"
        + ("; a smaller --ask-ahead lets it end more" if ahead > 1 else "")
    )


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
