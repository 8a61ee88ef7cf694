"""The framework from Python: what the commands do, as functions that return what commands print.

They refuse what cannot be done by `UsageError` before anything is created; a message names the
argument that is wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from search_spaces.bodies.importing import being_imported
from sweeps.analysis.rows import STATES, SlotRow, best_row, front_rows, slot_rows
from sweeps.config.options import options_of, python_words
from sweeps.errors import StoreError, TrialsError, UsageError
from sweeps.experiments.code import load_same
from sweeps.experiments.loading import experiment_folder
from sweeps.home import Home
from sweeps.records import (
    Record,
    RecordError,
    SweepInfo,
    Telling,
    confirmed_training,
    need_one_objective,
)
from sweeps.tracking.address import resolve_tracking_uri
from sweeps.tracking.champion import ALIAS
from sweeps.tracking.locating import registered_model
from sweeps.wording import counted, format_metric
from sweeps.workspace.names import check_trial, trial_of

if TYPE_CHECKING:
    import pandas as pd

    from search_spaces.loading import SpaceSource
    from sweeps.analysis.summary import Summary
    from sweeps.progress import Mode
    from sweeps.render.comparing import Comparison
    from sweeps.runner.enqueuing import Enqueued
    from sweeps.runner.planning import SweepPlan
    from sweeps.runner.replaying import Replayed

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


# One trial of a sweep, as Python hands it out.


@dataclass(frozen=True)
class Trial:
    """One trial of a sweep, ready to be looked at or loaded."""

    sweep: Sweep = field(repr=False)
    row: SlotRow

    @property
    def slot(self) -> int:
        """Number of the trial, from 0."""
        return self.row.slot

    @property
    def params(self) -> dict[str, Any]:
        """Its sampled parameters."""
        return dict(self.row.params)

    @property
    def metrics(self) -> dict[str, float]:
        """Its headline metrics, from the restored best weights."""
        return dict(self.row.metrics)

    @property
    def value(self) -> float | None:
        """Its objective, the first if there are several; None unless it is COMPLETE."""
        return self.row.objective

    @property
    def values(self) -> dict[str, float]:
        """What it is worth by objective metric; empty unless it is COMPLETE."""
        objectives = self.sweep.info.objectives
        found = self.row.values(objectives)
        return {one.metric: v for one, v in zip(objectives, found, strict=True)} if found else {}

    @property
    def record(self) -> Record:
        """Everything that was recorded, arrays included."""
        store = self.sweep.home.store(self.sweep.info.id)
        attempts = [r for r in store.read_all() if r.spec.slot == self.slot]
        deciding = [r for r in attempts if r.ends_slot] or attempts
        return store.read(deciding[-1].spec.key)

    @property
    def files(self) -> dict[str, bytes]:
        """What it printed (`stdout.txt`) and wrote (`output/...`) by name, if it is a script.

        Raises:
            RecordError: They are damaged.
        """
        return self.sweep.home.store(self.sweep.info.id).files(self.record)

    def load_model(self) -> Any:
        """Return the trained model with its best-epoch weights.

        Raises:
            UsageError: Its weights are not kept any more, or its experiment's code has changed.
            RecordError: They are damaged.
        """
        record = self.record
        store = self.sweep.home.store(self.sweep.info.id)
        experiment = load_same(store, self.sweep.info, record)
        weights = store.weights(record)
        return experiment.load_model(record.spec.config, weights, record.model_info)


# One sweep in a home, as Python hands it out.


_OF_A_RETRY: Final = (
    "workers",
    "executor",
    "trust_cluster",
    "resources",
    "data",
    "retries",
    "trial_timeout",
    "max_failures_in_row",
    "same_code",
    "tracking_uri",
)


@dataclass(frozen=True)
class Sweep:
    """A sweep in a home."""

    home: Home
    info: SweepInfo = field(repr=False)

    def __repr__(self) -> str:
        return f"<Sweep {self.name!r}: {'; '.join(self._facts().values())}>"

    def _repr_html_(self) -> str:
        """Return it as a notebook shows it."""
        cells = "".join(
            f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>"
            for label, text in {"sweep": self.name, **self._facts()}.items()
        )
        return f"<table>{cells}</table>"

    def _facts(self) -> dict[str, str]:
        """Return what a reader asks first: trials by state, the best, where it lies."""
        place = {"home": str(self.home.path)}
        try:
            rows = self.rows()
        except (OSError, RecordError, StoreError) as error:
            return {"trials": f"cannot be read ({error})", **place}
        states = Counter(row.state for row in rows)
        counts = ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
        return {"trials": counts or "no trial yet", **self._best_in_words(rows), **place}

    def _best_in_words(self, rows: list[SlotRow]) -> dict[str, str]:
        if self.info.has_front:
            front = front_rows(rows, self.info.objectives)
            return {"best": f"{counted(len(front), 'trial')} on the Pareto front"} if front else {}
        row = best_row(rows, self.info.direction)
        if row is None or row.objective is None:
            return {}
        value = f"{self.info.metric} {format_metric(row.objective)}"
        return {"best": f"best observed trial {row.slot}, {value}"}

    @property
    def name(self) -> str:
        """The sweep's name, as people call it."""
        return self.info.name

    @property
    def directory(self) -> Path | None:
        """Folder in which its experiment is looked up first; see `experiment_folder`."""
        return experiment_folder(self.info, self.home.records)

    @property
    def model_uri(self) -> str:
        """Address of the best trial's model in MLflow's registry, for `mlflow models serve -m`.

        It is registered when the sweep ends or is sent, if its experiment serves models; the
        registry is that of `MLFLOW_TRACKING_URI`, else the home's own.

        Raises:
            UsageError: No model of the sweep is registered there, or it has several objectives: no
                model of it is the best.
        """
        need_one_objective(self.info)
        tracking_uri = resolve_tracking_uri(self.home.path, None)
        name = registered_model(tracking_uri, self.info)
        if name is None:
            raise UsageError(
                f"no model of sweep {self.name!r} is registered: a sweep registers its best when "
                f"it ends, if its experiment serves models (`Serves` in sweeps/capabilities.py); "
                f"`sweeps sync {self.name}` sends what is missing"
            )
        return f"models:/{name}@{ALIAS}"

    def rows(self) -> list[SlotRow]:
        """Return one row a slot."""
        return slot_rows(self.home.store(self.info.id).read_all())

    def trials(self) -> pd.DataFrame:
        """Return one typed row a slot."""
        from sweeps.analysis.table import to_frame

        return to_frame(self.rows(), objectives=self.info.objectives, space=self.info.space)

    def history(self) -> pd.DataFrame:
        """Return per-epoch metrics in long form; see `sweeps.history`."""
        from sweeps.analysis.table import history_frame

        return history_frame(self.home.store(self.info.id).read_all())

    def confusion(self, trial: int | None = None, epoch: int | None = None) -> pd.DataFrame:
        """Return the confusion counts of a trial; see `sweeps.confusion`."""
        from sweeps.analysis.table import confusion_frame

        chosen = self.best() if trial is None else self.trial(trial)
        return confusion_frame(chosen.record, epoch)

    def report(self, file: str | Path, figures: str | Path | None = None) -> Path:
        """Write the sweep as one HTML page, as `sweeps report` does; return its path.

        Args:
            file: The page.
            figures: Folder, made if need be, that gets every chart as a PNG.
        """
        from sweeps.analysis.data import read_sweep
        from sweeps.render.reporting import draw_charts, render_report
        from sweeps.render.sections import report_sections

        data = read_sweep(self.info, self.home.store(self.info.id))
        sections = report_sections(data)
        Path(file).write_text(render_report(data, sections), encoding="utf-8")
        if figures is not None:
            folder = Path(figures)
            folder.mkdir(parents=True, exist_ok=True)
            for name, png in draw_charts(sections).items():
                (folder / name).write_bytes(png)
        return Path(file).resolve()

    @python_words()
    def finalize(
        self,
        *,
        top: int | None = None,
        blocks: int | None = None,
        control: int = 0,
        leave_out: Sequence[int] | None = None,
        progress: Mode = "auto",
    ) -> list[Telling]:
        """Train the best again on fresh blocks, as `sweeps finalize` does; return what it says.

        Empty if it was interrupted; the same call goes on.

        Args:
            top: How many of the best trials; None: as it was finalised before, at first 5.
            blocks: On how many blocks, a multiple of four, 8 at least; None: likewise, at first 20.
            control: Random trials whose best is confirmed as well.
            leave_out: Trials that take no part; None: as before, unless `top` is given.
            progress: `auto`, `plain`, `json` or `quiet`.

        Raises:
            UsageError: There is nothing to compare, or nothing to compare it on.
            TrialsError: Trainings failed, so that there is no verdict; says whose, and the ways
                out.
        """
        from sweeps.confirm.confirming import HowToTrain
        from sweeps.confirm.finalize import FinalizeOptions, finalize
        from sweeps.render.sections.confirmed import tell

        how = HowToTrain(progress=progress)
        options = FinalizeOptions(top, blocks, control, how=how, leave_out=leave_out)
        result = finalize(self.home, self.info, options)
        if result.failure:
            raise TrialsError(result.failure)
        return [tell(conclusion) for conclusion in result.conclusions]

    @python_words()
    def retry(self, *trials: int, progress: Mode = "auto", **options: Any) -> Sweep:
        """Run failed trials again, once their cause is mended, as `sweeps retry` does.

        Args:
            *trials: Their numbers; none for all that failed.
            progress: `auto`, `plain`, `json` or `quiet`.
            **options: What runs them, of the fields of `RunOptions`: `workers`,
                `executor`, `trust_cluster`, `resources`, `data`, `retries`, `trial_timeout`,
                `max_failures_in_row`, `same_code`, `tracking_uri`.

        Raises:
            UsageError: One of them did not fail, or the sweep is running.
            TrialsError: So many trials in a row failed again that it was stopped.
            KeyboardInterrupt: Ctrl-C stopped it; the same call goes on.
            SystemExit: SIGTERM or SIGHUP stopped it.
        """
        from sweeps.manage.retrying import retry

        asked = options_of(self.name, options, _OF_A_RETRY)
        retried = retry(self.home, self.info, trials, asked, progress=progress)
        raise_what_stopped(retried.result.summary)
        return self

    def best(self) -> Trial:
        """Return the best trial observed (not confirmed).

        Raises:
            UsageError: No trial is complete yet, or the sweep has several objectives.
        """
        need_one_objective(self.info)
        row = best_row(self.rows(), self.info.direction)
        if row is None:
            raise UsageError(f"sweep {self.name!r} has no complete trial yet")
        return Trial(self, row)

    def pareto_front(self) -> list[Trial]:
        """Return the trials that no other one beats in all objectives (observed, not confirmed).

        The best by the first objective come first; with one, the best and those that equal it.
        """
        return [Trial(self, row) for row in front_rows(self.rows(), self.info.objectives)]

    def champion(self) -> Trial:
        """Return the training of the confirmed winner; the best trial observed until then.

        Raises:
            UsageError: No trial is complete yet, or the sweep has several objectives.
        """
        confirmed = confirmed_training(self.home.store(self.info.id))
        if confirmed is None:
            return self.best()
        _, info, record = confirmed
        return Sweep(self.home, info).trial(record.spec.slot)

    def trial(self, slot: int) -> Trial:
        """Return one trial by its number.

        Raises:
            UsageError: The sweep has no record of it.
        """
        check_trial(slot)
        row = next((row for row in self.rows() if row.slot == slot), None)
        if row is None:
            raise UsageError(f"sweep {self.name!r} has no trial {slot}")
        return Trial(self, row)


