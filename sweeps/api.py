"""The framework from Python: functions that do what the commands do, and return what they print.

If a request cannot be carried out, they raise `UsageError` before anything is created; the message
names the wrong argument.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from search_spaces.objectives import is_function
from search_spaces.python_space import being_imported
from sweeps.analysis.rows import STATES, TrialRow, best_row, best_rows, front_rows, trial_rows
from sweeps.config.options import (
    CONFIRM_OPTIONS,
    RETRY_OPTIONS,
    RunOptions,
    check_arguments,
    python_words,
)
from sweeps.errors import StoreError, TrialsError, UsageError
from sweeps.experiments.code import load_same
from sweeps.experiments.loading import experiment_folder
from sweeps.home import Home
from sweeps.records import (
    Conclusions,
    Record,
    RecordError,
    SweepInfo,
    WordedConclusion,
    need_one_objective,
)
from sweeps.records.conclusions import confirmed_training
from sweeps.tracking.address import resolve_tracking_uri
from sweeps.tracking.champion import ALIAS
from sweeps.tracking.reading import read_champion
from sweeps.wording import counted, format_metric, format_value
from sweeps.workspace.names import trial_of

if TYPE_CHECKING:
    import pandas as pd

    from search_spaces.loading import SpaceSource
    from search_spaces.space import Space
    from sweeps.analysis.summary import Summary
    from sweeps.progress import Mode
    from sweeps.records.conclusions import EnsembleConclusion
    from sweeps.render.comparing import TrialsCompared
    from sweeps.runner.enqueuing import Enqueued
    from sweeps.runner.planning import SweepPlan
    from sweeps.runner.replaying import Replayed
    from sweeps.study.exchange import SweptStudy


@dataclass(frozen=True)
class Trial:
    """One trial of a sweep, ready to be looked at or loaded."""

    sweep: Sweep = field(repr=False)
    row: TrialRow

    @property
    def number(self) -> int:
        """Trial number, from 0."""
        return self.row.trial

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
        """Value of its objective, the first if there are several; None unless it is COMPLETE."""
        return self.row.objective

    @property
    def values(self) -> dict[str, float]:
        """Values of its objectives, by metric; empty unless it is COMPLETE."""
        objectives = self.sweep.info.objectives
        found = self.row.values(objectives)
        return {one.metric: v for one, v in zip(objectives, found, strict=True)} if found else {}

    @property
    def record(self) -> Record:
        """Everything that was recorded, arrays included."""
        store = self.sweep.home.store(self.sweep.info.id)
        attempts = [r for r in store.read_all() if r.trial == self.number]
        deciding = [r for r in attempts if r.ends_trial] or attempts
        return store.read(deciding[-1].key)

    @property
    def files(self) -> dict[str, bytes]:
        """Files by name; a script has its output (`stdout.txt`) and those it wrote (`output/...`).

        Raises:
            RecordError: The files are damaged.
        """
        return self.sweep.home.store(self.sweep.info.id).files(self.record)

    def load_model(self) -> Any:
        """Return the trained model with its best-epoch weights.

        Raises:
            UsageError: Its weights were deleted, or its experiment's code has changed.
            RecordError: The weights are damaged.
        """
        record = self.record
        store = self.sweep.home.store(self.sweep.info.id)
        experiment = load_same(store, self.sweep.info, record)
        weights = store.weights(record)
        return experiment.load_model(record.config, weights, record.model_info)


_SHOWN: Final = 5


@dataclass(frozen=True)
class Sweep:
    """A sweep in a home; a notebook shows its best trials, the confirmed champion first."""

    home: Home
    info: SweepInfo = field(repr=False)

    def __repr__(self) -> str:
        return f"<Sweep {self.name!r}: {'; '.join(self._facts().values())}>"

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>"
            for label, text in {"sweep": self.name, **self._facts()}.items()
        )
        return f"<table>{cells}</table>{self._best_as_html()}"

    def _best_as_html(self) -> str:
        """Return the best trials as a table, the confirmed champion first; empty without any."""
        try:
            rows, confirmed = self.rows(), Conclusions(self.home.store(self.info.id)).confirmed()
        except (OSError, RecordError, StoreError, UsageError):
            return ""
        verdict = confirmed.verdict if confirmed is not None else None
        taken = verdict.taken.trial if verdict and not verdict.taken.is_control else None
        if self.info.has_front:
            best = front_rows(rows, self.info.objectives)[:_SHOWN]
        else:
            best = best_rows(rows, self.info.direction, _SHOWN)
        best = [
            *(row for row in rows if row.trial == taken and row.state == "COMPLETE"),
            *(row for row in best if row.trial != taken),
        ][:_SHOWN]
        metrics = [one.metric for one in self.info.objectives]
        names = dict.fromkeys(name for row in best for name in row.params)
        table = [["trial", *metrics, *names]] + [
            [
                f"{row.trial}{', champion' if row.trial == taken else ''}",
                *(format_metric(row.metrics[name]) for name in metrics),
                *(format_value(row.params[name]) if name in row.params else "" for name in names),
            ]
            for row in best
        ]
        lines = (
            "".join(f"<{cell}>{escape(str(text))}</{cell}>" for text in line)
            for cell, line in zip(["th", *["td"] * len(best)], table, strict=True)
        )
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>" if best else ""

    def _facts(self) -> dict[str, str]:
        """Return the facts a reader asks for first: trials by state, the best one, the home."""
        place = {"home": str(self.home.path)}
        try:
            rows = self.rows()
        except (OSError, RecordError, StoreError, UsageError) as error:
            return {"trials": f"cannot be read ({error})", **place}
        states = Counter(row.state for row in rows)
        counts = ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
        facts = {"trials": counts or "no trial yet"}
        if self.info.has_front:
            if front := front_rows(rows, self.info.objectives):
                facts["best"] = f"{counted(len(front), 'trial')} on the Pareto front"
        elif (row := best_row(rows, self.info.direction)) is not None and row.objective is not None:
            value = f"{self.info.metric} {format_metric(row.objective)}"
            facts["best"] = f"best observed trial {row.trial}, {value}"
        return {**facts, **place}

    @property
    def name(self) -> str:
        """The sweep's name, as people call it."""
        return self.info.name

    @property
    def directory(self) -> Path | None:
        """Folder that is searched first for its experiment; see `experiment_folder`."""
        return experiment_folder(self.info, self.home.sweeps_folder)

    @property
    def model_uri(self) -> str:
        """Address of the best trial's model in MLflow's registry, for `mlflow models serve -m`.

        The model is registered when the sweep ends or is synced, if the experiment serves models.
        The registry is that of `MLFLOW_TRACKING_URI`, else the home's own.

        Raises:
            UsageError: No model of the sweep is registered there, or the sweep has several
                objectives, so that no model is the best.
        """
        need_one_objective(self.info)
        tracking_uri = resolve_tracking_uri(self.home.path, None)
        champion = read_champion(tracking_uri, self.info)
        if champion is None:
            raise UsageError(
                f"no model of sweep {self.name!r} is registered: a sweep registers its best when "
                f"it ends, if its experiment serves models (`SupportsServing` in "
                f"sweeps/capabilities.py); `sweeps sync {self.name}` sends what is missing"
            )
        return f"models:/{champion.model}@{ALIAS}"

    def rows(self) -> list[TrialRow]:
        """Return one row per trial."""
        return trial_rows(self.home.store(self.info.id).read_all())

    def trials(self) -> pd.DataFrame:
        """Return one typed row per trial; see `sweeps.trials`."""
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

    def report(self, file: str | Path) -> Path:
        """Write the sweep as one HTML page, as `sweeps report` does; return its path."""
        from sweeps.analysis.data import read_sweep
        from sweeps.render.sections import render_report

        data = read_sweep(self.info, self.home.store(self.info.id))
        page = render_report(data)
        Path(file).write_text(page, encoding="utf-8")
        return Path(file).resolve()

    @python_words()
    def confirm(
        self, *, progress: Mode = "auto", workers: int | None = None, **options: Any
    ) -> list[WordedConclusion]:
        """Train the best trials again on fresh folds, as `sweeps confirm` does.

        Args:
            progress: `auto`, `plain`, `verbose`, `json` or `quiet`.
            workers: Worker processes, one a core if None; 0 trains in this process.
            **options: Fields of `sweeps.config.options.WhatToConfirm`, such as `folds=40`.

        Returns:
            The conclusions; empty if it was interrupted, and then the same call goes on.

        Raises:
            TypeError: There is no such argument.
            UsageError: There are no trials to compare, or no data to compare them on.
            TrialsError: Trainings failed, so that there is no verdict; the message says which, and
                the ways out.
        """
        from sweeps.confirm.confirm import ConfirmOptions, confirm
        from sweeps.confirm.planning import HowToTrain
        from sweeps.render.sections.confirmed import put_in_words

        check_arguments(options, list(CONFIRM_OPTIONS))
        how = HowToTrain(progress=progress, workers=workers)
        result = confirm(self.home, self.info, ConfirmOptions(**options, how=how))
        if result.failure:
            raise TrialsError(result.failure)
        return [put_in_words(conclusion) for conclusion in result.conclusions]

    @python_words()
    def retry(self, *trials: int, progress: Mode = "auto", **options: Any) -> Sweep:
        """Run failed trials again, after their cause was repaired, as `sweeps retry` does.

        Args:
            *trials: Numbers of the trials; without any, all failed ones.
            progress: `auto`, `plain`, `verbose`, `json` or `quiet`.
            **options: Fields of `sweeps.config.options.RunOptions` that decide how trials are run,
                such as `workers` or `data`: its `RETRY_OPTIONS`.

        Raises:
            UsageError: One of the trials did not fail, or the sweep is running.
            TrialsError: Too many trials in a row failed again, so the retry was stopped.
            KeyboardInterrupt: Ctrl-C stopped it; the same call goes on.
            SystemExit: SIGTERM or SIGHUP stopped it.
        """
        from sweeps.manage.lifecycle import retry

        check_arguments(options, RETRY_OPTIONS)
        asked = RunOptions(self.name, **options)
        summary, _, _ = retry(self.home, self.info, trials, asked=asked, progress=progress)
        raise_what_stopped(summary)
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
        """Return the Pareto front: the trials that no other one dominates (not confirmed).

        They are ordered by the first objective, the best first. With one objective they are the
        best trial and those equal to it.
        """
        return [Trial(self, row) for row in front_rows(self.rows(), self.info.objectives)]

    def champion(self) -> Trial:
        """Return the training of the confirmed champion; before a confirmation, the best observed.

        Raises:
            UsageError: No trial is complete yet, or the sweep has several objectives.
        """
        confirmed = confirmed_training(self.home.store(self.info.id))
        if confirmed is None:
            return self.best()
        _, info, record = confirmed
        return Sweep(self.home, info).trial(record.trial)

    def trial(self, trial: int) -> Trial:
        """Return one trial by its number.

        Raises:
            UsageError: The sweep has no record of it.
        """
        if not isinstance(trial, int) or isinstance(trial, bool):
            raise UsageError(f"trial {trial!r}: give a whole number from 0 on")
        row = next((row for row in self.rows() if row.trial == trial), None)
        if row is None:
            raise UsageError(f"sweep {self.name!r} has no trial {trial}")
        return Trial(self, row)


