"""Confirms one configuration under several names: does the verdict keep quiet, as it must?

It is an A/A test of somebody's own experiment. Names differ by the seeds of their trainings alone,
so that whoever is called worse is called so by chance. A first training is made twice with one
seed, too: does the seed decide it?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from sweeps.capabilities import FOLDS_A_REPEAT
from sweeps.config.options import RunOptions
from sweeps.confirm.best import LOOKS
from sweeps.confirm.checks import (
    asked_by,
    check_code,
    check_data,
    check_offers,
    cross_validation_experiment,
)
from sweeps.confirm.comparison import Verdict, compare_finalists
from sweeps.confirm.finalists import BLOCK_ACCURACY, Finalist, Scored, choose_best
from sweeps.confirm.planning import (
    CONTROL_FOLDER,
    SPACE,
    HowToTrain,
    begun_in,
    ended_trials,
    name_for,
    own_folder,
)
from sweeps.confirm.votes import classes_of
from sweeps.errors import UsageError
from sweeps.experiments.folds import AGAIN
from sweeps.home import Home
from sweeps.launch import run_options
from sweeps.records import FINALIST, FOLD, Checked, RecordStore, SweepInfo, need_one_objective
from sweeps.workspace.files import make_folder, write_atomically

NAMES: Final = 5
FOLDER: Final = "same"
"""Folder of the space, beside that of random trials: it is no confirmation of the sweep."""


@dataclass(frozen=True)
class SameResult:
    """The result of a check.

    Attributes:
        name: Name of the sweep that trained.
        trial: The trial whose configuration it was.
        stopped_by: Why it ended early; None if it is whole.
        verdict: The verdict; None without two whole repeats of folds.
        has_seeds: Whether the names had different seeds; if not, all answered alike.
        checked: What training twice with one seed gave; None if it was not made.
    """

    name: str
    trial: int
    stopped_by: str | None
    verdict: Verdict | None
    has_seeds: bool
    checked: Checked | None

    @property
    def called(self) -> Sequence[str]:
        """The names that are called not the best; those beside a leader that is called better."""
        standings = self.verdict.standings if self.verdict else ()
        return [one.finalist.label for one in standings if not one.may_be_best]


def check_same(home: Home, info: SweepInfo, folds: int, how: HowToTrain) -> SameResult:
    """Train the best configuration of a sweep under five names on fresh folds, and compare them.

    The same command goes on with it, and trains nothing twice.

    Raises:
        UsageError: The sweep cannot be confirmed, or has no complete trial; nothing was begun.
    """
    if folds % FOLDS_A_REPEAT:
        raise UsageError(f"--folds {folds}: give a multiple of four, so that all samples count")
    need_one_objective(info)
    how = how.about(info)
    if home.is_running(info.id):
        raise UsageError(f"sweep {info.name!r} is running: check it when it has ended")
    store = home.store(info.id)
    path, scored = cross_validation_experiment(home, info)
    experiment, data = check_data(home, info, how.data)
    best = choose_best(info, store.read_all(), scored)
    if best is None:
        raise UsageError(f"sweep {info.name!r} has no complete trial to check")
    check_offers(info.experiment, experiment, scored, best.config, folds)
    check_code(store, info, same_code=how.same_code)
    finalists = _finalists(best, has_again=AGAIN in experiment.parameters)
    high = experiment.parameters[FOLD].high
    most = max(folds, LOOKS[-1] if high is None else min(LOOKS[-1], int(high) + 1))
    space = _space(path, scored, finalists, most)
    folder = own_folder(home, store.folder / CONTROL_FOLDER, FOLDER, space)
    make_folder(folder)
    write_atomically(folder / SPACE, space.encode(), "conclusion")
    home.publish(info.id)  # so that another host can continue it
    can_check = how.workers != 0 and not path.startswith("script:")
    asked = RunOptions(
        str(folder / SPACE), name=name_for(home, folder, f"{info.name}-{FOLDER}"),
        trials=folds * NAMES, home=home.path, storage=home.storage, workers=how.workers,
        same_code=how.same_code, check_determinism=can_check, tracking_uri=how.tracking_uri,
        data=how.data,
    )  # fmt: skip
    begun = begun_in(home, folder)
    stopped_by = None
    if begun is None or ended_trials(home, begun) < folds * NAMES:
        ran = run_options(asked, progress=how.progress)
        begun, stopped_by = ran.info, ran.summary.stopped_by
    trained = home.store(begun.id)
    compared = compare_finalists(
        trained,
        finalists,
        folds,
        classes=classes_of(experiment, data) if scored == BLOCK_ACCURACY else None,
        margin=asked_by(info).margin,
        scored=scored,
    )
    verdict = compared.verdict if compared else None
    return SameResult(
        begun.name,
        best.trial,
        stopped_by,
        verdict,
        has_seeds=_has_seeds(trained),
        checked=trained.checked(),
    )


def _finalists(best: Finalist, *, has_again: bool) -> list[Finalist]:
    return [
        Finalist(
            f"same-{number}",
            best.trial,
            {**best.config, **({AGAIN: number - 1} if has_again else {})},
            best.searched,
            number,
        )
        for number in range(1, NAMES + 1)
    ]


def _has_seeds(store: RecordStore) -> bool:
    """Whether two names scored differently on one fold."""
    scores: dict[object, set[float]] = {}
    for record in store.read_all():
        if record.outcome == "complete" and record.objective is not None:
            scores.setdefault(record.params.get(FOLD), set()).add(record.objective)
    return any(len(found) > 1 for found in scores.values())


def _space(experiment: str, scored: Scored, finalists: Sequence[Finalist], folds: int) -> str:
    names = list(finalists[0].config)
    own = AGAIN if AGAIN in names else names[0]  # a name has to set something, the same or not
    document: dict[str, Any] = {
        "description": "One configuration under several names, on the same fresh folds",
        "experiment": experiment,
        "objective": {"metric": scored.metric, "direction": scored.direction},
        "parameters": {
            FOLD: {"type": "int", "low": 0, "high": folds - 1},
            FINALIST: {
                "type": "categorical",
                "choices": {one.label: {own: one.config[own]} for one in finalists},
            },
        },
        "fixed": {name: finalists[0].config[name] for name in names if name != own},
        "defaults": {"trials": folds * NAMES, "sampler": "grid", "pruner": "none"},
    }
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text
