"""Reads trials of recorded sweeps of digits as `TrainedTrial`; only here do the tools meet sweeps.

Records are read again at each call, since trials are recorded while a sweep runs. Prepared data and
trials with their weights take long to read and are kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from digitexp.evaluation.calibration import temperature_to_serve
from digitexp.trained import ShownTrial, TrainedTrial, read_folder
from sweeps.wording import install_command

if TYPE_CHECKING:
    from digitexp.experiments.digits import DigitExperiment
    from digitexp.experiments.folds import DigitsOnFolds
    from sweeps import Sweep, Trial
    from sweeps.capabilities import Trained
    from sweeps.experiment import PreparedData
    from sweeps.experiments.verified_data import PreparedAgain
    from sweeps.records import Record

__all__ = ["CHAMPION", "Recorded", "RecordedFolder", "TrialChoice", "install_command"]

CHAMPION: Final = "champion"
"""Key of the champion of a sweep in a link, whichever trial that is when the link is opened."""
SEARCH: Final = "digitexp.experiment:experiment"
KEPT_DATA: Final = 2
"""The data of a search and of its confirmation: the same images, split in two ways."""
KEPT_TRIALS: Final = 6


@dataclass(frozen=True)
class TrialChoice:
    """A trial that can be chosen.

    Attributes:
        key: Its number, or `CHAMPION`.
        label: Text for people, such as `trial 12 · 0.1874`.
        answers: Whether its weights are kept, so that its network can be asked.
    """

    key: str
    label: str
    answers: bool


class Recorded:
    """The sweeps of one home; several threads may call its methods."""

    def __init__(
        self, home: str | Path | None, storage: str | None = None, source: str | None = None
    ) -> None:
        """Find the home.

        Args:
            home: As `--home`; None for the usual place.
            storage: As `--storage`.
            source: The data, if sweeps ran on data given by a path; None for the embedded ones.

        Raises:
            ValueError: There is no such folder.
        """
        from sweeps.home import Home

        with _in_words():
            self._home = Home.resolve(home, storage)
            self._home.check_exists()
        self._source = source
        self._reading = threading.RLock()
        self._data: OrderedDict[tuple[str, int], PreparedAgain] = OrderedDict()
        self._shown: OrderedDict[tuple[str, str, str], ShownTrial] = OrderedDict()
        self._found: dict[tuple[str, str], tuple[str, str, str]] = {}  # what links stand for by now

    @property
    def where(self) -> str:
        """The folder that is read."""
        return str(self._home.path)

    def sweeps(self) -> list[str]:
        """Return the names of the searches on digits that have a record, the newest first."""
        with self._reading, _in_words():
            self._found.clear()
            self._home.refresh()
            infos = [i for i in self._home.sweeps(_silently) if i.experiment == SEARCH]
            found = [i.name for i in infos if self._home.store(i.id).paths()]
        return found[::-1]

    def trials(self, sweep: str) -> list[TrialChoice]:
        """Return the trials of a sweep that have an outcome, the champion first, then the best.

        Raises:
            ValueError: There is no such sweep.
        """
        with self._reading, _in_words():
            found = self._sweep(sweep)
            rows = [row for row in found.rows() if row.epochs and row.state != "WAITING"]
            sign = 1.0 if found.info.direction == "minimize" else -1.0
            rows.sort(key=lambda r: (r.objective is None, sign * (r.objective or 0), r.trial))
            folder = self._home.store(found.info.id).folder
            kept = {int(path.stem.partition("-")[0]) for path in folder.glob("*.weights")}
            champion = self._champion(found)
        choices = []
        if champion is not None:
            label = f"champion · {champion[0]}"
            if champion[1].sweep.name != found.name:
                label += ", confirmed"
            choices.append(TrialChoice(CHAMPION, label, answers=True))
        for row in rows:
            worth = row.reason if row.objective is None else f"{row.objective:.4f}"
            label = f"trial {row.trial} · {worth}"
            choices.append(TrialChoice(str(row.trial), label, answers=row.trial in kept))
        return choices

    def shown(self, sweep: str, key: str) -> ShownTrial:
        """Return a trial with its network and images.

        Args:
            sweep: Name of a search.
            key: Of a `TrialChoice`.

        Raises:
            ValueError: There is no such trial, or it was trained on other data.
        """
        with self._reading, _in_words():
            kept = self._found.get((sweep, key))
            if kept is None or kept not in self._shown:
                trial, name = self._trial(self._sweep(sweep), key)
                record = trial.record
                kept = self._found[sweep, key] = (trial.sweep.info.id, record.spec.key, name)
                if kept not in self._shown:
                    self._shown[kept] = self._show(trial, record, name)
            self._shown.move_to_end(kept)
            while len(self._shown) > KEPT_TRIALS:
                self._shown.popitem(last=False)
            return self._shown[kept]

    def trained(self, sweep: str, key: str) -> TrainedTrial:
        """Return a trial of a search, without images.

        Args:
            sweep: Name of a search.
            key: Of a `TrialChoice`.

        Raises:
            ValueError: There is no such trial, it left nothing to show, or a confirmation trained
                it, also on images that would judge it here.
        """
        from digitexp.experiments.digits import trained_trial, trial_config
        from sweeps.experiments.verified_data import trained_of

        with self._reading, _in_words():
            trial, name = self._trial(self._sweep(sweep), key)
            info, record = trial.sweep.info, trial.record
            if info.experiment != SEARCH:
                raise ValueError(
                    f"{name}: its confirmation trained it, also on images that are to judge it "
                    "here; give the number of a trial of the search"
                )
            trained = replace(trained_of(self._home.store(info.id), info, record), name=name)
            _check_left(trained, record)
        config = trial_config(record.spec.config, record.spec.seed)
        facts = {name: record.data[name] for name in ("name", "digest", "split_digest")}
        about = {**record.data.get("info", {}), **facts}
        found = trained_trial(trained, config, about)
        return replace(found, folder=Path(f"{trial.sweep.name}-{key}"))

    def _sweep(self, name: str) -> Sweep:
        from sweeps.api import Sweep

        info = self._home.get(name)
        if info.experiment != SEARCH:
            raise ValueError(
                f"sweep {info.name!r} is one of {info.experiment}; the explorer shows those of "
                f"{SEARCH}, with their confirmations"
            )
        self._home.refresh(info.id)
        return Sweep(self._home, info)

    def _champion(self, sweep: Sweep) -> tuple[str, Trial] | None:
        """Return the champion's name and its trial; None as long as there is no champion."""
        if sweep.info.has_front:
            return None
        try:
            trial = sweep.champion()
        except ValueError:
            return None
        return str(trial.params.get("finalist", f"trial {trial.number}")), trial

    def _trial(self, sweep: Sweep, key: str) -> tuple[Trial, str]:
        if key != CHAMPION:
            if not key.isdecimal():
                raise ValueError(f"trial {key!r}: give its number, or {CHAMPION}")
            return sweep.trial(int(key)), f"{sweep.name}, trial {int(key)}"
        champion = self._champion(sweep)
        if champion is None:
            raise ValueError(f"sweep {sweep.name!r} has no champion yet")
        return champion[1], f"{sweep.name}, champion ({champion[0]})"

    def _show(self, trial: Trial, record: Record, name: str) -> ShownTrial:
        from digitexp.experiments.digits import DigitExperiment
        from digitexp.experiments.folds import DigitsOnFolds
        from sweeps.experiments.verified_data import trained_of

        info = trial.sweep.info
        trained = replace(trained_of(self._home.store(info.id), info, record), name=name)
        _check_left(trained, record)
        is_search = info.experiment == SEARCH  # else a confirmation's
        experiment = DigitExperiment() if is_search else DigitsOnFolds()
        return experiment.show(self._prepared(experiment, record), trained)

    def _prepared(
        self, experiment: DigitExperiment | DigitsOnFolds, record: Record
    ) -> PreparedData:
        """Return the data a trial was trained on; ValueError if those at hand are others."""
        from sweeps.experiments.verified_data import PreparedAgain

        key = experiment.name, int(record.data.get("info", {}).get("split_seed", 0))
        if key not in self._data:
            self._data[key] = PreparedAgain(lambda: experiment, source=self._source)
        self._data.move_to_end(key)
        while len(self._data) > KEPT_DATA:
            self._data.popitem(last=False)
        return self._data[key].of(record)


