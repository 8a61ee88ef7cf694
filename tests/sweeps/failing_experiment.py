"""The toy experiment, whose attempts fail as they are told: `acts` names attempts and acts.

`acts: "2-1=crash 2-2=error 5=hang"`: the first attempt at trial 2 crashes, the second raises, and
every attempt at trial 5 hangs; `all=error` stands for all others. What is not named trains as the
toy does. With `acts_file` the acts are what that file says when an attempt begins: emptied, it has
mended their cause.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sweeps.experiment import ParameterInfo
from tests.sweeps.toy_experiment import ToyExperiment


class FailingExperiment(ToyExperiment):
    parameters: Mapping[str, ParameterInfo] = {
        **ToyExperiment.parameters,
        "acts": ParameterInfo("categorical", optional=True),
        "acts_file": ParameterInfo("categorical", optional=True),
        "pid_file": ParameterInfo("categorical", optional=True),
    }

    def train(self, spec, data, on_epoch):
        told = str(spec.config.get("acts") or "")
        if spec.config.get("acts_file"):
            told = Path(str(spec.config["acts_file"])).read_text()
        acts = dict(word.split("=") for word in told.split())
        names = (f"{spec.trial}-{spec.attempt}", str(spec.trial), "all")
        act = next((acts[name] for name in names if name in acts), None)
        if act is not None:
            if spec.config.get("pid_file"):
                Path(str(spec.config["pid_file"])).write_text(str(os.getpid()))
            fail(act, spec)
        result = super().train(spec, data, on_epoch)
        return replace(result, metrics={"other": 1.0}) if act == "unnamed" else result


def fail(act, spec):
    match act:
        case "crash":
            faulthandler.disable()  # it would print where
            os.kill(os.getpid(), signal.SIGSEGV)
        case "kill":  # as if from outside: nobody sees who sent it
            os.kill(os.getpid(), signal.SIGKILL)
        case "error":
            raise RuntimeError("told to raise")
        case "mistake":
            raise KeyError("units")
        case "errors":
            raise RuntimeError(f"another error in attempt {spec.attempt}")
        case "oom":
            raise MemoryError("told to have none left")
        case "hang":
            time.sleep(600)
        case "busy":
            sum(range(10**13))  # native code that never lets go of the GIL
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)


experiment = FailingExperiment()
