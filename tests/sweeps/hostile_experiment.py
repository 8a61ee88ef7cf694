"""The toy experiment, which puts escape sequences of a terminal wherever it can say something."""

from collections.abc import Mapping
from dataclasses import replace

from sweeps.experiment import ParameterInfo
from tests.sweeps.toy_experiment import ToyExperiment

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m"


class HostileExperiment(ToyExperiment):
    parameters: Mapping[str, ParameterInfo] = {
        **ToyExperiment.parameters,
        "word": ParameterInfo("categorical", optional=True),
    }

    def train(self, spec, data, on_epoch):
        if spec.trial == 1:
            raise RuntimeError(f"{ESCAPE} told to raise\n{ESCAPE} in its second line")
        result = super().train(spec, data, on_epoch)
        return replace(result, stop_reason=ESCAPE, summary=ESCAPE, info={ESCAPE: ESCAPE})


experiment = HostileExperiment()
