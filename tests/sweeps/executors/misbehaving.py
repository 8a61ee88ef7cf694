"""An experiment whose trainings crash, exit, hang, start processes or return much, as told."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from sweeps.experiment import TrialResult
from tests.sweeps.toy_experiment import ToyExperiment

PID_FILES = ("grandchild", "sleep")


class Misbehaving(ToyExperiment):
    def train(self, spec, data, on_epoch):
        act, argument = spec.config["act"], spec.config.get("argument")
        match act:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "segfault":
                print("the last words", file=sys.stderr, flush=True)
                ctypes.string_at(0)
            case "exit":
                sys.exit(argument)
            case "raise":
                raise RuntimeError("told to raise")
            case "grandchild":
                child = subprocess.Popen(["sleep", "600"], close_fds=False)
                Path(argument).write_text(f"{os.getpid()} {child.pid}")
                os.kill(os.getpid(), signal.SIGKILL)
            case "sleep":
                child = subprocess.Popen(["sleep", "600"], close_fds=False)
                Path(argument).write_text(f"{os.getpid()} {os.getppid()} {child.pid}")
                time.sleep(600)
            case "epochs":
                for epoch in range(10_000):
                    stop = on_epoch(epoch, {"val_score": 0.1})
                    if stop is not None:
                        return result("stopped", stop.reason, epochs=epoch + 1)
                    time.sleep(0.005)
            case "large":
                return result("complete", "large", size=argument)
            case "doomed large":  # killed while it sends: nobody reads 64 MB in 10 ms
                child = os.getpid()
                if os.fork() == 0:
                    time.sleep(argument)
                    os.kill(child, signal.SIGKILL)
                    os._exit(0)
                return result("complete", "large", size=64 << 20)
            case "pid":
                return result("complete", str(os.getpid()))
        return result("complete", "fine")


def result(outcome, reason, *, epochs=1, size=8):
    return TrialResult(
        outcome=outcome,
        stop_reason=reason,
        metrics={"score": 0.5},
        history={"val_score": [0.1] * epochs},
        arrays={"validation_logits": np.zeros(size, np.uint8)},
    )


class WithThreads(Misbehaving):
    """Cannot be forked once it is warm."""

    def warm_up(self):
        import threading

        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


class Unprepared(Misbehaving):
    """Cannot be made ready in a worker process."""

    def warm_up(self):
        raise RuntimeError("no device")


class DiesWarmingUp(Misbehaving):
    """Ends its process before it is ready."""

    def warm_up(self):
        print("the last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


experiment = Misbehaving()
with_threads = WithThreads()
unprepared = Unprepared()
dies_warming_up = DiesWarmingUp()
