"""Whether a sweep can be confirmed, and what trainings that failed leave open.

What `Confirms.on_blocks` names is imported, and asked which parameters and metrics it has and what
data it prepares. Then it is tried, to see what its trainings keep (trying.py).
"""

from __future__ import annotations

import itertools
import shlex
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from search_spaces.defaults import Finalizing
from search_spaces.parameters import Value, find_parameter
from sweeps.capabilities import Confirms
from sweeps.config.sweep import SPLIT_SEED, SweepConfig
from sweeps.confirm.comparison import FOLDS
from sweeps.confirm.finalists import METRIC, REFIT, SCORE, SEARCH_SPLIT, Finalist
from sweeps.confirm.trying import OnBlocks, try_blocks
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import declare_same, is_shipped, load_same
from sweeps.experiments.loading import experiment_folder, load_experiment, recorded_experiment
from sweeps.home import Home
from sweeps.records import BLOCK, FINALIST, Record, RecordStore, SweepInfo, ranked
from sweeps.wording import counted, first_line

SEE: Final = f"see `{Confirms.__name__}` in sweeps/capabilities.py"


def check_run(
    config: SweepConfig, source: str | None, option: str, note: Callable[[str], None]
) -> None:
    """Refuse a sweep that is to be finalised when it is whole, and cannot be.

    Args:
        config: The sweep, validated.
        source: Of its data; None for the experiment's own.
        option: Who asks for it, such as `--finalize`.
        note: Told what is worth a line.

    Raises:
        UsageError: Says what is missing; nothing was begun.
    """
    space = config.space
    if len(space.objectives) > 1:
        raise UsageError(
            f"{option}: several objectives leave no best trial to confirm; leave it out, or leave "
            "one objective in the space"
        )
    try:
        named = _named(config.experiment, space.experiment)
        on_blocks = load_experiment(named, space.directory)
        says = space.defaults.finalize or Finalizing()
        names = {name for walk in space.samples(8) for name in walk.config}
        check_offers(space.experiment, on_blocks, names, says.blocks)
        if not is_shipped(named, on_blocks):  # what is shipped prepares the same
            data = _prepare(on_blocks, source, space.experiment, config.data)
            if config.name not in {info.name for info in config.home.sweeps()}:
                own = OnBlocks(named, space.directory, on_blocks, data, config.parallelism.workers)
                try_blocks(own, _some_configurations(config), note)
    except UsageError as error:
        raise UsageError(f"{option}: {error}; nothing was begun") from None


def blocks_experiment(home: Home, info: SweepInfo) -> str:
    """Return the import path of the experiment that trains a sweep's configurations on blocks.

    Raises:
        UsageError: Its experiment has no fresh blocks.
    """
    return _named(recorded_experiment(info, home.records), info.experiment)


def _named(experiment: Experiment, path: str) -> str:
    on_blocks = getattr(experiment, "on_blocks", None)
    if isinstance(on_blocks, str):
        return on_blocks
    if path.startswith("script:"):
        raise UsageError(
            f"a script has no fresh blocks to confirm on; an experiment in Python may have ({SEE})"
        )
    raise UsageError(
        f"experiment {path!r} has no fresh blocks to confirm on; give it `on_blocks` ({SEE})"
    )


def check_data(home: Home, info: SweepInfo, source: str | None) -> tuple[Experiment, PreparedData]:
    """Refuse data that are not the sweep's: V0 would not be what scored its trials.

    Returns:
        What trains on blocks, and the data.

    Raises:
        UsageError: They are others, or unreadable.
    """
    folder = experiment_folder(info, home.records)
    experiment = load_experiment(blocks_experiment(home, info), folder)
    try:
        data = experiment.prepare(source, SPLIT_SEED)
    except (ValueError, OSError) as error:
        raise UsageError(f"data of the confirmation: {error}") from None
    if (data.digest, data.split_digest) != (info.data.get("digest"), info.data.get("split_digest")):
        raise UsageError(
            f"sweep {info.name!r} was made on other data ({info.data.get('name')}); name them by "
            "--data, nothing was begun"
        )
    return experiment, data