def raise_what_stopped(summary: Summary) -> None:
    """Raise the exception for a sweep that was stopped; see `sweeps.run`.

    Raises:
        KeyboardInterrupt: Ctrl-C stopped it.
        SystemExit: SIGTERM or SIGHUP stopped it.
        TrialsError: Too many trials in a row failed.
    """
    if summary.stopped_by == "interrupt":
        raise KeyboardInterrupt
    if summary.stopped_by in {"terminate", "hangup"}:
        raise SystemExit(143 if summary.stopped_by == "terminate" else 129)
    if summary.failure_cause:
        raise TrialsError(summary.failure_cause)


@overload
def run(space: str | os.PathLike[str] | Space, **options: Any) -> Sweep: ...
@overload
def run(space: Callable[..., float | Sequence[float]], **options: Any) -> SweptStudy: ...
@overload
def run(space: Callable[..., Any], **options: Any) -> Sweep | SweptStudy: ...
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
) -> Sweep | SweptStudy:
    """Run a sweep, or continue the one of that name.

    Args:
        space: Name in the catalogue, path of a YAML file, a function decorated with
            `search_spaces.python_space.space` or its `module:function`, or a `Space`. Any other
            function is taken for an objective function of Optuna, `def objective(trial)`, also of a
            notebook, and a lambda.
        trials: Number of trials with an outcome in total; the space's default if None.
        name: Name of the sweep; the space's name if None.
        seed: Seed of the sweep; it decides every trial.
        overrides: `name=value` texts, such as `["learning_rate=1e-3", "units_1=16..64"]`.
        home: Folder of records and databases; `mlruns` if None.
        progress: `auto`, `plain`, `verbose`, `json` or `quiet`.
        **options: The other fields of `RunOptions`, such as `timeout="1h30m"`, or of an objective
            function `direction="maximize"`.

    Returns:
        The sweep; of an objective function that was given as such, its study: `best_params`,
        `best_value`, `trials`, `trials_dataframe()`, and `sweep`.

    Raises:
        TypeError: There is no such argument.
        UsageError: The request cannot be carried out.
        TrialsError: Too many trials in a row failed, so the sweep was stopped.
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
    check_arguments(options)
    asked = RunOptions(
        space, trials=trials, name=name, seed=seed, overrides=overrides, home=home, **options
    )
    result = run_options(asked, progress=progress)
    raise_what_stopped(result.summary)
    sweep = Sweep(Home.resolve(home, asked.storage), result.info)
    if callable(space) and is_function(result.info.experiment):
        from sweeps.study.exchange import study_of

        return study_of(sweep)
    return sweep


@python_words()
def plan(space: SpaceSource, **options: Any) -> SweepPlan:
    """Validate a space and return what would run, as `sweeps plan` does; creates nothing.

    Args:
        space: As for `sweeps.run`.
        **options: Fields of `sweeps.config.options.RunOptions`.

    Returns:
        A plan: `trials`, the next configurations; `left`, the number of trials that would run;
        `seconds`, their estimated duration; `config`, the validated sweep.

    Raises:
        TypeError: There is no such argument.
        UsageError: The request cannot be carried out.
    """
    from sweeps.config.resolving import resolve
    from sweeps.runner.planning import make_plan

    check_arguments(options)
    return make_plan(resolve(RunOptions(space, **options)))


@python_words()
def compare(
    *trials: str | Sweep | Trial, data: str | Path | None = None, home: str | Path | None = None
) -> TrialsCompared:
    """Compare trials, or sweeps by their best trials: what differs, by how much, how surely.

    Args:
        *trials: At least two: `"mlp"` or a `Sweep`, `"mlp:7"` or a `Trial`. The others are compared
            with the first.
        data: Source of their data; None for the experiment's own.
        home: Home of those that are given by name.

    Raises:
        UsageError: There is no such sweep or trial, or a sweep has no best trial.
    """
    from sweeps.render.comparing import compare as put_side_by_side

    found = []
    for sweep, number in (_side(one, home) for one in trials):
        found.append((sweep.info, sweep.home.store(sweep.info.id), number))
    return put_side_by_side(found, _source(data))


def _side(given: str | Sweep | Trial, home: str | Path | None) -> tuple[Sweep, int | None]:
    if isinstance(given, Trial):
        return given.sweep, given.number
    if isinstance(given, Sweep):
        return given, None
    name, number = trial_of(given) if isinstance(given, str) else (given, None)
    return load(name, home), number


@python_words()
def export(
    name: str | Sweep,
    folder: str | Path | None = None,
    *,
    trial: int | None = None,
    ensemble: bool = False,
    data: str | Path | None = None,
    study: str | Path | None = None,
    home: str | Path | None = None,
) -> list[Path]:
    """Write a model with its configuration and a README, as `sweeps export` does.

    If the experiment supports verification, the model is written only if it gives the same answers
    as when it was trained.

    Args:
        name: The sweep, or its name.
        folder: A folder that is empty or does not exist; it appears complete or not at all.
        trial: Trial number; None for the confirmed champion, or the best observed.
        ensemble: Whether to write an ensemble of the trials; see `sweeps best --ensemble`.
        data: Source of its data; None for the experiment's own.
        study: In place of all these, a new SQLite file: all trials that have an outcome are written
            into it as an Optuna study of the sweep's name.
        home: Home of the sweep.

    Returns:
        The files that were written.

    Raises:
        UsageError: The folder is not empty, the experiment exports nothing, or the model gives
            other answers; or the file exists.
    """
    sweep, into = _sweep(name, home), None if folder is None else Path(folder)
    if study is not None:
        export_trials(sweep, Path(study), into, trial, data, ensemble or None)
        return [Path(study)]
    if ensemble:
        return export_ensemble(sweep, trial, into, source=_source(data))[1]
    return export_chosen(sweep, trial, into, source=_source(data))[1]


def export_trials(sweep: Sweep, file: Path, *of_a_model: object) -> tuple[int, list[int]]:
    """Write all trials as an Optuna study; the command and `export` share this function.

    Args:
        sweep: The sweep.
        file: The new file.
        of_a_model: What only the export of a model takes; all must be None.

    Returns:
        How many trials were written, and the numbers of those that were left out.
    """
    from sweeps.study.exchange import export_study

    if any(one is not None for one in of_a_model):
        raise UsageError(
            "--study writes all trials and no model: leave out the folder, --trial, --ensemble and "
            "--data"
        )
    return export_study(sweep.info, sweep.home.store(sweep.info.id).read_all(), file)


def export_chosen(
    sweep: Sweep, trial: int | None, folder: Path | None, *, source: str | None
) -> tuple[Trial, list[Path]]:
    """Write a model; the command and `export` share this function.

    Returns:
        The trial, which is of another sweep if a confirmation trained it, and the files.
    """
    from sweeps.manage.exporting import export_trial

    folder = _given_folder(folder)
    chosen = sweep.champion() if trial is None else sweep.trial(trial)
    own = chosen.sweep
    files = export_trial(
        own.home,
        own.info,
        chosen.record,
        folder=folder,
        source=source,
        champion_of=sweep.info if own.info.id != sweep.info.id else None,
    )
    return chosen, files


def export_ensemble(
    sweep: Sweep, trial: int | None, folder: Path | None, *, source: str | None
) -> tuple[EnsembleConclusion, list[Path]]:
    """Write an ensemble; the command and `export` share this function.

    Returns:
        What it is worth, and the files.
    """
    from sweeps.manage.exporting import export_ensemble as write

    if trial is not None:
        raise UsageError("--ensemble writes several trials: leave --trial out")
    return write(sweep.home, sweep.info, folder=_given_folder(folder), source=source)


def _given_folder(folder: Path | None) -> Path:
    if folder is None:
        raise UsageError("give a folder for a model, or with --study a file for all trials")
    return folder


@python_words()
def replay(
    name: str | Sweep,
    trial: int | None = None,
    *,
    restore: bool = False,
    data: str | Path | None = None,
    workers: int = 1,
    home: str | Path | None = None,
    tracking_uri: str | None = None,
) -> Replayed:
    """Train a trial again from its record alone, in a worker process, and compare every epoch.

    Args:
        name: The sweep, or its name; without `trial`, the id of the trial's run in MLflow.
        trial: Trial number.
        restore: Whether its weights are stored again if they are equal.
        data: Source of its data; None for the experiment's own.
        workers: 0 trains it in this process.
        home: Home of the sweep.
        tracking_uri: Store of MLflow that knows the run; None for the one of the home.

    Returns:
        The comparison: `is_bit_equal`; `differences`; `succeeded`: bit-equal, or within a tolerance
        if versions or processor differ.

    Raises:
        UsageError: There is no such trial, or its experiment or data cannot be loaded or have
            changed.
    """
    from sweeps.runner.replaying import replay_recorded

    found = name.home if isinstance(name, Sweep) else Home.resolve(home)
    wanted = name.info.id if isinstance(name, Sweep) else name
    info, record = find_trained(found, wanted, trial, tracking_uri)
    store = found.store(info.id)
    return replay_recorded(
        store, info, record, source=_source(data), restore=restore, workers=workers
    )


@python_words()
def enqueue(
    name: str | Sweep,
    params: Mapping[str, Any] | None = None,
    *,
    like: int | Literal["best"] | None = None,
    from_sweep: str | Sweep | None = None,
    more_epochs: int | None = None,
    top: int = 5,
    home: str | Path | None = None,
) -> Enqueued:
    """Enqueue a point as the next trial of a sweep, also while it runs; it counts as a trial.

    If the sweep has no trial left to run, one more is added. The same point is queued only once.

    Args:
        name: The sweep, or its name.
        params: Every parameter of the point; with `like`, those that differ.
        like: Number of the trial that the other parameters are taken from, or `"best"`; with
            `more_epochs`, of the trial that gets them.
        from_sweep: Instead of a point: the sweep whose best trials, or Pareto front, are queued.
        more_epochs: Instead of a point: the best trials of the sweep itself are queued, each with
            so many epochs more, from 1. Parameters and seed are the same, so that it comes out as
            if that trial had been given more epochs at once. Trials that their last epoch did not
            end are left out.
        top: How many trials of `from_sweep`, or with `more_epochs`.
        home: Home of the sweeps.

    Returns:
        The points, each with its state, and the trials that were left out.

    Raises:
        UsageError: The point does not lie in the space, or breaks a constraint.
    """
    if params is not None and not isinstance(params, Mapping):
        raise UsageError(f"params {params!r}: give a dict of values by name")
    sweep = _sweep(name, home)
    source = None if from_sweep is None else _sweep(from_sweep, home).info
    return queue(sweep, params or {}, like=like, source=source, more_epochs=more_epochs, top=top)


def queue(
    sweep: Sweep,
    params: Mapping[str, Any],
    *,
    like: int | str | None,
    source: SweepInfo | None,
    more_epochs: int | None,
    top: int,
) -> Enqueued:
    """Enqueue what one of three options asks for; the command and `enqueue` share this function.

    Raises:
        UsageError: See `enqueue`.
    """
    from sweeps.runner.enqueuing import enqueue_best_of, enqueue_longer_of, enqueue_point

    is_point = bool(params) or (like is not None and more_epochs is None)
    if sum((is_point, source is not None, more_epochs is not None)) != 1:
        raise UsageError(
            "give a point (name=value ...), --from SWEEP or --more-epochs N, one of them"
        )
    home, info = sweep.home, sweep.info
    if source is not None:
        return enqueue_best_of(home, info, source, top=top)
    known = None
    if like == "best":
        known = sweep.best()
    elif isinstance(like, int) and not isinstance(like, bool):
        known = sweep.trial(like)
    elif like is not None:
        raise UsageError(f"--like {like!r}: write the number of a trial, or best")
    if more_epochs is not None:
        number = None if known is None else known.number
        return enqueue_longer_of(home, info, more_epochs, trial=number, top=top)
    return enqueue_point(home, info, params, known=known.params if known else {})


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
        storage: Address of the database that the home is a copy of; `SWEEPS_STORAGE` if None.

    Raises:
        UsageError: There is no such sweep; the message lists those that exist.
    """
    if not isinstance(name, str):
        raise UsageError(f"sweep {name!r}: received {type(name).__name__}; give its name or id")
    found = Home.resolve(home, storage)
    return Sweep(found, found.get(name))


