"""A script in any language as an experiment: `command: python train.py --lr {learning_rate}`.

The script prints JSON, one object a line, among whatever else it prints:

    {"epoch": 1, "loss": 0.52, "val_accuracy": 0.81}     after each epoch, if it has any
    {"result": {"accuracy": 0.93}}                       once, at its end

`{name}` stands for a parameter, `{seed}` for the trial's seed, `{data}` for what `--data` says. No
shell is involved: each word of the command stays one argument, whatever the value.
"""

from __future__ import annotations

import json
import shlex
import shutil
import string
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from search_spaces.objectives import Objective
from sweeps.experiment import (
    EnginePlan,
    MetricInfo,
    OnEpoch,
    ParameterInfo,
    PreparedData,
    TrialResult,
    TrialSpec,
    Value,
)
from sweeps.script_output import listen

SEED, DATA = "seed", "data"
_SCRIPTS = (".py", ".sh", ".R")
TAIL_CHARACTERS: Final = 3000
_DEAF_TO_CTRL_C: Final = ("/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh")
PATIENCE_SECONDS: Final = 3.0
"""How long a script that is told to end may take, before it is killed."""


class ScriptExperiment:
    """What `command:` in a space stands for; see the module."""

    measures: Mapping[str, str] = {}

    def __init__(
        self,
        command: str,
        objectives: Sequence[Objective],
        directory: Path | None,
    ) -> None:
        """Describe it; nothing is run yet.

        Args:
            command: With a `{placeholder}` for each parameter.
            objectives: Each names a number of the script's result, and the per-epoch metric that a
                pruner watches in its place.
            directory: Where the command is run.

        Raises:
            ValueError: The command cannot be split into words, or a placeholder has no name.
        """
        self._words, self._directory = shlex.split(command), directory
        if not self._words:
            raise ValueError("command: is empty; write it as python train.py --lr {learning_rate}")
        self._names = {name for word in self._words for name in _placeholders(word)}
        self.name = next((Path(w).stem for w in self._words if w.endswith(_SCRIPTS)),
                         Path(self._words[0]).name)  # fmt: skip
        self.parameters: Mapping[str, ParameterInfo] = {
            name: ParameterInfo("any", required=True, description=f"{{{name}}} of the command")
            for name in sorted(self._names - {SEED, DATA})
        }
        self.metrics: Mapping[str, MetricInfo] = {
            one.metric: MetricInfo(one.direction, one.metric) for one in objectives
        }

    def check(self, config: Mapping[str, Value]) -> None:
        """Refuse nothing: what the parameters mean, the script decides."""

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Note which data the script is told of; it reads them itself.

        Raises:
            ValueError: A source is given or missing, and the command says otherwise; or there is
                no such program or script.
        """
        self._check_files()
        if (source is not None) != (DATA in self._names):
            said = "has no {data}" if source is not None else "has {data}; say which with --data"
            raise ValueError(f"data {source!r}: the command {said}")
        path = None if source is None else (self._directory or Path()) / source
        content = path.read_bytes() if path and path.is_file() else str(source).encode()
        digest = sha256(content).hexdigest()
        return PreparedData(source or self.name, digest, digest, {"source": source}, None)

    def files(self) -> list[Path]:
        """Return the files that the command names, in its order."""
        folder = (self._directory or Path()).resolve()
        return [path for word in self._words if (path := folder / word).is_file()]

    def _check_files(self) -> None:
        program, folder = self._words[0], self._directory or Path()
        if shutil.which(program) is None and not (folder / program).exists():
            raise ValueError(f"command: there is no program {program!r}")
        for word in script_files(self._words):
            if not (folder / word).exists():
                raise ValueError(f"command: there is no file {word!r} in {folder.resolve()}")

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Nothing is known before the script runs."""
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Show the command; how long it takes is not known before."""
        return EnginePlan("script", shlex.join(self._command(config, 0, data.name)), None)

    def warm_up(self) -> None:
        """Nothing to import."""

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Run the script once.

        Raises:
            RuntimeError: It ended with another exit code than 0, or without a result; the message
                has the end of what it wrote to stderr.
        """
        command = self._command(spec.config, spec.seed, data.info["source"])
        began = time.perf_counter()
        with tempfile.TemporaryFile() as errors, _running(command, self._directory, errors) as ran:
            history, metrics, stop = listen(ran.stdout, on_epoch)
            code = _end(ran) if stop else ran.wait()
            if stop is None and (code or metrics is None):
                problem = f"exit code {code}" if code else 'no line {"result": {...}}'
                tail = _tail(errors)
                last = tail.strip().splitlines()[-1:]  # what people look for, in the first line
                said = ": ".join([shlex.join(command), problem, *last])
                raise RuntimeError(f"{said}\n{tail}")
        seconds = {"train_seconds": time.perf_counter() - began}
        return TrialResult(
            outcome="stopped" if stop else "complete",
            stop_reason=stop.reason if stop else "finished",
            metrics=metrics or {},
            history=history,
            timings=seconds,
            summary=shlex.join(command),
            engine="script",
        )

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw nothing: MLflow shows the curves."""
        return {}

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Refuse: only the script knows where its model is.

        Raises:
            ValueError: Always.
        """
        raise ValueError("a script keeps its own models; look where it saved them")

    def _command(self, config: Mapping[str, Value], seed: int, source: str | None) -> list[str]:
        values = {name: _text(value) for name, value in config.items()}
        values |= {SEED: str(seed), DATA: str(source)}
        return [word.format_map(values) for word in self._words]


def script_files(words: Sequence[str]) -> list[str]:
    """Return the words of a command that name a script's file."""
    return [word for word in words if word.endswith(_SCRIPTS) and "{" not in word]


def _placeholders(word: str) -> Iterator[str]:
    for _, name, _, _ in string.Formatter().parse(word):
        if name is not None and not name.isidentifier():
            raise ValueError(
                f"command: {{{name}}} is no placeholder; write {{parameter}}, or {{{{ and }}}} "
                "for braces of its own"
            )
        if name is not None:
            yield name


def _text(value: Value) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


class _running:  # noqa: N801 - a context manager that is called like a function
    """A script that does not outlive its trial, and hears no Ctrl-C meant for the sweep."""

    def __init__(self, command: Sequence[str], directory: Path | None, errors: IO[bytes]) -> None:
        self._command, self._directory, self._errors = command, directory, errors

    def __enter__(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(  # noqa: S603 - the command of the user's own space
            [*_DEAF_TO_CTRL_C, *self._command],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def _end(process: subprocess.Popen[str]) -> int:
    process.terminate()
    try:
        return process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _tail(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode(errors="replace")[-TAIL_CHARACTERS:]
