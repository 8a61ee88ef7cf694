"""Examines the mistakes of recorded trials by their experiment, from records alone."""

from __future__ import annotations

from collections.abc import Mapping

from sweeps.capabilities import SupportsExamination
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.experiments.script import ScriptExperiment
from sweeps.experiments.verified_data import PreparedAgain
from sweeps.records import Record


class TooLittleKept(UsageError):  # noqa: N818, the name says what is wrong
    """A trial can never be examined, because its record holds too little for its experiment."""


class Examiner:
    """Examines trials of one sweep; prepares the data once, when it examines the first trial."""

    def __init__(self, again: PreparedAgain, experiment: str) -> None:
        """Remember the experiment and its data; nothing is loaded yet.

        Args:
            again: Loads the experiment and its data.
            experiment: Import path of the experiment, for messages.
        """
        self._again, self._name = again, experiment

    def experiment(self) -> Experiment:
        """Load the experiment."""
        return self._again.load()

    def examine(self, record: Record) -> Mapping[str, bytes]:
        """Return the mistakes of a trial as files by name; see `SupportsExamination`.

        Args:
            record: The trial, with its arrays.

        Raises:
            UsageError: The experiment supports no examination, the record holds too little
                (`TooLittleKept`), or the data are not those that the trial was trained on.
        """
        experiment = self._again.load()
        trial = f"trial {record.spec.trial}"
        if isinstance(experiment, ScriptExperiment):
            raise UsageError(
                "a script keeps no answers that could be examined; what it printed and wrote is "
                f"kept: sweeps trials NAME {record.spec.trial}, or sweeps export"
            )
        if not isinstance(experiment, SupportsExamination):
            raise UsageError(
                f"experiment {self._name!r} does not say what its trials get wrong; give it a "
                f"method `examine` (see `{SupportsExamination.__name__}` in sweeps/capabilities.py)"
            )
        if record.result is None:
            raise UsageError(f"{trial} {record.outcome} ({record.reason}): it has no result")
        data = self._again.of(record)
        try:
            return experiment.examine(record.spec.config, data, record.result)
        except ValueError as error:
            raise TooLittleKept(f"{trial} cannot be examined: {error}") from None
