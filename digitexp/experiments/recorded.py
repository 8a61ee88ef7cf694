"""Reads trials of recorded sweeps as `TrainedTrial`; only here do the tools meet sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from digitexp.calibration import fit_temperature
from digitexp.trained import ShownTrial, TrainedTrial, read_folder
from sweeps.wording import install_command

if TYPE_CHECKING:
    from sweeps import Sweep, Trial
    from sweeps.capabilities import Trained

__all__ = ["CHAMPION", "Recorded", "install_command", "shown_folder"]

CHAMPION: Final = "champion"
"""Stands for the champion of a sweep, in place of a trial's number."""
SEARCH: Final = "digitexp.experiment:experiment"


class Recorded:
    """The sweeps of one home."""

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

    def shown(self, sweep: str, key: str) -> ShownTrial:
        """Return a trial with its network and images.

        Args:
            sweep: Name of a search.
            key: Number of a trial, or `CHAMPION`: the confirmed one of a confirmed sweep.

        Raises:
            ValueError: There is no such trial, it left nothing to show, or it was trained on other
                data.
        """
        from digitexp.experiments.digits import DigitExperiment
        from sweeps.experiments.code import PreparedAgain
        from sweeps.experiments.folds import FoldExperiment

        experiment = DigitExperiment()
        with _in_words():
            trial, trained = self._trained(sweep, key)
            data = PreparedAgain(lambda: experiment, source=self._source).of(trial.record)
            if trial.sweep.info.experiment != SEARCH:  # its confirmation
                data, trained = FoldExperiment(experiment, SEARCH).of_search(data, trained)
            shown = experiment.show(data, trained)
        return replace(shown, folder=Path(f"{trial.sweep.name}-{key}"))

    def trained(self, sweep: str, key: str) -> TrainedTrial:
        """Return a trial of a search, without images.

        Args:
            sweep: Name of a search.
            key: Number of a trial, or `CHAMPION`.

        Raises:
            ValueError: There is no such trial, it left nothing to show, or a confirmation trained
                it, also on images that would judge it here.
        """
        from digitexp.experiments.digits import recorded_config, trained_trial

        with _in_words():
            trial, trained = self._trained(sweep, key)
        if trial.sweep.info.experiment != SEARCH:
            raise ValueError(
                f"{trained.name}: its confirmation trained it, also on images that are to judge it "
                "here; give the number of a trial of the search"
            )
        record = trial.record
        config = recorded_config(record.config, record.seed)
        facts = {name: record.data[name] for name in ("name", "digest", "split_digest")}
        about = {**record.data.get("info", {}), **facts}
        found = trained_trial(trained, config, about)
        return replace(found, folder=Path(f"{trial.sweep.name}-{key}"))

    def _trained(self, name: str, key: str) -> tuple[Trial, Trained]:
        """Return a trial of a sweep, and what it left under a name for people."""
        from sweeps.api import Sweep
        from sweeps.experiments.code import trained_of

        info = self._home.get(name)
        if info.experiment != SEARCH:
            raise ValueError(
                f"sweep {info.name!r} is one of {info.experiment}; the pages show those of "
                f"{SEARCH}, with their confirmations"
            )
        self._home.refresh(info.id)
        trial, called = self._trial(Sweep(self._home, info), key)
        info, record = trial.sweep.info, trial.record
        trained = replace(trained_of(self._home.store(info.id), info, record), name=called)
        if "confusion" not in trained.result.arrays:
            reason = f"{record.outcome} ({record.reason})"
            raise ValueError(f"{called} {reason}: it left nothing to show")
        return trial, trained

    def _trial(self, sweep: Sweep, key: str) -> tuple[Trial, str]:
        if key != CHAMPION:
            if not key.isdecimal():
                raise ValueError(f"trial {key!r}: give its number, or {CHAMPION}")
            return sweep.trial(int(key)), f"{sweep.name}, trial {int(key)}"
        try:
            champion = None if sweep.info.has_front else sweep.champion()
        except ValueError:
            champion = None
        if champion is None:
            raise ValueError(f"sweep {sweep.name!r} has no champion yet")
        finalist = champion.params.get("finalist", f"trial {champion.number}")
        return champion, f"{sweep.name}, champion ({finalist})"


def shown_folder(folder: Path, source: str | None = None) -> ShownTrial:
    """Return the trial in a folder of `digitexp train`, with images and its fitted temperature.

    Args:
        folder: The folder.
        source: The data, if they have no known name.

    Raises:
        ValueError: A file is missing or damaged, or the data are not at hand or others.
    """
    trial = read_folder(folder).with_images(source)
    if trial.weights is None:
        return trial
    return replace(trial, temperature=fit_temperature(trial.logits, trial.labels.astype("int32")))


@contextmanager
def _in_words() -> Iterator[None]:
    """Raise errors of reading, and of servers that do not answer, as a ValueError in words."""
    from sweeps.records import RecordError

    try:
        yield
    except (RuntimeError, RecordError) as error:
        raise ValueError(str(error)) from None
