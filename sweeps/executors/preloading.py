"""Gives workers the things they need before the first attempt: import path, experiment, data.

The coordinator writes them to an unnamed file; the fork server and spawned workers read it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import BinaryIO, Final

from search_spaces.parameters import Value
from sweeps.executors.attempt import warm_up
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.given import by_value, lives_here, packed, unpack
from sweeps.experiments.loading import check_installed, load_experiment

_PROTOCOL: Final = pickle.HIGHEST_PROTOCOL
ENVIRONMENT: Final = {
    # There is a process per core, so more threads would only wait for each other. And a process
    # that forks must have no threads: the child would not have a thread that holds a lock.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow, which pandas imports
}


@dataclass(frozen=True)
class Preload:
    """Everything a worker needs, except its attempts.

    Attributes:
        coordinator: Process id of the coordinator.
        import_path: The coordinator's `sys.path`.
        experiment: Import path of the experiment.
        directory: Folder of the space file.
        modules: Modules to import beforehand, such as those of the judges.
        data: The pickled `PreparedData`.
        writes_files: Whether its attempts have folders, see `SupportsFiles`.
        configs: Configurations that attempts may have; workers warm up for them.
        given: See `sweeps.experiments.given.packed`.
    """

    coordinator: int
    import_path: Sequence[str]
    experiment: str
    directory: Path | None
    modules: Sequence[str]
    data: bytes
    writes_files: bool = False
    configs: Sequence[Mapping[str, Value]] = ()
    given: bytes = b""

    def to_file(self) -> BinaryIO:
        """Return an unnamed file that holds the pickled preload."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        pickle.dump(self, file, _PROTOCOL)
        file.flush()
        return file

    def load(self, say: Callable[[str], None]) -> tuple[Experiment, PreparedData]:
        """Import the experiment, unpickle the data and warm up; after that a worker only trains.

        `say` receives a line if warming up takes long.
        """
        sys.path[:] = self.import_path
        for name in self.modules:
            import_module(name)
        unpack(self.given)
        experiment = load_experiment(self.experiment, self.directory)
        check_installed(experiment, self.experiment)
        data = pickle.loads(self.data)  # noqa: S301 - from our own coordinator
        warm_up(experiment, self.configs, say)
        return experiment, data


def make_preload(
    experiment: str,
    directory: Path | None,
    data: PreparedData,
    modules: Sequence[str] = (),
    *,
    writes_files: bool = False,
    configs: Sequence[Mapping[str, Value]] = (),
) -> Preload:
    """Return the preload for workers of this process."""
    pickled = by_value(data) if lives_here(experiment) else pickle.dumps(data, _PROTOCOL)
    path = tuple(sys.path)
    return Preload(
        os.getpid(), path, experiment, directory, tuple(modules), pickled, writes_files,
        tuple(configs), packed(experiment),
    )  # fmt: skip


def read_preload(descriptor: int) -> Preload:
    """Read a preload that `to_file` wrote; the position of the descriptor does not matter."""
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
        preload: Preload = pickle.loads(content)  # noqa: S301 - from our own coordinator
    return preload


def why_not_fork() -> str | None:
    """Return the reason why this process cannot be forked safely; None if it can."""
    if sys.platform == "darwin":
        return "macOS frameworks do not survive a fork"
    tasks = Path("/proc/self/task")
    threads = len(list(tasks.iterdir())) if tasks.exists() else threading.active_count()
    if threads > 1:
        return f"warm_up left {threads - 1} threads running"
    return None


def die_with_parent(number: signal.Signals | None) -> None:
    """Ask the kernel to send this process a signal when its parent dies (Linux only).

    On other systems the process notices the end of its socket, which takes longer while a library
    holds the GIL.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(number or 0), 0, 0, 0)


VISIBLE_GPUS: Final = "CUDA_VISIBLE_DEVICES"
"""Read when a process first uses CUDA, which a fork server should not do; ROCm reads it, too."""
SHARING: Final = {
    # Else a process takes most of a GPU's memory at once, and the next worker gets none.
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # JAX
}
"""What workers that may share a GPU are told, unless the user's environment says otherwise."""
DEVICES: Final = Path("/dev")
_DEVICE: Final = re.compile(r"nvidia\d+")


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, by number or name, as `VISIBLE_GPUS` has them.

    Without the variable they are those of NVIDIA whose device files are here. As for CUDA, a number
    that no GPU has ends the list.
    """
    count = sum(_DEVICE.fullmatch(path.name) is not None for path in DEVICES.glob("nvidia*"))
    listed = os.environ.get(VISIBLE_GPUS)
    if listed is None:
        return [str(number) for number in range(count)]
    found: list[str] = []
    for name in map(str.strip, listed.split(",")):
        beyond = name.isdecimal() and 0 < count <= int(name)
        if not name or name.startswith("-") or beyond:
            break
        found.append(name)
    return found


def dealt(gpus: Sequence[str], workers: int) -> list[str | None]:
    """Return, for each worker, the value of its `VISIBLE_GPUS`; None: it stays as it is.

    Each worker sees another GPU; left to themselves, all would take the first one. If there are
    more workers, they share in turn; if there are more GPUs, some workers see several. A single
    worker, or a single GPU, leaves nothing to deal.
    """
    if len(gpus) < 2 or workers < 2:
        return [None] * workers
    if workers <= len(gpus):
        return [",".join(gpus[worker::workers]) for worker in range(workers)]
    return [gpus[worker % len(gpus)] for worker in range(workers)]


def environments(workers: int) -> list[Mapping[str, str]]:
    """Return what the environment of each worker has beyond that of this process."""
    gpus = visible_gpus()
    may_share = workers > max(1, len(gpus))  # GPUs that are not found may be there
    sharing = {name: value for name, value in SHARING.items() if name not in os.environ}
    return [
        {**(sharing if may_share else {}), **({} if seen is None else {VISIBLE_GPUS: seen})}
        for seen in dealt(gpus, workers)
    ]
