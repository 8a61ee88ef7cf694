"""The framework from Python: what the commands do, as functions that return what commands print.

They refuse what cannot be done by `UsageError` before anything is created; a message names the
argument that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from search_spaces.bodies.importing import being_imported
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.naming import trial_of
from sweeps.options import options_of, python_words
from sweeps.sweep import Sweep, raise_what_stopped
from sweeps.trial import Trial

if TYPE_CHECKING:
    import pandas as pd

    from search_spaces.loading import SpaceSource
    from sweeps.enqueuing import Enqueued
    from sweeps.planning import SweepPlan
    from sweeps.progress import Mode
    from sweeps.replaying import Replayed
    from sweeps.report.comparing import Comparison

__all__ = [
    "Sweep",
    "Trial",
    "compare",
    "confusion",
    "enqueue",
    "export",
    "history",
    "load",
    "plan",
    "replay",
    "run",
    "trials",
]


@python_words()
def run(
    space: SpaceSource,
    *,
    trials: int | None = None,
    name: str | None = None,
    seed: int = 0,
    overrides: Sequence[str] = (),
    home: str | Path | None = None,
    progress: Mode = "auto",
    **options: Any,
) -> Sweep:
    """Run a sweep, or continue the one of that name.

    Args:
        space: Name in the catalogue, path of a YAML file, a function decorated with
            `search_spaces.python_space.space` or its `module:function`, or a `Space`. Workers need
            no function of a space, but they import the experiment: one that a notebook defines is
            trained with `workers=0`.
        trials: Slots with an outcome in total; the space's default if None.
        name: Of the sweep; the space's name if None.
        seed: Decides every trial.
        overrides: `name=value` texts, such as `["learning_rate=1e-3", "units_1=16..64"]`.
        home: Folder of records and databases; `mlruns` if None.
        progress: `auto`, `plain`, `json` or `quiet`.
        **options: The other fields of `sweeps.options.RunOptions`, such as `timeout="1h30m"`.

    Raises:
        TypeError: There is no such argument.
        UsageError: Something asked for cannot be done.
        TrialsError: So many trials in a row failed that it was stopped.
        KeyboardInterrupt: Ctrl-C stopped it; the same call goes on.
        SystemExit: SIGTERM or SIGHUP stopped it.
    """
    from sweeps.coordinator.run import run_options

    module = being_imported()
    if module is not None:
        raise UsageError(
            f"{module} runs a sweep while it is imported for one, which would never end; put what "
            'runs under `if __name__ == "__main__":`'
        )
    given = {"trials": trials, "name": name, "seed": seed, "overrides": overrides, "home": home}
    asked = options_of(space, {**given, **options})
    result = run_options(asked, progress=progress)
    raise_what_stopped(result.summary)
    return Sweep(Home.resolve(home, asked.storage), result.info)


@python_words()
def plan(space: SpaceSource, **options: Any) -> SweepPlan:
    """Validate a space and return what would run, as `sweeps plan` shows it; creates nothing.

    Args:
        space: As for `sweeps.run`.
        **options: The fields of `sweeps.options.RunOptions`.

    Returns:
        `trials`, the next configurations; `left`, how many trials would be run; `seconds`, about
        how long that takes; `config`, everything that was validated.

    Raises:
        TypeError: There is no such argument.
        UsageError: Something asked for cannot be done.
    """
    from sweeps.config import resolve
    from sweeps.planning import make_plan

    return make_plan(resolve(options_of(space, options)))


@python_words()
def compare(
    *trials: str | Sweep | Trial, data: str | Path | None = None, home: str | Path | None = None
) -> Comparison:
    """Compare sweeps (each by its best trial) or trials: what differs, by how much, how surely.

    Args:
        *trials: At least two: `"mlp"` or a `Sweep`, `"mlp:7"` or a `Trial`. The others are compared
            with the first.
        data: Their data, where they are not the experiment's own.
        home: Of those that are given by name.

    Raises:
        UsageError: There is no such sweep or trial, or no trial of it is best.
    """
    from sweeps.report.comparing import compare as put_side_by_side

    found = []
    for sweep, number in (_side(one, home) for one in trials):
        found.append((sweep.info, sweep.home.store(sweep.info.id), number))
    return put_side_by_side(found, _source(data))


def _side(given: str | Sweep | Trial, home: str | Path | None) -> tuple[Sweep, int | None]:
    if isinstance(given, Trial):
        return given.sweep, given.slot
    if isinstance(given, Sweep):
        return given, None
    name, number = trial_of(given) if isinstance(given, str) else (given, None)
    return load(name, home), number


@python_words()
def export(
    name: str | Sweep,
    folder: str | Path,
    *,
    trial: int | None = None,
    data: str | Path | None = None,
    home: str | Path | None = None,
) -> list[Path]:
    """Write a model with its configuration and a README, as `sweeps export` does.

    It is written only if it answers as the one that was trained, where that can be told.

    Args:
        name: The sweep, or its name.
        folder: Must not exist, or be empty; appears whole or not at all.
        trial: Number of the trial; None for the confirmed winner, or the best observed.
        data: Its data, where they are not the experiment's own.
        home: Where the sweep lies.

    Returns:
        The files that were written.

    Raises:
        UsageError: The folder is taken, the experiment exports nothing, or it is not the same.
    """
    from sweeps.exporting import export_trial

    sweep = _sweep(name, home)
    chosen = sweep.champion() if trial is None else sweep.trial(trial)
    return export_trial(chosen, Path(folder), _source(data))


@python_words()
def replay(
    name: str | Sweep,
    trial: int | None = None,
    *,
    restore: bool = False,
    data: str | Path | None = None,
    home: str | Path | None = None,
    tracking_uri: str | None = None,
) -> Replayed:
    """Train a trial again from its record alone, in this process, and compare every epoch.

    Args:
        name: The sweep, or its name; without `trial` the id of the trial's run in MLflow.
        trial: Its number.
        restore: Keep its weights again, if they are the same.
        data: Its data, where they are not the experiment's own.
        home: Where the sweep lies.
        tracking_uri: Store of MLflow that knows the run; None for the one of the home.

    Returns:
        `is_bit_equal`; `differences`; `succeeded`: bit-equal, or within a tolerance where versions
        or processor differ.

    Raises:
        UsageError: There is no such trial, or its experiment or data cannot be had, or are others.
    """
    from sweeps.replaying import find_trained, replay_recorded

    found = name.home if isinstance(name, Sweep) else Home.resolve(home)
    wanted = name.info.id if isinstance(name, Sweep) else name
    info, record = find_trained(found, wanted, trial, tracking_uri)
    store = found.store(info.id)
    return replay_recorded(store, info, record, _source(data), restore=restore)


@python_words()
def enqueue(
    name: str | Sweep,
    params: Mapping[str, Any] | None = None,
    *,
    like: int | Literal["best"] | None = None,
    from_sweep: str | Sweep | None = None,
    top: int = 5,
    home: str | Path | None = None,
) -> Enqueued:
    """Queue a point as the next trial of a sweep, also while it runs; it counts as a trial.

    Where no trial is left, one more is added. The same point is queued once.

    Args:
        name: The sweep, or its name.
        params: Every parameter of the point; with `like` those that differ.
        like: Number of the trial that has the others, or `"best"`.
        from_sweep: Instead of a point: the sweep whose best trials, or Pareto front, are queued.
        top: How many of them.
        home: Where the sweeps lie.

    Raises:
        UsageError: The point does not lie in the space, or breaks a constraint.
    """
    from sweeps.enqueuing import enqueue_best_of, enqueue_point

    sweep = _sweep(name, home)
    if (from_sweep is None) == (not params and like is None):
        raise UsageError("enqueue: give a point (params, like) or from_sweep, one of both")
    if params is not None and not isinstance(params, Mapping):
        raise UsageError(f"params {params!r}: give a dict of values by name")
    if from_sweep is None:
        return enqueue_point(sweep, params or {}, like)
    return enqueue_best_of(sweep, _sweep(from_sweep, home).info, top)


def _source(data: str | Path | None) -> str | None:
    return None if data is None else str(data)


def _sweep(name: str | Sweep, home: str | Path | None) -> Sweep:
    return name if isinstance(name, Sweep) else load(name, home)


@python_words()
def load(name: str, home: str | Path | None = None, storage: str | None = None) -> Sweep:
    """Return an existing sweep by name or id.

    Args:
        name: Name or id.
        home: Folder of records and databases; `mlruns` if None.
        storage: The database that the home is a copy of, if it is; `SWEEPS_STORAGE` if None.

    Raises:
        UsageError: There is none of that name; the message lists those that exist.
    """
    if not isinstance(name, str):
        raise UsageError(f"sweep {name!r}: received {type(name).__name__}; give its name or id")
    found = Home.resolve(home, storage)
    return Sweep(found, found.get(name))


def trials(name: str, home: str | Path | None = None) -> pd.DataFrame:
    """Return the trials of a sweep, one typed row a slot; also while it runs.

    Columns, which stay as they are: `slot, state, reason, attempts, origin, seed`, the parameters
    in the order of the space, the headline metrics with the objectives first, with several of them
    `on_front`, `seconds`, `error`.
    """
    return load(name, home).trials()


def history(name: str, home: str | Path | None = None) -> pd.DataFrame:
    """Return per-epoch metrics of a sweep: columns `slot, epoch` (from 1)`, metric, value`."""
    return load(name, home).history()


@python_words()
def confusion(
    name: str,
    trial: int | None = None,
    home: str | Path | None = None,
    epoch: int | None = None,
) -> pd.DataFrame:
    """Return how often each class was taken for each: rows actual, columns predicted.

    Args:
        name: Of the sweep.
        trial: Its number; None for the best observed.
        home: Where the sweep lies.
        epoch: From 1; None for the best one.

    Raises:
        UsageError: There is no such sweep, trial or epoch, or it does not classify.
    """
    return load(name, home).confusion(trial, epoch)
