"""Whether a sweep can be confirmed: refused if not, before anything is begun.

What `Confirms.on_blocks` names is imported, and asked which parameters and metrics it has and what
data it prepares. Then it is tried, to see what its trainings keep (trying.py).
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from search_spaces.defaults import Finalizing
from search_spaces.parameters import Value, find_parameter
from sweeps.abilities import Confirms
from sweeps.config import SPLIT_SEED, SweepConfig
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiment_code import declare_same, is_shipped, load_same
from sweeps.experiment_loading import experiment_folder, load_experiment, recorded_experiment
from sweeps.finalizing.finalists import METRIC, REFIT, SCORE, SEARCH_SPLIT
from sweeps.finalizing.trying import OnBlocks, try_blocks
from sweeps.home import Home
from sweeps.records import BLOCK, RecordStore, SweepInfo, ranked

SEE: Final = f"see `{Confirms.__name__}` in sweeps/abilities.py"


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
