"""Executors of the misbehaving experiment, and what they leave behind."""

import time
from pathlib import Path

import pytest

from sweeps.executors.local.executor import WorkersExecutor
from sweeps.executors.preloading import make_preload
from sweeps.experiment import TrialSpec
from tests.sweeps.executors import misbehaving

WAIT_SECONDS = 60


class Listener:
    def __init__(self):
        self.begun, self.epochs, self.notes = [], [], []

    def started(self, spec):
        self.begun.append(spec.trial)

    def epoch(self, spec, epoch, metrics):
        self.epochs.append((spec.trial, epoch))


class Bench:
    """One executor and what was heard of it."""

    def __init__(self, executor, listener):
        self.executor, self.listener = executor, listener
        self._trial = 0

    def submit(self, act, argument=None, judge=None):
        spec = TrialSpec("s", self._trial, 1, 0, {"act": act, "argument": argument})
        self._trial += 1
        return self.executor.submit(spec, judge)

    def result(self, act, argument=None):
        return self.submit(act, argument).result(WAIT_SECONDS)

    def stop(self, trial, reason):
        self.executor.stop(TrialSpec("s", trial, 1, 0, {}), reason)


@pytest.fixture
def make_bench():
    benches = []

    def make(workers=2, name="experiment", configs=(), **options):
        data = misbehaving.experiment.prepare(None, 0)
        preload = make_preload(f"{misbehaving.__name__}:{name}", None, data, configs=configs)
        listener = Listener()
        executor = WorkersExecutor(workers, preload, listener, listener.notes.append, **options)
        benches.append(Bench(executor, listener))
        return benches[-1]

    yield make
    for bench in benches:
        bench.executor.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()


def eventually(condition, seconds=WAIT_SECONDS):
    """Wait until something holds; return whether it did in time."""
    end = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return held


def is_alive(pid):
    """Whether a process runs; a zombie that nobody has waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the second while it is read
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def pids(file):
    """Return the process ids a training has written to a file, once they are there."""
    assert eventually(lambda: file.exists() and file.read_text())
    return [int(word) for word in file.read_text().split()]


def open_descriptors():
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())
