"""An experiment whose trainings crash, exit, hang, start processes or return much, as told."""

import ctypes
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from sweeps.executors.preloading import VISIBLE_GPUS
from sweeps.experiment import TrialResult
from tests.sweeps.toy_experiment import ToyExperiment


class Misbehaving(ToyExperiment):
    def train(self, spec, data, on_epoch):
        act, argument = spec.config["act"], spec.config.get("argument")
        if act == "epochs":
            return epochs(on_epoch)
        if act.endswith("large"):
            return large(act, argument)
        if act in SAID:
            return result("complete", SAID[act]())
        if act == "return":
            return TrialResult(**argument)
        if act == "raise odd":
            raise Odd(argument)
        if act == "forked" and (child := os.fork()):
            os.waitpid(child, 0)  # which returns a second result
        else:
            misbehave(act, argument)
        return result("complete", "fine")


class Odd(BaseException):
    """Raised with anything; what it says of itself may be no text at all."""

    def __str__(self):
        (said,) = self.args
        return said


def count_sockets():
    descriptors = Path("/proc/self/fd")
    links = [link for link in descriptors.iterdir() if link.is_symlink()]
    return str(sum("socket" in str(link.readlink()) for link in links))


def visible_gpus():
    """Return what the worker and a process that it starts see."""
    child = subprocess.check_output(["sh", "-c", f"echo ${VISIBLE_GPUS}"], text=True)
    return f"{os.environ.get(VISIBLE_GPUS)} {child.strip()}"


def memory_of_gpus():
    """Return whether TensorFlow and JAX would take a GPU's memory as they need it."""
    names = ("TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_PREALLOCATE")
    return " ".join(os.environ.get(name, "-") for name in names)


def lower_limits():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    raise RuntimeError("lowered")


SAID = {
    "lower its limits": lower_limits,
    "sockets": count_sockets,
    "pid": lambda: str(os.getpid()),
    "gpus": visible_gpus,
    "memory of gpus": memory_of_gpus,
}


def worker_socket():
    """Return the number of the descriptor on which this worker answers."""
    for number in (int(link.name) for link in Path("/proc/self/fd").iterdir()):
        with suppress(OSError):
            if number > 2 and stat.S_ISSOCK(os.fstat(number).st_mode):
                return number
    raise AssertionError("there is no socket")


def misbehave(act, argument):
    match act:
        case "kill":
            os.kill(os.getpid(), argument or signal.SIGKILL)
        case "segfault":
            print("the last words", file=sys.stderr, flush=True)
            ctypes.string_at(0)
        case "exit":
            sys.exit(argument)
        case "leave":
            os._exit(argument)
        case "raise":
            raise RuntimeError("told to raise")
        case "grandchild":
            child = subprocess.Popen(["sleep", "600"], close_fds=False)
            Path(argument).write_text(f"{os.getpid()} {child.pid}")
            os.kill(os.getpid(), signal.SIGKILL)
        case "estrange":
            estrange(argument)
        case "estrange, die":
            estrange(argument)
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            raise MemoryError("none left")
        case _:
            hang(act, argument)


def estrange(file):
    """Start an orphan in a session of its own; its id, the worker's, the server's go to a file."""
    code = 'sleep 60 & echo "$! $PPID $1" > "$0.new"; mv "$0.new" "$0"'
    words = ["sh", "-c", code, file, str(os.getppid())]
    subprocess.run(words, start_new_session=True, check=True)


