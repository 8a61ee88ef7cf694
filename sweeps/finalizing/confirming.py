"""Runs the confirmation of a sweep: a sweep of its own, over finalists and fresh blocks.

So everything a sweep has, a confirmation has: workers, records, resumption after any kill, runs in
MLflow, doctor. Its space is a file in the home; the same command goes on with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweeps.abilities import Confirms
from sweeps.config import SPLIT_SEED
from sweeps.coordinator.run import RunResult, run_options
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.experiment_loading import load_experiment
from sweeps.finalizing.finalists import (
    BLOCK,
    FINALIST,
    Finalist,
    choose_finalists,
    confirming_space,
)
from sweeps.finalizing.outcomes import Outcomes
from sweeps.finalizing.verdict import Verdict, decide
from sweeps.home import Home
from sweeps.naming import free_name
from sweeps.options import RunOptions
from sweeps.progress import Mode
from sweeps.records import RecordStore, SweepInfo

COST = "parameters"
"""What makes one of several equivalent finalists the cheapest."""


@dataclass(frozen=True)
class Confirmation:
    """A confirmation that is to be run, or goes on.

    Attributes:
        name: Of its sweep.
        space: Its file.
        finalists: Who takes part.
        blocks: On how many blocks.
    """

    name: str
    space: Path
    finalists: Sequence[Finalist]
    blocks: int


def plan_confirmation(
    home: Home, info: SweepInfo, top: int, blocks: int, data: str | None = None
) -> Confirmation:
    """Choose finalists and write the space of their confirmation.

    One that was begun with the same finalists goes on; with others, another one begins.

    Raises:
        UsageError: The experiment has no fresh blocks, there is nothing to compare, or the data
            are not the sweep's: then V0 would not be what scored its trials.
    """
    directory = Path(info.directory) if info.directory else None
    experiment = load_experiment(info.experiment, directory)
    on_blocks = getattr(experiment, "on_blocks", None)
    if not isinstance(on_blocks, str):
        raise UsageError(
            f"experiment {info.experiment!r} has no fresh blocks to confirm on; give it "
            f"`on_blocks` (see `{Confirms.__name__}` in sweeps/abilities.py)"
        )
    _check_data(load_experiment(on_blocks, directory), info, data)
    finalists = choose_finalists(info, home.store(info.id).read_all(), top)
    text = confirming_space(on_blocks, finalists, blocks)
    folder = home.path / "finalists"
    taken = sorted(path.stem for path in confirmations_of(home, info))
    for stem in taken:
        if (folder / f"{stem}.yaml").read_text(encoding="utf-8") == text:
            return Confirmation(stem, folder / f"{stem}.yaml", finalists, blocks)
    name = f"{info.name}-final"
    name = free_name(name, [*taken, *(i.name for i in home.sweeps())]) if taken else name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return Confirmation(name, folder / f"{name}.yaml", finalists, blocks)


def _check_data(on_blocks: Experiment, info: SweepInfo, source: str | None) -> None:
    try:
        data = on_blocks.prepare(source, SPLIT_SEED)
    except (ValueError, OSError) as error:
        raise UsageError(f"data of the confirmation: {error}") from None
    if (data.digest, data.split_digest) != (info.data.get("digest"), info.data.get("split_digest")):
        raise UsageError(
            f"sweep {info.name!r} was made on other data ({info.data.get('name')}); name them by "
            "--data, nothing was begun"
        )


def confirmations_of(home: Home, info: SweepInfo) -> list[Path]:
    """Return the spaces of a sweep's confirmations: `NAME-final`, `NAME-final-2`, ..."""
    own = re.compile(rf"{re.escape(info.name)}-final(-[0-9]+)?")
    folder = home.path / "finalists"
    return sorted(path for path in folder.glob("*.yaml") if own.fullmatch(path.stem))


def run_confirmation(
    confirmation: Confirmation,
    home: Home,
    *,
    workers: int | None = None,
    tracking_uri: str | None = None,
    data: str | None = None,
    progress: Mode = "auto",
) -> RunResult:
    """Train every finalist on every block; what was trained before is not trained again."""
    return run_options(
        RunOptions(
            str(confirmation.space),
            name=confirmation.name,
            trials=confirmation.blocks * len(confirmation.finalists),
            home=home.path,
            workers=workers,
            tracking_uri=tracking_uri,
            data=data,
        ),
        progress=progress,
    )


def judge(confirmation: Confirmation, store: RecordStore) -> Verdict | None:
    """Return the verdict of the blocks that every finalist has been trained on; None before two."""
    found: dict[tuple[int, str], str] = {}
    costs: dict[str, list[float]] = {}
    for record in store.read_all():
        if record.outcome == "complete" and record.result is not None:
            label = str(record.params[FINALIST])
            found[int(str(record.params[BLOCK])), label] = record.spec.key
            costs.setdefault(label, []).append(record.result.metrics.get(COST, 0.0))
    labels = [finalist.label for finalist in confirmation.finalists]
    whole = [b for b in range(confirmation.blocks) if all((b, label) in found for label in labels)]
    whole = _whole_repeats(store, whole, found, labels[0])
    if not whole:
        return None
    read = {key: store.read(found[key]) for key in found if key[0] in whole}
    arrays = {key: record.result.arrays for key, record in read.items() if record.result}
    outcomes = Outcomes(
        np.array([[arrays[b, label]["block_correct"] != 0 for b in whole] for label in labels]),
        np.array([arrays[b, labels[0]]["block_images"] for b in whole], np.int64),
    )
    means = {label: float(np.mean(values)) for label, values in costs.items()}
    return decide(outcomes, confirmation.finalists, means)


def _whole_repeats(
    store: RecordStore,
    blocks: Sequence[int],
    found: dict[tuple[int, str], str],
    label: str,
) -> list[int]:
    """Return as many of these blocks as have every image equally often, twice at least."""
    counts: dict[int, int] = {}
    best: list[int] = []
    taken: list[int] = []
    for block in blocks:
        result = store.read(found[block, label]).result
        assert result is not None
        taken.append(block)
        for image in result.arrays["block_images"].tolist():
            counts[image] = counts.get(image, 0) + 1
        repeats = set(counts.values())
        if len(repeats) == 1 and repeats.pop() >= 2:
            best = list(taken)
    return best