def raise_what_stopped(summary: Summary) -> None:
    """Raise what ended a run before it was done; see `sweeps.run`."""
    if summary.stopped_by == "interrupt":
        raise KeyboardInterrupt
    if summary.stopped_by in {"terminate", "hangup"}:
        raise SystemExit(143 if summary.stopped_by == "terminate" else 129)
    if summary.failure_cause:
        raise TrialsError(summary.failure_cause)


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
        **options: The other fields of `RunOptions`, such as `timeout="1h30m"`.

    Raises:
        TypeError: There is no such argument.
        UsageError: Something asked for cannot be done.
        TrialsError: So many trials in a row failed that it was stopped.
        KeyboardInterrupt: Ctrl-C stopped it; the same call goes on.
        SystemExit: SIGTERM or SIGHUP stopped it.
    """
    from sweeps.launch import run_options

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
        **options: The fields of `sweeps.config.options.RunOptions`.

    Returns:
        `trials`, the next configurations; `left`, how many trials would be run; `seconds`, about
        how long that takes; `config`, everything that was validated.

    Raises:
        TypeError: There is no such argument.
        UsageError: Something asked for cannot be done.
    """
    from sweeps.config.sweep import resolve
    from sweeps.runner.planning import make_plan

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
    from sweeps.render.comparing import compare as put_side_by_side

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
    from sweeps.manage.exporting import export_trial

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
    from sweeps.runner.replaying import replay_recorded

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
    from sweeps.runner.enqueuing import enqueue_best_of, enqueue_point

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


