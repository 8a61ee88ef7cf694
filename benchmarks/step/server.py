"""The two ends of a pipe: a part that measures when it is asked, and whoever asks.

Parts run in processes of their own because libraries read the number of threads and their kernels
from the environment when they are loaded. Only the part that was asked works; all are pinned to
the same core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).parent.parent.parent
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_PLATFORMS": "cpu",
}
KERNEL_CHOICES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that force a kernel on OpenBLAS; removed, so that it chooses for the processor."""


class Part:
    """A module of this folder that answers requests, pinned to one core."""

    def __init__(self, name: str, core: int) -> None:
        """Start a process that serves the module `benchmarks.step.NAME`."""
        kept = {k: v for k, v in os.environ.items() if k not in KERNEL_CHOICES}
        self._name = name
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.step.server", str(core), name],
            cwd=ROOT,
            env=kept | ONE_THREAD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, action: str, **request: Any) -> Any:
        """Have something measured and return the answer.

        Raises:
            RuntimeError: The part failed; the message has the end of its output.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"action": action, **request}) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            code = process.wait()
            self._log.seek(0)
            tail = self._log.read()[-2000:]
            raise RuntimeError(f"engine: {self._name} ended with {code}:\n{tail}")
        return json.loads(answer)

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()


def serve(core: int, name: str) -> None:
    """Answer requests until the pipe closes.

    Args:
        core: To which this process is pinned, before anything looks how many cores there are.
        name: Module of this folder; its `ACTIONS` are what can be asked for.
    """
    os.sched_setaffinity(0, {core})
    answers = _take_stdout()
    actions: Mapping[str, Callable[..., Any]] = import_module(f"benchmarks.step.{name}").ACTIONS
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(actions[request.pop("action")](**request)) + "\n")
        answers.flush()


def _take_stdout() -> TextIO:
    """Keep stdout for answers; whatever a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