class RecordedFolder:
    """A folder of `digitexp train`, shown as a sweep of its name with this one trial."""

    def __init__(self, folder: Path, source: str | None = None) -> None:
        """Read the folder, with the images it was trained on; ValueError if there are none."""
        self.where, self._trial = str(folder), read_folder(folder).with_images(source)
        if self._trial.weights is not None:
            labels = self._trial.labels.astype("int32")
            temperature = temperature_to_serve(self._trial.logits, labels)
            self._trial = replace(self._trial, temperature=temperature)

    def sweeps(self) -> list[str]:
        """Return the folder's name."""
        return [self.where]

    def trials(self, sweep: str) -> list[TrialChoice]:
        """Return the only trial."""
        accuracy = self._trial.metrics.get("best_val_accuracy")
        worth = self._trial.stop_reason if accuracy is None else f"{accuracy:.4f}"
        return [TrialChoice("0", f"trained · {worth}", answers=accuracy is not None)]

    def shown(self, sweep: str, key: str) -> ShownTrial:
        """Return the trial with its network and images."""
        return self._trial


def _check_left(trained: Trained, record: Record) -> None:
    """Raise ValueError if a training has nothing to be shown."""
    if "confusion" not in trained.result.arrays:
        reason = f"{record.outcome} ({record.reason})"
        raise ValueError(f"{trained.name} {reason}: it left nothing to show")


@contextmanager
def _in_words() -> Iterator[None]:
    """Raise errors of reading, and of servers that do not answer, as a ValueError in words."""
    from sweeps.records import RecordError

    try:
        yield
    except (RuntimeError, RecordError) as error:
        raise ValueError(str(error)) from None


def _silently(_line: str) -> None:
    """Ignore the message about a damaged sweep, which is left out; `sweeps doctor` reports it."""