def find_trained(
    home: Home, name: str, trial: int | None, tracking_uri: str | None = None
) -> tuple[SweepInfo, Record]:
    """Return a trial that has an outcome, with its arrays.

    Args:
        home: Where it lies.
        name: Of its sweep; without `trial` the id of its run in MLflow.
        trial: Its number.
        tracking_uri: Store of MLflow; None for the one of the home.

    Raises:
        UsageError: There is none.
    """
    if trial is None:
        if not re.fullmatch(r"[0-9a-f]{32}", name):
            raise UsageError(
                f"replay {name}: which trial? Give its number, `sweeps replay {name} 7`, or a run "
                "id alone"
            )
        from sweeps.tracking.address import resolve_tracking_uri
        from sweeps.tracking.runs import attempt_of_run

        sweep_id, key = attempt_of_run(resolve_tracking_uri(home.path, tracking_uri), name)
        info = home.get(sweep_id)
        return info, home.store(info.id).read(key)
    check_trial(trial)
    info = home.get(name)
    store = home.store(info.id)
    ended = [r for r in store.read_all() if r.spec.slot == trial and r.ends_slot]
    if not ended:
        raise UsageError(f"sweep {info.name!r} has no trial {trial} with an outcome")
    return info, store.read(ended[-1].spec.key)