def _prepare(
    on_blocks: Experiment, source: str | None, path: str, searched: PreparedData
) -> PreparedData:
    """Refuse an experiment on blocks that has not the data and the split of the search."""
    try:
        data = on_blocks.prepare(source, SPLIT_SEED)
    except (ValueError, OSError) as error:
        raise UsageError(f"data of the confirmation: {error}") from None
    if (data.digest, data.split_digest) != (searched.digest, searched.split_digest):
        is_split = data.digest == searched.digest
        what = "splits its data otherwise" if is_split else "prepares other data"
        raise UsageError(
            f"`on_blocks` of experiment {path!r} {what} than the search: {data.name}, not "
            f"{searched.name}; both are to be the same, for what scored the search is no fresh "
            f"block ({SEE})"
        )
    return data


def _some_configurations(config: SweepConfig) -> list[Mapping[str, Value]]:
    """Return baselines, then points of the space, that trials of a search may have."""
    space = config.space
    points = [*space.baselines.values(), *(walk.params for walk in space.samples(8)[2:])]
    admissible = (point for point in points if config.admissible(point))
    return [config.configuration(point) for point in itertools.islice(admissible, 2)]


def check_code(store: RecordStore, info: SweepInfo, *, same_code: bool = False) -> None:
    """Refuse an experiment that was edited since: who is confirmed would not be who was found.

    Args:
        store: The records of the sweep.
        info: The sweep.
        same_code: Whether the user declares that it is what it was; that is noted.

    Raises:
        UsageError: It was edited; says what differs and the ways out.
    """
    for record in ranked(store.read_all(), info.direction)[:1]:
        if same_code:
            declare_same(store, info, record)
        load_same(store, info, record)


def check_offers(
    path: str,
    on_blocks: Experiment,
    names: Collection[str],
    blocks: int,
    *,
    refit: bool = False,
) -> None:
    """Refuse an experiment on blocks that lacks what a confirmation asks of it.

    Args:
        path: Import path of the experiment that searched.
        on_blocks: What its `on_blocks` names.
        names: Parameters that trials set.
        blocks: On how many blocks it is to train.
        refit: Whether the winner is to be trained on everything.

    Raises:
        UsageError: Says everything that is missing.
    """
    missing = list(_missing(on_blocks, names, blocks, refit))
    if missing:
        raise UsageError(
            f"experiment {path!r} cannot be confirmed: its `on_blocks` {'; '.join(missing)} ({SEE})"
        )


def _missing(
    on_blocks: Experiment, names: Collection[str], blocks: int, refit: bool
) -> Iterator[str]:
    known = on_blocks.parameters
    for name in sorted(names):
        if find_parameter(name, known) is None:
            yield f"lacks the parameter {name!r}, which trials of the search set"
    block, needed = known.get(BLOCK), f"int, 0 to {blocks - 1}"
    if block is None:
        yield f"lacks the parameter {BLOCK!r} ({needed})"
    else:
        low = float("-inf") if block.low is None else block.low
        high = float("inf") if block.high is None else block.high
        if block.type not in {"int", "any"} or low > 0 or high < blocks - 1:
            yield f"takes {BLOCK!r} as {block.type}, {low:g} to {high:g} (needed is {needed})"
    wanted = {METRIC: "maximize", **({"epochs": "minimize"} if refit else {})}
    for metric, direction in wanted.items():
        info = on_blocks.metrics.get(metric)
        if info is None:
            yield f"lacks the metric {metric!r} ({direction})"
        elif info.direction != direction:
            yield f"would {info.direction} the metric {metric!r} (needed is {direction})"
    if refit and REFIT not in known:
        yield f"lacks the parameter {REFIT!r}, which --refit sets"


def ask(experiment: Experiment, ability: str, *arguments: Any) -> Any:
    """Call what an experiment on blocks offers beyond its trainings.

    Raises:
        UsageError: It raised; says what, and in which line of the experiment.
    """
    try:
        return getattr(experiment, ability)(*arguments)
    except Exception as error:
        raise failed(experiment, ability, error) from error


