"""A script in any language as an experiment: `command: python train.py --lr {learning_rate}`.

The script prints JSON, one object per line, among any other output:

    {"epoch": 1, "loss": 0.52, "val_accuracy": 0.81}     after each epoch, if it has any
    {"result": {"accuracy": 0.93}}                       once, at its end

`script_command.py` explains how the command is written, `script_results.py` where else the numbers
of a script that prints no JSON may be. The attempt keeps everything that the script prints, and the
files that it writes into the folder `{output}` (`SWEEPS_OUTPUT` in its environment).
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from search_spaces.objectives import Objective
from sweeps.capabilities import FOLDS_A_REPEAT, Fold
from sweeps.errors import ScriptError
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
from sweeps.experiments.script_command import (
    ATTEMPT,
    DATA,
    FOLD,
    FOLDS,
    OUTPUT,
    OWN,
    PARAMS,
    SEED,
    TRIAL,
    ScriptCommand,
    scripts_in,
)
from sweeps.experiments.script_output import RunningScript
from sweeps.experiments.script_results import (
    OutputError,
    Reader,
    Sources,
    count_confusion,
    scored_samples,
)
from sweeps.records.kept_files import last_lines, printed_files

_OF_ONE_ATTEMPT: Final = {OUTPUT: "{output}", TRIAL: "{trial}", ATTEMPT: "{attempt}"}
"""Messages show these in place of the values, so that attempts that fail alike read alike."""


class ScriptExperiment:
    """The experiment that `command:` in a space stands for; see the module."""

    measures: Mapping[str, str] = {}

    def __init__(
        self,
        command: str,
        objectives: Sequence[Objective],
        directory: Path | None,
        sources: Sources | None = None,
    ) -> None:
        """Describe the experiment; nothing is run yet.

        Args:
            command: The command, with a `{placeholder}` for each parameter.
            objectives: Each names a number in the script's result, and also the per-epoch metric
                that a pruner watches.
            directory: The folder in which the command is run.
            sources: Where its numbers are, if not in JSON lines.

        Raises:
            ValueError: The command cannot be split into words, or a placeholder has no name.
        """
        self._command, self._directory = ScriptCommand(command), directory
        self._sources = sources or Sources()
        script = next(iter(self._command.scripts()), self._command.program)
        self.name = Path(script).stem
        required, optional = self._command.required, self._command.optional
        known = {
            name: ParameterInfo(
                "any", required=name in required, description=f"{{{name}}} of the command"
            )
            for name in sorted((required | optional) - OWN)
        }
        is_any = PARAMS in required | optional
        self.parameters: Mapping[str, ParameterInfo] = _Any(known) if is_any else known
        self.metrics: Mapping[str, MetricInfo] = {
            one.metric: MetricInfo(one.direction, one.metric) for one in objectives
        }
        if self._command.divides:  # a capability is a member
            self.folds = self._folds

    def check(self, config: Mapping[str, Value]) -> None:
        """Refuse nothing: only the script knows which parameters are valid."""

    def prepare(self, source: str | None, split_seed: int) -> PreparedData:
        """Note which data the script is to use; the script reads them itself.

        Raises:
            ValueError: A source is given and the command has no `{data}`, or the other way round;
                or there is no such program or script.
        """
        self._command.check_no_shell()
        self._check_files()
        is_needed = DATA in self._command.required
        is_taken = is_needed or DATA in self._command.optional
        if is_needed if source is None else not is_taken:
            said = "has {data}; say which with --data" if source is None else "has no {data}"
            raise ValueError(f"data {source!r}: the command {said}")
        path = None if source is None else (self._directory or Path()) / source
        content = path.read_bytes() if path and path.is_file() else str(source).encode()
        digest = sha256(content).hexdigest()
        return PreparedData(source or self.name, digest, digest, {"source": source}, None)

    def files(self) -> list[Path]:
        """Return the files that the command names, in its order, then those that its `.sh` name."""
        folder = (self._directory or Path()).resolve()
        names = [*self._command.named(), *self._command.modules()]
        found = dict.fromkeys(path for name in names if name and (path := folder / name).is_file())
        for script in [path for path in found if path.suffix == ".sh"]:
            inner = scripts_in(script.read_text(encoding="utf-8", errors="replace"))
            found |= dict.fromkeys(path for name in inner if (path := folder / name).is_file())
        return list(found)

    def _check_files(self) -> None:
        program, folder = self._command.program, self._directory or Path()
        if shutil.which(program) is None and not (folder / program).exists():
            raise ValueError(f"command: there is no program {program!r}")
        for word in self._command.scripts():
            if not (folder / word).exists():
                raise ValueError(f"command: there is no file {word!r} in {folder.resolve()}")

    def measure(self, config: Mapping[str, Value], data: PreparedData) -> Mapping[str, float]:
        """Return nothing: nothing is known before the script runs."""
        return {}

    def plan(self, config: Mapping[str, Value], data: PreparedData) -> EnginePlan:
        """Return the command as the plan; its duration is not known before."""
        values = {**self._values(config, 0, data.info), **_OF_ONE_ATTEMPT}
        return EnginePlan("script", shlex.join(self._command.words(values)), None)

    def warm_up(self) -> None:
        """Do nothing: there is nothing to import."""

    def train(self, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch) -> TrialResult:
        """Run the script once, in a temporary folder; see `train_in`."""
        with tempfile.TemporaryDirectory(prefix="sweeps-") as folder:
            return self.train_in(Path(folder), spec, data, on_epoch)

    def train_in(
        self, folder: Path, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch
    ) -> TrialResult:
        """Run the script once; its output and its files lie in the folder.

        Raises:
            ScriptError: It ended with another exit code than 0, or without a result; the message
                has the last lines that it printed.
        """
        output = folder / "output"
        output.mkdir()
        command = self.command(spec, data.info, str(output))
        values = self._values(spec.config, spec.seed, data.info)
        shown = shlex.join(self._command.words({**values, **_OF_ONE_ATTEMPT}))
        began = time.perf_counter()
        try:
            with Reader(self._sources, next(iter(self.metrics)), on_epoch, folder) as reader:
                code = self._run(command, folder, reader)
                results = reader.results
                if results.stop is None:
                    _check(code)
                    reader.finish()
                    reader.check(list(self.metrics))
        except OutputError as error:
            raise _failed(str(error), shown, folder, is_final=True) from None
        except _EndError as error:
            raise _failed(str(error), shown, folder, is_final=False) from None
        counted = None if results.stop else count_confusion(output)
        counts, names = counted if isinstance(counted, tuple) else (None, None)
        scored = {} if results.stop else scored_samples(output, list(self.metrics), results.metrics)
        reasons = [one for one in (counted, scored) if isinstance(one, str)]
        if len(scored) > 1 and not isinstance(scored, str):
            reasons = []  # of a regression no confusions are missed
        return TrialResult(
            outcome="stopped" if results.stop else "complete",
            stop_reason=results.stop.reason if results.stop else "finished",
            metrics=results.metrics or {},
            history=results.history,
            timings={"train_seconds": time.perf_counter() - began},
            summary=shown,
            engine="script",
            engine_reason="; ".join(reasons),
            arrays={
                **({} if counts is None else {"confusion": counts}),
                **({} if isinstance(scored, str) else scored),
            },
            info={} if names is None else {"class_names": names},
        )

    def command(self, spec: TrialSpec, info: Mapping[str, Any], output: str) -> list[str]:
        """Return the words of an attempt's command.

        Args:
            spec: The attempt.
            info: The `info` of its data, or of a fold of them.
            output: The folder that it writes into.
        """
        own = {OUTPUT: output, TRIAL: str(spec.trial), ATTEMPT: str(spec.attempt)}
        return self._command.words({**self._values(spec.config, spec.seed, info), **own})

    def _folds(self, data: PreparedData, seed: int, n: int) -> Iterator[Fold]:
        """Number n folds, from 1; 0 is the search. The script divides its data, and says how."""
        for number in range(1 + seed * n, 1 + (seed + 1) * n):
            info = {**data.info, FOLD: number, FOLDS: n}
            yield Fold(replace(data, info=info), np.empty(0, np.int64))

    def _run(self, command: Sequence[str], folder: Path, reader: Reader) -> int:
        """Run the script until it ends or is stopped; return its exit code."""
        script = RunningScript(
            command,
            self._directory,
            folder,
            environment=reader.environment,
            has_only_json=not self._sources.patterns,
        )
        with script:
            for lines in script.lines():
                reader.read(lines)
                if reader.results.stop is not None:
                    return script.end()
            return script.wait()

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
        raise ValueError("a script keeps its own models: look at output/ among its run's artifacts")

    def _values(
        self, config: Mapping[str, Value], seed: int, info: Mapping[str, Any]
    ) -> dict[str, str]:
        values = {name: _text(value) for name, value in config.items() if name not in OWN}
        values |= {SEED: str(seed), PARAMS: json.dumps(dict(config))}
        values[FOLD] = str(info.get(FOLD, 0))
        values[FOLDS] = str(info.get(FOLDS, FOLDS_A_REPEAT))
        source = info["source"]
        return values if source is None else {**values, DATA: source}


class _Any(dict[str, ParameterInfo]):
    """The parameters of a command with `{params_json}`, which takes a parameter of any name."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> ParameterInfo:
        return ParameterInfo("any", description="part of {params_json}")


class _EndError(Exception):
    """A script ended with an exit code other than 0, or by a signal."""


def _check(code: int) -> None:
    """Refuse a script that ended by itself with an exit code."""
    if code:
        hint = " (out of memory?)" if -code == signal.SIGKILL else ""
        killed = f"killed by {signal.Signals(-code).name}{hint}" if code < 0 else ""
        raise _EndError(killed or f"exit code {code}")


def _failed(problem: str, command: str, folder: Path, *, is_final: bool) -> ScriptError:
    """Return the error with the problem, the command and the last lines that it printed."""
    printed = printed_files(folder)
    # A terminal shows only the first line, so the script's own last error goes into it.
    lines = printed.get("stderr.txt", b"").decode(errors="replace").strip().splitlines()
    first = problem if is_final or not lines else f"{problem}: {lines[-1]}"
    return ScriptError(f"{first}\n\nCommand: {command}{last_lines(printed)}", is_final=is_final)


def _text(value: Value) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
