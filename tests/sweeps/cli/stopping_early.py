"""The toy experiment, whose good trials stop early."""

from __future__ import annotations

from dataclasses import replace

from sweeps.experiment import OnEpoch, PreparedData, TrialResult, TrialSpec
from tests.sweeps.toy_experiment import ToyExperiment


class StoppingEarly(ToyExperiment):
    """Trials below x = 0.5 say that early stopping ended them."""

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Train as the toy does."""
        found = super().train(spec, data, on_epoch)
        return replace(found, stop_reason="early_stopping") if spec.config["x"] < 0.5 else found


experiment = StoppingEarly()