def hang(act, argument):
    """Take long, in one way or another; `argument` is a file for the process ids."""
    known = f"{os.getpid()} {os.getppid()}"
    match act:
        case "sleep":
            child = subprocess.Popen(["sleep", "600"], close_fds=False)
            Path(argument).write_text(f"{known} {child.pid}")
            time.sleep(600)
        case "estrange, sleep":
            estrange(argument)
            time.sleep(600)
        case "busy":
            Path(argument).write_text(known)
            sum(range(10**13))  # native code that never lets go of the GIL
        case "stop":
            Path(argument).write_text(known)
            os.kill(os.getpid(), signal.SIGSTOP)
        case "deaf":
            socket.socket(fileno=worker_socket()).shutdown(socket.SHUT_WR)
            time.sleep(600)
        case "written":
            os.write(worker_socket(), argument)
            time.sleep(600)
        case "killed once told":
            Path(argument).write_text(known)
            while not Path(argument).with_name("go").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)


def large(act, argument):
    """Return many bytes: at once, killed on the way, or after a second."""
    if act == "doomed large":
        size, seconds = argument
        kill_in(seconds)
        return result("complete", "large", size=size)
    if act == "slow large":
        Path(argument).touch()
        time.sleep(1)
        return result("complete", "large", size=8 << 20)
    return result("complete", "large", size=argument)


def epochs(on_epoch):
    """Train for 50 seconds, or until told to stop."""
    for epoch in range(10_000):
        stop = on_epoch(epoch, {"val_score": 0.1})
        if stop is not None:
            return result("stopped", stop.reason, epochs=epoch + 1)
        time.sleep(0.005)
    return result("complete", "max_epochs", epochs=10_000)


def kill_in(seconds):
    """Have this process killed after a while, whatever it does then."""
    target = os.getpid()
    if os.fork() == 0:
        time.sleep(seconds)
        os.kill(target, signal.SIGKILL)
        os._exit(0)


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


class WithHelper(Misbehaving):
    """Has a process of its own in the fork server, which its workers rely on."""

    def warm_up(self):
        self._helper = subprocess.Popen(["sleep", "600"], start_new_session=True)

    def train(self, spec, data, on_epoch):
        if spec.config["act"] == "helper":
            return result("complete", str(self._helper.pid))
        return super().train(spec, data, on_epoch)


class WarmsUpFor(Misbehaving):
    """Warms up for configurations, and says for which; each training says what it was told."""

    warmed_up_for = None

    def warm_up(self):
        raise RuntimeError("it has a better one")

    def warm_up_for(self, configs, say):
        say(f"warming up for {len(configs)}")
        self.warmed_up_for = [dict(config) for config in configs]

    def train(self, spec, data, on_epoch):
        return result("complete", str(self.warmed_up_for))


class WarmsUpForWithThreads(WarmsUpFor):
    """The same in workers that are spawned."""

    def warm_up_for(self, configs, say):
        import threading

        super().warm_up_for(configs, say)
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


class WarmsUpSlowly(Misbehaving):
    """Takes its time before it is ready."""

    def warm_up(self):
        time.sleep(2)


class WarmsUpOnce(Misbehaving):
    """Cannot be warmed up twice in a process and its forks."""

    warm = False

    def warm_up(self):
        if WarmsUpOnce.warm:
            raise RuntimeError("context has already been set")
        WarmsUpOnce.warm = True


experiment = Misbehaving()
warms_up_once = WarmsUpOnce()
warms_up_slowly = WarmsUpSlowly()
with_threads = WithThreads()
warms_up_for = WarmsUpFor()
warms_up_for_with_threads = WarmsUpForWithThreads()
with_helper = WithHelper()
unprepared = Unprepared()
dies_warming_up = DiesWarmingUp()


class Stillborn(Misbehaving):
    """Its workers end before they have had a task: all, or all but the first."""

    def __init__(self, survivors):
        self._survivors = survivors

    def warm_up(self):
        def end_or_not():
            self._forks += 1
            if self._forks > self._survivors:
                print("the last words", file=sys.stderr, flush=True)
                os._exit(7)

        def count():
            self._forks += 1

        self._forks = 0
        os.register_at_fork(after_in_parent=count, after_in_child=end_or_not)


all_stillborn = Stillborn(survivors=0)
one_survivor = Stillborn(survivors=1)
