"""Prepares and runs the confirmation of a sweep: a sweep of its own, finalists by fresh blocks.

So everything a sweep has, a confirmation has: workers, records, resumption after any kill, runs in
MLflow, doctor. Its space is a file in the folder of the sweep it confirms, by which they know each
other whatever people call them; the same command goes on with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sweeps.abilities import Confirms
from sweeps.config import SPLIT_SEED
from sweeps.coordinator.run import run_options
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.experiment_loading import load_experiment
from sweeps.finalizing.finalists import Finalist, confirming_space, luck_space, refit_space
from sweeps.home import Home
from sweeps.naming import free_name
from sweeps.options import RunOptions
from sweeps.progress import Mode
from sweeps.records import SweepInfo
from sweeps.records.files import make_folder, write_atomically

SPACE: Final = "space.yaml"
LUCK, REFIT = "luck", "refit"
"""Folders, in a confirmation's, of the spaces that measure luck and train the winner on all."""


@dataclass(frozen=True)
class Confirmation:
    """A confirmation that is to be run, or goes on.

    Attributes:
        name: Of its sweep.
        folder: With its space.
        finalists: Who takes part.
        blocks: On how many blocks.
        experiment: Import path of what trains on blocks.
    """

    name: str
    folder: Path
    finalists: Sequence[Finalist]
    blocks: int
    experiment: str


def blocks_experiment(info: SweepInfo) -> str:
    """Return the import path of the experiment that trains a sweep's configurations on blocks.

    Raises:
        UsageError: Its experiment has no fresh blocks.
    """
    directory = Path(info.directory) if info.directory else None
    on_blocks = getattr(load_experiment(info.experiment, directory), "on_blocks", None)
    if not isinstance(on_blocks, str):
        raise UsageError(
            f"experiment {info.experiment!r} has no fresh blocks to confirm on; give it "
            f"`on_blocks` (see `{Confirms.__name__}` in sweeps/abilities.py)"
        )
    return on_blocks


def check_data(info: SweepInfo, source: str | None) -> None:
    """Refuse data that are not the sweep's: V0 would not be what scored its trials.

    Raises:
        UsageError: They are others, or unreadable.
    """
    directory = Path(info.directory) if info.directory else None
    experiment: Experiment = load_experiment(blocks_experiment(info), directory)
    try:
        data = experiment.prepare(source, SPLIT_SEED)
    except (ValueError, OSError) as error:
        raise UsageError(f"data of the confirmation: {error}") from None
    if (data.digest, data.split_digest) != (info.data.get("digest"), info.data.get("split_digest")):
        raise UsageError(
            f"sweep {info.name!r} was made on other data ({info.data.get('name')}); name them by "
            "--data, nothing was begun"
        )


def plan_confirmation(
    home: Home, info: SweepInfo, finalists: Sequence[Finalist], blocks: int
) -> Confirmation:
    """Write the space of a confirmation, or find it.

    One that was begun with the same finalists goes on; with others, another one begins.

    Raises:
        UsageError: The experiment has no fresh blocks.
    """
    experiment = blocks_experiment(info)
    text = confirming_space(experiment, finalists, blocks)
    sweep_folder = home.store(info.id).folder
    begun = {Path(i.directory or ""): i for i in home.sweeps() if i.directory}
    folders = (sweep_folder / f"finalists-{number}" for number in itertools.count(1))
    folder = next(f for f in folders if _space_in(f) in ({text} if f in begun else {text, None}))
    name = f"{info.name}-final"
    if folder in begun:
        name = begun[folder].name
    elif home.find(name) is not None:
        name = free_name(name, [other.name for other in home.sweeps()])
    make_folder(folder / LUCK)
    write_atomically(folder / SPACE, text.encode(), "conclusion")
    favourite = next((f for f in finalists if f.place == 1), finalists[0])
    luck = luck_space(experiment, favourite, blocks)
    write_atomically(folder / LUCK / SPACE, luck.encode(), "conclusion")
    return Confirmation(name, folder, finalists, blocks, experiment)


def _space_in(folder: Path) -> str | None:
    try:
        return (folder / SPACE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class HowToTrain:
    """What is the same for everything that finalising trains; see `RunOptions`."""

    workers: int | None = None
    tracking_uri: str | None = None
    data: str | None = None
    progress: Mode = "auto"


@dataclass(frozen=True)
class Ran:
    """A sweep that was run for finalising, or was whole already.

    Attributes:
        info: The sweep.
        stopped_by: What ended it early; None if it is whole.
        tracking_pending: Runs that MLflow lacks.
    """

    info: SweepInfo
    stopped_by: str | None = None
    tracking_pending: int = 0


def run_confirmation(confirmation: Confirmation, home: Home, how: HowToTrain) -> Ran:
    """Train every finalist on every block; what was trained before is not trained again."""
    trials = confirmation.blocks * len(confirmation.finalists)
    return _run(confirmation.folder / SPACE, confirmation.name, trials, home, how)


def run_again(confirmation: Confirmation, home: Home, how: HowToTrain) -> Ran:
    """Train the search's best again, on the search's split: as often as there are blocks."""
    folder = confirmation.folder / LUCK
    name = _name_beside(confirmation, home, folder, LUCK)
    return _run(folder / SPACE, name, confirmation.blocks, home, how)


def run_refit(
    confirmation: Confirmation, home: Home, how: HowToTrain, winner: Finalist, epochs: int
) -> Ran:
    """Train the winner on everything but the test part, once, for as many epochs as it needs."""
    folder = confirmation.folder / REFIT
    make_folder(folder)
    text = refit_space(confirmation.experiment, winner, epochs)
    write_atomically(folder / SPACE, text.encode(), "conclusion")
    return _run(folder / SPACE, _name_beside(confirmation, home, folder, "refit"), 1, home, how)


def _name_beside(confirmation: Confirmation, home: Home, folder: Path, what: str) -> str:
    """Return the name of a sweep beside a confirmation: its own if it was begun, or a free one."""
    begun = next((i for i in home.sweeps() if i.directory == str(folder)), None)
    name = begun.name if begun else f"{confirmation.name.removesuffix('-final')}-{what}"
    if begun is None and home.find(name) is not None:
        name = free_name(name, [other.name for other in home.sweeps()])
    return name


def _run(space: Path, name: str, trials: int, home: Home, how: HowToTrain) -> Ran:
    whole = next((i for i in home.sweeps() if i.directory == str(space.parent)), None)
    if whole is not None:
        records = home.store(whole.id).read_all()
        if len({r.spec.slot for r in records if r.outcome == "complete"}) >= trials:
            return Ran(whole)
    asked = RunOptions(
        str(space), name=name, trials=trials, home=home.path, workers=how.workers,
        tracking_uri=how.tracking_uri, data=how.data,
    )  # fmt: skip
    result = run_options(asked, progress=how.progress)
    return Ran(result.info, result.summary.stopped_by, result.summary.tracking_pending)
