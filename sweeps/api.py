"""The framework from Python: run a sweep, look at it, load its best model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.errors import TrialsError, UsageError
from sweeps.experiment_loading import experiment_folder
from sweeps.home import Home
from sweeps.options import RunOptions
from sweeps.records import Conclusions, SweepInfo, Telling, need_one_objective
from sweeps.report.slots import SlotRow, best_row, front_rows, slot_rows
from sweeps.tracking.champion import ALIAS, model_name
from sweeps.trial import Trial

if TYPE_CHECKING:
    import pandas as pd

    from search_spaces.loading import SpaceSource
    from sweeps.progress import Mode
    from sweeps.report.summary import Summary


@dataclass(frozen=True)
class Sweep:
    """A sweep in a home."""

    home: Home
    info: SweepInfo = field(repr=False)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.info.name

    @property
    def directory(self) -> Path | None:
        """Folder in which its experiment is looked up first; see `experiment_folder`."""
        return experiment_folder(self.info, self.home.records)

    @property
    def model_uri(self) -> str:
        """Address of the best trial's model in MLflow's registry, for `mlflow models serve -m`.

        It is registered when the sweep ends or is sent, if its experiment serves models.

        Raises:
            UsageError: The sweep has several objectives: no model of it is the best.
        """
        need_one_objective(self.info)
        return f"models:/{model_name(self.info)}@{ALIAS}"

    def rows(self) -> list[SlotRow]:
        """Return one row a slot."""
        return slot_rows(self.home.store(self.info.id).read_all())

    def trials(self) -> pd.DataFrame:
        """Return one typed row a slot."""
        from sweeps.report.table import to_frame

        return to_frame(self.rows(), objectives=self.info.objectives)

    def history(self) -> pd.DataFrame:
        """Return per-epoch metrics in long form; see `sweeps.history`."""
        from sweeps.report.frames import history_frame

        return history_frame(self.home.store(self.info.id).read_all())

    def confusion(self, trial: int | None = None, epoch: int | None = None) -> pd.DataFrame:
        """Return the confusion counts of a trial; see `sweeps.confusion`."""
        from sweeps.report.frames import confusion_frame

        chosen = self.best() if trial is None else self.trial(trial)
        return confusion_frame(chosen.record, epoch)

    def report(self, file: str | Path) -> Path:
        """Write the sweep as one HTML page, as `sweeps report` does; return its path."""
        from sweeps.report.reading import read_sweep
        from sweeps.report.reporting import render_report
        from sweeps.report.sections import report_sections

        data = read_sweep(self.info, self.home.store(self.info.id))
        page = render_report(data, report_sections(data))
        Path(file).write_text(page, encoding="utf-8")
        return Path(file).resolve()

    def finalize(
        self,
        *,
        top: int | None = None,
        blocks: int | None = None,
        control: int = 0,
        progress: Mode = "auto",
    ) -> list[Telling]:
        """Train the best again on fresh blocks, as `sweeps finalize` does; return what it says.

        Empty if it was interrupted (the same call goes on), or there are too few blocks.

        Args:
            top: How many of the best trials; None: as it was finalised before, at first 5.
            blocks: On how many blocks, a multiple of four, 8 at least; None: likewise, at first 20.
            control: Random trials whose best is confirmed as well.
            progress: `auto`, `plain`, `json` or `quiet`.

        Raises:
            UsageError: There is nothing to compare, or nothing to compare it on.
        """
        from sweeps.finalizing.confirming import HowToTrain
        from sweeps.finalizing.finalize import FinalizeOptions, finalize

        how = HowToTrain(progress=progress)
        options = FinalizeOptions(top, blocks, control, how=how)
        return list(finalize(self.home, self.info, options).tellings)

    def retry(self, *trials: int, progress: Mode = "auto", **options: Any) -> Sweep:
        """Run failed trials again, once their cause is mended, as `sweeps retry` does.

        Args:
            *trials: Their numbers; none for all that failed.
            progress: `auto`, `plain`, `json` or `quiet`.
            **options: What runs them, of the fields of `sweeps.options.RunOptions`: `workers`,
                `data`, `retries`, `trial_timeout_seconds`, `max_failures_in_row`, `tracking_uri`.

        Raises:
            UsageError: One of them did not fail, or the sweep is running.
            TrialsError: So many trials in a row failed again that it was stopped.
            KeyboardInterrupt: Ctrl-C stopped it; the same call goes on.
            SystemExit: SIGTERM or SIGHUP stopped it.
        """
        from sweeps.coordinator.retrying import retry

        asked = RunOptions(self.name, **options)
        retried = retry(self.home, self.info, trials, asked, progress=progress)
        _raise_what_stopped(retried.result.summary)
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
        finalized = Conclusions(self.home.store(self.info.id).folder).finalized()
        info = self.home.find(finalized.trained_in) if finalized else None
        if finalized is None or info is None:
            return self.best()
        return Sweep(self.home, info).trial(int(finalized.champion.partition("-")[0]))

    def trial(self, slot: int) -> Trial:
        """Return one trial by its number.

        Raises:
            UsageError: The sweep has no record of it.
        """
        row = next((row for row in self.rows() if row.slot == slot), None)
        if row is None:
            raise UsageError(f"sweep {self.name!r} has no trial {slot}")
        return Trial(self, row)


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
        overrides: `name=value` texts as for `--set`.
        home: Folder of records and databases; `mlruns` if None.
        progress: `auto`, `plain`, `json` or `quiet`.
        **options: The other fields of `sweeps.options.RunOptions`.

    Raises:
        UsageError: Something asked for cannot be done.
        TrialsError: So many trials in a row failed that it was stopped.
        KeyboardInterrupt: Ctrl-C stopped it; the same call goes on.
        SystemExit: SIGTERM or SIGHUP stopped it.
    """
    from search_spaces.bodies.importing import being_imported
    from sweeps.coordinator.run import run_options

    module = being_imported()
    if module is not None:
        raise UsageError(
            f"{module} runs a sweep while it is imported for one, which would never end; put what "
            'runs under `if __name__ == "__main__":`'
        )
    asked = RunOptions(
        space, trials=trials, name=name, seed=seed, overrides=overrides, home=home, **options
    )
    result = run_options(asked, progress=progress)
    _raise_what_stopped(result.summary)
    return Sweep(Home.resolve(home, asked.storage), result.info)


def _raise_what_stopped(summary: Summary) -> None:
    """Raise what ended a run before it was done; see `run`."""
    if summary.stopped_by == "interrupt":
        raise KeyboardInterrupt
    if summary.stopped_by in {"terminate", "hangup"}:
        raise SystemExit(143 if summary.stopped_by == "terminate" else 129)
    if summary.failure_cause:
        raise TrialsError(summary.failure_cause)


def load(name: str, home: str | Path | None = None, storage: str | None = None) -> Sweep:
    """Return an existing sweep by name or id.

    Args:
        name: Name or id.
        home: Folder of records and databases; `mlruns` if None.
        storage: The database that the home is a copy of, if it is; `SWEEPS_STORAGE` if None.

    Raises:
        UsageError: There is none of that name; the message lists those that exist.
    """
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
