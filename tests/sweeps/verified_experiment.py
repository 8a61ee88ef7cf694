"""The experiment of ensembles with models that can be verified, saved and exported.

Environment variables let it fail: `RECORDED_OFF` is added to the answers that a training records,
`WITHOUT_LIBRARY` lets no model be built, `WITHOUT_DATA` no data be prepared. In a process that does
not train, `REBUILDING` names a file: it gets the process id, and the process hangs.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import numpy as np

from sweeps.capabilities import PREDICTIONS
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from tests.sweeps.voting_experiment import CLASSES, LABELS, VotingExperiment, drawn
from tests.sweeps.voting_experiment import SPACE as VOTING

SPACE = VOTING.replace("voting_experiment", "verified_experiment")


class VerifiedExperiment(VotingExperiment):
    name = "verified"

    def prepare(self, source, split_seed):
        if os.environ.get("WITHOUT_DATA"):
            raise UsageError("the data are gone")
        return super().prepare(source, split_seed)

    def train(self, spec, data, on_epoch):
        result = super().train(spec, data, on_epoch)
        off = float(os.environ.get("RECORDED_OFF", "0"))
        arrays = {
            name: array + np.float32(off) if name == PREDICTIONS else array
            for name, array in result.arrays.items()
        }
        return dataclasses.replace(result, arrays=arrays)

    def recomputed(self, model, config, data):
        if os.environ.get("WITHOUT_LIBRARY"):
            raise UsageError("a model needs library, which is not installed: pip install library")
        if file := os.environ.get("REBUILDING"):
            Path(file).write_text(str(os.getpid()))
            time.sleep(600)
        print("an experiment may print")
        samples = np.arange(len(LABELS)) if data.payload is None else data.payload[1]
        powers = np.exp(drawn(*model, LABELS)[samples])
        return {PREDICTIONS: powers / powers.sum(axis=1, keepdims=True)}

    def save_model(self, model, folder):
        (folder / "model.txt").write_text(repr(model))

    def export(self, config, weights, info, folder):
        self.save_model(self.load_model(config, weights, info), folder)
        return f"""\
import numpy as np
class Model:
    skill, seed = eval(open("model.txt").read())
    def predict(self, labels):
        logits = np.random.default_rng(self.seed).normal(0, 1, (len(labels), {CLASSES}))
        logits[np.arange(len(labels)), labels] += self.skill
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
model = Model()
print(open('model.txt').read())
"""


experiment: Experiment = VerifiedExperiment()
