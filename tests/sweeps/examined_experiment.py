"""The toy experiment, which says what its trials get wrong, and knows blocks."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sweeps.experiment import Experiment, ParameterInfo, PreparedData, TrialResult, Value
from tests.sweeps.toy_experiment import ToyExperiment

SPACE = """
experiment: tests.sweeps.examined_experiment:experiment
objective: {metric: score, direction: maximize}
parameters:
  x: {type: float, low: -1, high: 1}
fixed: {epochs: 2}
defaults: {trials: 3, sampler: random, pruner: none}
"""

CONFIRMING = """
experiment: tests.sweeps.examined_experiment:experiment
objective: {metric: score, direction: maximize}
parameters:
  block: {type: int, low: 0, high: 1}
  finalist:
    type: categorical
    choices: {trial-7: {x: 0.1}, baseline-first: {x: 0.5}}
fixed: {epochs: 2}
defaults: {trials: 4, sampler: grid, pruner: none}
"""


class ExaminedExperiment(ToyExperiment):
    """Says of a trial what its logits are, and on which data."""

    name = "examined"
    parameters: Mapping[str, ParameterInfo] = {
        **ToyExperiment.parameters,
        "block": ParameterInfo("int", 0, 9, default=0),
    }

    def examine(
        self, config: Mapping[str, Value], data: PreparedData, result: TrialResult
    ) -> Mapping[str, bytes]:
        if result.outcome == "diverged":
            raise ValueError("it kept no logits")
        logits = result.arrays["validation_logits"].tolist()
        found = {"logits": logits, "x": config["x"], "data": data.name}
        return {
            "summary.txt": b"first paragraph\n\nsecond paragraph\n",
            "diagnostics.json": json.dumps(found).encode(),
            "errors.png": b"\x89PNG not a picture",
        }


experiment: Experiment = ExaminedExperiment()
