"""Commands, `sweeps` for one, answered by copies of a process that has imported everything.

Each command is a process of its own, with its own streams, folder, environment and exit code; it
only starts in milliseconds, where Optuna, MLflow and TensorFlow take ten seconds to import. How
commands really start is seen in tests/end_to_end/.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from sweeps.executors.preloading import ENVIRONMENT

ROOT = Path(__file__).parents[1]
COMMANDS = ("sweeps", "digitexp", "pytest")

ASK = """
import json, os, socket, sys
asked = {"words": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    socket.send_fds(server, [b"!"], [0, 1, 2])
    server.sendall(json.dumps(asked).encode())
    server.shutdown(socket.SHUT_WR)
    code = int(server.recv(16) or 1)
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


class Warm:
    """The process that is copied; ends with `close`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warm-")
        self._address = str(Path(self._folder.name) / "socket")
        command = [sys.executable, "-m", "tests.warm", self._address]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def functions(self) -> str:
        """Return lines of shell after which the commands are answered from here."""
        ask = shlex.join([sys.executable, "-I", "-S", "-c", ASK, self._address])
        return "".join(f'{name}() {{ {ask} {name} "$@"; }}\n' for name in COMMANDS)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate(timeout=60)
        self._folder.cleanup()


def serve(address: str) -> None:
    """Import everything, then answer until SIGTERM."""
    import pandas  # noqa: F401
    import pytest
    import sklearn.model_selection  # noqa: F401

    import digitexp.__main__
    import digitexp.cli
    import sweeps.__main__
    import sweeps.cli
    import sweeps.launch
    from digitexp.tensorflow_setup import set_up_tensorflow
    from digitexp.training.compiled.net import prepare_engine
    from sweeps.tracking.store import quiet

    with quiet():  # imports MLflow
        pass
    set_up_tensorflow()
    prepare_engine()
    commands = {"sweeps": sweeps.__main__, "digitexp": digitexp.__main__, "pytest": pytest}
    signal.signal(signal.SIGCHLD, _count)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        assert len(list(Path("/proc/self/task").iterdir())) == 1  # no lock is held in a copy
        gc.collect()
        gc.freeze()  # the copies need not look through all that was imported
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(connection, commands)
            connection.close()


def _count(*_: object) -> None:
    """Take note of answers that have ended, so that their CPU time is ours."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _answer(connection: socket.socket, commands: dict[str, ModuleType]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as file:
        asked = json.loads(file.read())
    process = os.fork()
    if process == 0:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, closefd=False) for number, mode in enumerate("rww")
        )
        os.environ.clear()
        os.environ.update(asked["environment"])
        os.chdir(asked["folder"])
        sys.path[0] = ""  # as `python -m`
        name, *words = asked["words"]
        sys.argv = [str(commands[name].__file__), *words]
        _run(commands[name])
    _, status = os.waitpid(process, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(command: ModuleType) -> None:
    sys.modules["__main__"] = command
    code: object = 0
    try:
        code = command.main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    # The interpreter would take all of TensorFlow down, a second for each command.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    serve(sys.argv[1])
