"""One sweep in a home, as Python hands it out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sweeps.errors import StoreError, TrialsError, UsageError
from sweeps.experiment_loading import experiment_folder
from sweeps.home import Home
from sweeps.naming import check_trial
from sweeps.options import options_of, python_words
from sweeps.records import Conclusions, RecordError, SweepInfo, Telling, need_one_objective
from sweeps.report.numbers import counted, format_metric
from sweeps.report.slots import STATES, SlotRow, best_row, front_rows, slot_rows
from sweeps.tracking.address import resolve_tracking_uri
from sweeps.tracking.champion import ALIAS
from sweeps.tracking.locating import registered_model
from sweeps.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from sweeps.progress import Mode
    from sweeps.report.summary import Summary

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
                f"it ends, if its experiment serves models (`Serves` in sweeps/abilities.py); "
                f"`sweeps sync {self.name}` sends what is missing"
            )
        return f"models:/{name}@{ALIAS}"

    def rows(self) -> list[SlotRow]:
        """Return one row a slot."""
        return slot_rows(self.home.store(self.info.id).read_all())

    def trials(self) -> pd.DataFrame:
        """Return one typed row a slot."""
        from sweeps.report.table import to_frame

        return to_frame(self.rows(), objectives=self.info.objectives, space=self.info.space)

    def history(self) -> pd.DataFrame:
        """Return per-epoch metrics in long form; see `sweeps.history`."""
        from sweeps.report.frames import history_frame

        return history_frame(self.home.store(self.info.id).read_all())

    def confusion(self, trial: int | None = None, epoch: int | None = None) -> pd.DataFrame:
        """Return the confusion counts of a trial; see `sweeps.confusion`."""
        from sweeps.report.frames import confusion_frame

        chosen = self.best() if trial is None else self.trial(trial)
        return confusion_frame(chosen.record, epoch)

    def report(self, file: str | Path, figures: str | Path | None = None) -> Path:
        """Write the sweep as one HTML page, as `sweeps report` does; return its path.

        Args:
            file: The page.
            figures: Folder, made if need be, that gets every chart as a PNG.
        """
        from sweeps.report.reading import read_sweep
        from sweeps.report.reporting import draw_charts, render_report
        from sweeps.report.sections import report_sections

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
        from sweeps.finalizing.confirming import HowToTrain
        from sweeps.finalizing.finalize import FinalizeOptions, finalize

        how = HowToTrain(progress=progress)
        options = FinalizeOptions(top, blocks, control, how=how, leave_out=leave_out)
        result = finalize(self.home, self.info, options)
        if result.failure:
            raise TrialsError(result.failure)
        return list(result.tellings)

    @python_words()
    def retry(self, *trials: int, progress: Mode = "auto", **options: Any) -> Sweep:
        """Run failed trials again, once their cause is mended, as `sweeps retry` does.

        Args:
            *trials: Their numbers; none for all that failed.
            progress: `auto`, `plain`, `json` or `quiet`.
            **options: What runs them, of the fields of `sweeps.options.RunOptions`: `workers`,
                `executor`, `trust_cluster`, `resources`, `data`, `retries`, `trial_timeout`,
                `max_failures_in_row`, `same_code`, `tracking_uri`.

        Raises:
            UsageError: One of them did not fail, or the sweep is running.
            TrialsError: So many trials in a row failed again that it was stopped.
            KeyboardInterrupt: Ctrl-C stopped it; the same call goes on.
            SystemExit: SIGTERM or SIGHUP stopped it.
        """
        from sweeps.coordinator.retrying import retry

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
