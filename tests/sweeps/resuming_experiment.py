"""The toy experiment with a state: `total` is drawn on from epoch to epoch, and can be saved.

`acts: "2=crash 4=oom"`: at the end of epoch 2 of the first attempt that gets there the process is
killed, and so on; what was done is noted in the folder `once`, and is not done again.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from sweeps.experiment import ParameterInfo
from tests.sweeps.toy_experiment import ToyExperiment, _made


class ResumingExperiment(ToyExperiment):
    parameters: Mapping[str, ParameterInfo] = {
        **ToyExperiment.parameters,
        "acts": ParameterInfo("categorical", optional=True),
        "once": ParameterInfo("categorical", optional=True),
        "unsavable": ParameterInfo("bool", default=False),
    }

    def train(self, spec, data, on_epoch):
        config, checkpoint = spec.config, spec.checkpoint
        generator, total, values, first = np.random.default_rng(spec.seed), 0.0, [], 0
        state = checkpoint.load() if checkpoint else None
        if state is not None:
            first = checkpoint.resume()
            generator.bit_generator.state = state["generator"]
            total, values = state["total"], state["values"]
        for epoch in range(first, int(config["epochs"])):
            total += generator.normal() - float(config["x"]) ** 2
            values.append(total)
            verdict = on_epoch(epoch, {"val_score": total})
            if verdict is not None:
                return self._result(values, "stopped", verdict)
            if checkpoint and checkpoint.is_due():
                if config.get("unsavable"):
                    checkpoint.refuse("its random state is a secret")
                else:
                    own = generator.bit_generator.state
                    checkpoint.save({"generator": own, "total": total, "values": values})
            self._act(spec, epoch)
        result = self._result(values, "complete", None)
        return replace(result, arrays={"values": np.array(values)})

    def _act(self, spec, epoch):
        acts = dict(word.split("=") for word in str(spec.config.get("acts") or "").split())
        act = acts.get(str(epoch))
        if act is None or not _made(Path(str(spec.config["once"]), f"{spec.trial}-{epoch}")):
            return
        match act:
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "oom":
                raise MemoryError("told to have none left")
            case "error":
                raise RuntimeError("told to raise")
            case "host":  # the process that started the fork server, such as a Dask worker
                import psutil

                psutil.Process(os.getppid()).parent().kill()
                time.sleep(600)
            case "sigint":
                os.kill(os.getpid(), signal.SIGINT)


experiment = ResumingExperiment()