def failed(experiment: Experiment, ability: str, error: Exception) -> UsageError:
    """Return how it is said that what an experiment answered, or failed to, is of no use."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return UsageError(
        f"`{ability}` of experiment {experiment.name!r}: {type(error).__name__}: {error} "
        f"({Path(where.filename).name}, line {where.lineno})"
    )


def tells_luck(on_blocks: Experiment) -> bool:
    """Whether it can train the search's best again on the search's own split."""
    return SEARCH_SPLIT in on_blocks.parameters and SCORE in on_blocks.metrics


# Why trainings that failed leave something of a confirmation open for ever, and the ways out.


def why_no_verdict(
    search: str,
    confirmation: str,
    records: Sequence[Record],
    finalists: Sequence[Finalist],
    *,
    is_whole: bool,
    more: int,
) -> str:
    """Return whose trainings leave a confirmation without a verdict, line by line.

    Args:
        search: Name of the sweep that is confirmed.
        confirmation: Name of the one that confirms it.
        records: Of that.
        finalists: Who takes part.
        is_whole: Whether every training has an outcome; else so many in a row failed that the rest
            was not begun.
        more: How many other configurations of the search could take part (`--top`).
    """
    lines = [
        f"no verdict, and the same command brings none: it takes {2 * FOLDS} blocks, in two whole "
        f"repeats, on which every finalist is trained ({confirmation})"
        if is_whole
        else f"no verdict: {confirmation} was ended, for its trainings failed one after another"
    ]
    retried, without = [], []
    for finalist in finalists:
        own = [r for r in _final(records) if r.params.get(FINALIST) == finalist.label]
        failed = [record.spec.slot for record in own if record.outcome == "failed"]
        retried += failed
        if any(record.outcome != "complete" for record in own):
            without.append(finalist)
            lines.append(f"  {finalist.label}: {_count(own)}")
    lines.append("ways out:")
    if retried:
        numbers = " ".join(map(str, sorted(retried)))
        lines.append(
            f"  mend the cause, then: `sweeps retry {shlex.quote(confirmation)} {numbers}`, and "
            "the same command"
        )
    searched = [finalist for finalist in without if not finalist.is_control]
    left = len(finalists) - len(searched)
    added = max(0, 2 - left)
    if searched and added <= more:
        top = f" --top {len(finalists) + added}" if added else ""
        numbers = " ".join(f"--leave-out {finalist.slot}" for finalist in searched)
        lines.append(
            f"  leave {'it' if len(searched) == 1 else 'them'} out: `sweeps finalize "
            f"{shlex.quote(search)}{top} {numbers}`"
        )
    if len(searched) < len(without):
        lines.append("  leave the random trials out: no --control")
    return "\n".join(lines)


def why_no_control(home: Home, control: SweepInfo) -> str:
    """Return why none of the random trials can be confirmed."""
    records = home.store(control.id).read_all()
    return (
        f"no verdict: of the random trials ({control.name}) {_count(_final(records))}; mend the "
        f"cause, then: `sweeps retry {shlex.quote(control.name)}`; or leave --control out"
    )


def why_no_refit(home: Home, refit: SweepInfo, winner: str) -> str:
    """Return why the winner is not there as trained on everything."""
    records = home.store(refit.id).read_all()
    return (
        f"the verdict stands, but {winner} is not there as trained on everything: "
        f"{_count(_final(records))}; mend the cause, then: `sweeps retry {shlex.quote(refit.name)}`"
        ", and the same command; or leave --refit out"
    )


def why_no_parts(home: Home, again: Sequence[Record]) -> str:
    """Return why the luck of the search's best is told without its parts."""
    luck = home.store(again[0].spec.sweep).info()
    name = luck.name if luck else again[0].spec.sweep
    return (
        f"Its parts are not known: on the search's own split {_count(_final(again))} ({name}). "
        f"Mend the cause, then: `sweeps retry {shlex.quote(name)}`, and the same command."
    )


def _final(records: Sequence[Record]) -> list[Record]:
    """Return the last attempts of the trials that have an outcome."""
    return [record for record in records if record.ends_slot]


def _count(records: Sequence[Record]) -> str:
    """Return how many trainings came to nothing, and by what."""
    counts = Counter(str(record.outcome) for record in records)
    parts = [f"{counts[word]} {word}" for word in ("diverged", "pruned") if counts[word]]
    failed = [record for record in records if record.outcome == "failed"]
    if failed:
        cause = first_line(failed[0].error or failed[0].reason or "")
        parts.append(f"{len(failed)} failed, the first with: {cause}")
    return f"of {counted(len(records), 'training')} {', '.join(parts)}"