def trials(name: str, home: str | Path | None = None) -> pd.DataFrame:
    """Return the trials of a sweep, one typed row per trial; also while the sweep runs.

    The columns are part of the interface: `trial, state, reason, attempts, origin, seed`, the
    parameters in the order of the space, the headline metrics with the objectives first, `on_front`
    if there are several objectives, `seconds`, `error`.
    """
    return load(name, home).trials()


def history(name: str, home: str | Path | None = None) -> pd.DataFrame:
    """Return per-epoch metrics of a sweep: columns `trial`, `epoch` (from 1), `metric`, `value`."""
    return load(name, home).history()


@python_words()
def confusion(
    name: str,
    trial: int | None = None,
    home: str | Path | None = None,
    epoch: int | None = None,
) -> pd.DataFrame:
    """Return the confusion counts of a trial: actual classes in rows, predicted ones in columns.

    Args:
        name: Name of the sweep.
        trial: Trial number; None for the best observed.
        home: Home of the sweep.
        epoch: Epoch, from 1; None for the best one.

    Raises:
        UsageError: There is no such sweep, trial or epoch, or the experiment does not classify.
    """
    return load(name, home).confusion(trial, epoch)


def find_trained(
    home: Home, name: str, trial: int | None, tracking_uri: str | None
) -> tuple[SweepInfo, Record]:
    """Return a trial that has an outcome: its sweep, and its record with arrays.

    Args:
        home: Home of the sweep.
        name: Name of the sweep; without `trial`, the id of the trial's run in MLflow.
        trial: Trial number.
        tracking_uri: Store of MLflow; None for the one of the home.

    Raises:
        UsageError: There is no such trial.
        StoreError: MLflow does not answer.
    """
    if trial is not None:
        sweep = Sweep(home, home.get(name))
        record = sweep.trial(trial).record
        if not record.ends_trial:
            raise UsageError(f"sweep {sweep.name!r} has no trial {trial} with an outcome")
        return sweep.info, record
    if not re.fullmatch(r"[0-9a-f]{32}", name):
        raise UsageError(
            f"replay {name}: which trial? Give its number, `sweeps replay {name} 7`, or a run id "
            "alone"
        )
    from sweeps.tracking.reading import attempt_of_run
    from sweeps.tracking.sync import require_store

    uri = resolve_tracking_uri(home.path, tracking_uri)
    require_store(uri)
    sweep_id, key = attempt_of_run(uri, name)
    info = home.get(sweep_id)
    return info, home.store(info.id).read(key)
