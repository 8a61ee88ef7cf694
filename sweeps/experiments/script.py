"""A script in any language as an experiment: `command: python train.py --lr {learning_rate}`.

The script prints JSON, one object per line, among any other output:

    {"epoch": 1, "loss": 0.52, "val_accuracy": 0.81}     after each epoch, if it has any
    {"result": {"accuracy": 0.93}}                       once, at its end

`ScriptCommand` says how the command is written, `script_results.py` where else the numbers
of a script that prints no JSON may be. The attempt keeps everything that the script prints, and the
files that it writes into the folder `{output}` (`SWEEPS_OUTPUT` in its environment).
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from search_spaces.objectives import Script
from search_spaces.parameters import AnyParameter
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
from sweeps.experiments.script_checkpoint import (
    CHECKPOINT_VARIABLE,
    LINE_END,
    LONGEST_LINE,
    LostEpochsError,
    ScriptCheckpoint,
)
from sweeps.experiments.script_results import (
    SCORE,
    OutputError,
    Reader,
    from_predictions,
    pattern_hint,
)
from sweeps.records.kept_files import HEAD_BYTES, TAIL_BYTES, last_lines, printed_files
from sweeps.records.sweep import SOURCE
from sweeps.workspace.files import remove
from sweeps.workspace.processes import descendants, marked, oom_kills, signal_each, why_killed

ATTEMPT, CHECKPOINT, DATA, FOLD, FOLDS, OUTPUT, PARAMS, SEED, TRIAL = (
    "attempt", "checkpoint", "data", "fold", "folds", "output", "params_json", "seed", "trial",
)  # fmt: skip
OWN: Final = frozenset({ATTEMPT, CHECKPOINT, DATA, FOLD, FOLDS, OUTPUT, PARAMS, SEED, TRIAL})
"""Placeholders that do not stand for parameters."""
_SCRIPTS: Final = (".py", ".sh", ".R")
_PYTHON: Final = re.compile(r"(python|pypy)[\d.]*")
_OF_A_MODULE: Final = (".py", "/__init__.py", "/__main__.py")
_PART: Final = re.compile(
    r"""(['"]?)\{\?\s*([^\W\d]\w*)\s*:?\s+(?![\s}])((?:[^{}]|\{[^{}]*\}|\{\{|\}\})*)\}\1"""
)
"""An optional part; in quotes if it is a word of a list. The groups: quote, name, text."""
_PLACE: Final = "\ue000"
"""Stands for an optional part where the other words are looked at."""
_QUOTED: Final = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""", re.DOTALL)
_OPERATOR: Final = re.compile(r"\|\|?|&&|;|[\d&]?>>?(?:&\d)?|<<?|(?<!\S)&(?!\S)")
_BETWEEN_WORDS: Final = re.compile(r"[\s|&;<>()'\"]+")


class ScriptCommand:
    """A command with placeholders, parsed once.

    `{name}` stands for a parameter or one of `OWN`. The part `{?momentum --momentum {momentum}}` is
    left out of the command if a trial has no `momentum`, because of its `when:`. No shell is
    involved: each word stays one argument, whatever the value.

    Attributes:
        text: The command as it was written.
        required: Names of placeholders that every trial must have a value for.
        names: Names of all placeholders, of those in optional parts, too.
    """

    def __init__(self, text: str) -> None:
        """Parse the command.

        Raises:
            ValueError: It is empty, cannot be split into words, or a placeholder has no name.
        """
        self.text = text
        without = _PART.sub(_PLACE, text)
        if (begin := without.find("{?")) >= 0:
            raise ValueError(
                f"command: {without[begin:].replace(_PLACE, '...')} is no optional part, or is not "
                "closed; write {?name --option {name}}"
            )
        self._words = shlex.split(without)
        if not self._words:
            raise ValueError("command: is empty; write it as python train.py --lr {learning_rate}")
        self.required = frozenset(name for word in self._words for name in _placeholders(word))
        self._parts = [(found[3].strip(), _needs(found)) for found in _PART.finditer(text)]
        self.names = self.required.union(*(needs for _, needs in self._parts))
        if FOLDS in self.names and not self.divides:
            raise ValueError("command: has {folds} and no {fold}, the number of one of them")

    @property
    def program(self) -> str:
        """The first word: the program to run."""
        return self._words[0]

    @property
    def python(self) -> str | None:
        """The word that names the Python which runs the script; None if it is run otherwise."""
        before = itertools.takewhile(lambda word: not word.endswith(_SCRIPTS), self._words)
        return next((word for word in before if _PYTHON.fullmatch(Path(word).name)), None)

    def is_same(self, other: ScriptCommand) -> bool:
        """Whether the commands are the same, whichever Python runs them."""
        one, another = (
            [("python" if word == command.python else word) for word in command._words]
            for command in (self, other)
        )
        return (one, self._parts) == (another, other._parts)

    @property
    def saves(self) -> bool:
        """Whether it names `{checkpoint}`, so that the script goes on where it was cut off."""
        return CHECKPOINT in self.names

    @property
    def divides(self) -> bool:
        """Whether it names `{fold}`, so that the script divides its data into fresh folds."""
        return FOLD in self.names

    def words(self, values: Mapping[str, str]) -> list[str]:
        """Return the words of the command with these values, without parts that lack a value."""
        # Values come last: each word stays one argument, whatever they are.
        text = _PART.sub(
            lambda found: found[3].strip() if _needs(found) <= values.keys() else "", self.text
        )
        return [word.format_map(values) for word in shlex.split(text)]

    def scripts(self) -> list[str]:
        """Return the words that name the file of a script."""
        return [word for word in self._words if word.endswith(_SCRIPTS) and "{" not in word]

    def named(self) -> list[str]:
        """Return the words that may name a file, and the scripts named inside of a word.

        The latter are in a line for a shell, as in `[bash, -c, '...']`.
        """
        return [*self._words, *(name for word in self._words for name in scripts_in(word))]

    def modules(self) -> list[str]:
        """Return the files in which Python would look for the module that `-m` names."""
        words = [word for word in self._words if "{" not in word]
        named = [after for option, after in itertools.pairwise(words) if option == "-m"]
        paths = [name.replace(".", "/") for name in named]
        return [f"{path}{ending}" for path in paths for ending in _OF_A_MODULE]

    def check_no_shell(self) -> None:
        """Refuse a command with operators that only a shell understands.

        Raises:
            ValueError: There is a pipe, a redirection or another operator outside of quotes.
        """
        found = _OPERATOR.search(_QUOTED.sub(lambda quoted: "_" * len(quoted[0]), self.text))
        if found is None:
            return
        line = f"set -o pipefail; {self.text}" if found[0] == "|" else self.text
        quoted = line.replace("'", "''")
        raise ValueError(
            f"command: {found[0]!r} is for a shell, and none is involved. Write "
            f"command: [bash, -c, '{quoted}'] to have one, or put it in quotes if it is an "
            "argument. All that a script prints is kept anyway: no `tee` and no `>` is needed"
        )


def scripts_in(text: str) -> list[str]:
    """Return the words in the text of a shell script that name the file of a script."""
    return [word for word in _BETWEEN_WORDS.split(text) if word.endswith(_SCRIPTS)]


def _needs(part: re.Match[str]) -> frozenset[str]:
    return frozenset({part[2], *_placeholders(part[3])})


def _placeholders(word: str) -> Iterator[str]:
    for _, name, form, conversion in string.Formatter().parse(word):
        if name is not None and (not name.isidentifier() or form or conversion):
            raise ValueError(
                f"command: {{{name}{':' + form if form else ''}}} is no placeholder; write "
                "{parameter}, or {{ and }} for braces of its own"
            )
        if name is not None:
            yield name


OUTPUT_VARIABLE: Final = "SWEEPS_OUTPUT"
_DEAF_TO_CTRL_C: Final = ("/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh")
SHORTEST_PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE_SECONDS: Final = 0.2
"""Limits of the pause between two looks at the output; silence makes the pause longer."""
_FOR_GOOD: Final = ("pruned", "cancelled")
"""Reasons of a `Stop` after which no attempt goes on."""
PATIENCE_SECONDS: Final = 3.0
"""How long a script that is told to end, and all that it started, may take before a kill."""
_POLITELY: Final = (signal.SIGTERM, signal.SIGKILL)
_PIECE_BYTES: Final = 1 << 16
_FREE_BYTES: Final = 1 << 22


class Printed:
    """A file into which a process prints, and which is read as it grows.

    Unlike a pipe, it keeps everything if a process is killed, and neither side waits for the other.
    The middle of a long file, which is not kept, gives its disk space back if the system can do
    that.
    """

    def __init__(self, path: Path, only: bytes) -> None:
        """Make the file; of its lines, those that begin with `only` are read."""
        self._only = only
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o666)
        self._read_to = self._freed_to = 0
        self._begun = b""

    def fileno(self) -> int:
        """Return the descriptor into which the process prints."""
        return self._file

    def close(self) -> None:
        """Close the file; it is not removed."""
        os.close(self._file)

    def new_lines(self) -> Iterator[list[str]]:
        """Yield the new whole lines, piece by piece."""
        while piece := os.pread(self._file, _PIECE_BYTES, self._read_to):
            self._read_to += len(piece)
            yield self._split(piece)

    def last_line(self) -> list[str]:
        """Return the last line if it has no line end; call it once the process has ended."""
        return self._split(b"\n")

    def free(self) -> None:
        """Free the disk space between head and tail (Linux; elsewhere when the attempt ends)."""
        begin = max(self._freed_to, HEAD_BYTES)
        end = os.fstat(self._file).st_size - TAIL_BYTES
        if sys.platform == "linux" and end - begin >= _FREE_BYTES:
            keep_size_punch_hole = 3
            offsets = ctypes.c_int64(begin), ctypes.c_int64(end - begin)
            ctypes.CDLL(None).fallocate(self._file, keep_size_punch_hole, *offsets)
            self._freed_to = end

    def _split(self, piece: bytes) -> list[str]:
        *whole, self._begun = LINE_END.split(self._begun + piece)
        if len(self._begun) > LONGEST_LINE:
            self._begun = b"(too long)"
        lines = (line.strip() for line in whole)
        return [line.decode(errors="replace") for line in lines if line.startswith(self._only)]


class RunningScript:
    """A running script, which does not outlive its trial and ignores Ctrl-C meant for the sweep."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path | None,
        folder: Path,
        *,
        environment: Mapping[str, str | None],
        has_only_json: bool,
        checkpoint: ScriptCheckpoint | None = None,
    ) -> None:
        """Prepare it; it starts on `with`.

        Args:
            command: Its words.
            directory: The folder in which it runs.
            folder: Its two files of output are made there; it writes its own into `output` there.
            environment: Variables that it gets beside those of this process; None takes one away.
            has_only_json: Whether only lines that may be JSON objects, of stdout, are read.
            checkpoint: Where its output is linked, so that the next attempt can read all of it.
        """
        self._command, self._directory = command, directory
        self._folder, self._has_only_json = folder, has_only_json
        variables = {
            "PYTHONUNBUFFERED": "1",  # each line at once: epochs arrive, and a kill loses none
            **os.environ,
            **environment,
            OUTPUT_VARIABLE: str(folder / "output"),
            **({} if checkpoint is None else {CHECKPOINT_VARIABLE: str(checkpoint.folder)}),
        }
        self._checkpoint = checkpoint
        self._environment = {name: said for name, said in variables.items() if said is not None}

    def __enter__(self) -> RunningScript:
        self._stdout = Printed(self._folder / "stdout.txt", b"{" if self._has_only_json else b"")
        if self._checkpoint is not None:
            self._checkpoint.link(self._folder / "stdout.txt")
        self._stderr = Printed(self._folder / "stderr.txt", b"")
        self._process = subprocess.Popen(  # noqa: S603 - the command of the user's own space
            [*_DEAF_TO_CTRL_C, *self._command],
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._stdout.fileno(),
            stderr=self._stderr.fileno(),
        )
        return self

    def __exit__(self, *_: object) -> None:
        has_ended = self._process.poll() is not None
        self._end_all(*_POLITELY if has_ended else (signal.SIGKILL,))
        self._process.wait()
        self._stdout.close()
        self._stderr.close()

    def lines(self) -> Iterator[list[str]]:
        """Yield the new lines of its output, none after each look at it, until it has ended."""
        pause, has_ended = SHORTEST_PAUSE_SECONDS, False
        read = [self._stdout] if self._has_only_json else [self._stdout, self._stderr]
        while not has_ended:
            has_ended = self._has_ended_in(pause)  # first, so that its last output is read below
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            for file in read:
                for lines in file.new_lines():
                    pause = SHORTEST_PAUSE_SECONDS if lines else pause
                    if lines and self._checkpoint is not None:
                        os.fdatasync(file.fileno())  # before the state that the script saves next
                    yield lines
            if self._checkpoint is None:
                self._stdout.free()
            self._stderr.free()
            yield []
        for file in read:
            yield file.last_line()

    def _has_ended_in(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def let_save(self) -> None:
        """Wait until it has saved the epoch that it has just printed, if it saves any."""
        for _ in self._checkpoint.let_save() if self._checkpoint else ():
            if self._has_ended_in(LONGEST_PAUSE_SECONDS):
                return

    def end(self) -> int:
        """End it and all that it started, by a kill if necessary; return its exit code."""
        self._end_all(*_POLITELY)
        return self._process.wait()

    def _end_all(self, *signals: signal.Signals) -> None:
        """Send signals, one after the other, to it and all that it started, until all have ended.

        On Linux, processes that have left its process tree are found by their environment.
        """
        pid = self._process.pid
        known = [] if self._process.poll() is not None else [pid, *descendants(pid)]
        for number in signals:
            signal_each({*known, *self._marked()}, number)
            end = time.monotonic() + PATIENCE_SECONDS
            while self._process.poll() is None or self._marked():
                if time.monotonic() >= end:
                    break
                time.sleep(SHORTEST_PAUSE_SECONDS)
            else:
                return

    def _marked(self) -> list[int]:
        return marked(OUTPUT_VARIABLE, self._environment[OUTPUT_VARIABLE])


_OF_ONE_ATTEMPT: Final = {
    name: f"{{{name}}}" for name in (OUTPUT, CHECKPOINT, TRIAL, ATTEMPT)
}  # fmt: skip
"""Messages show these in place of the values, so that attempts that fail alike read alike."""


class ScriptExperiment:
    """The experiment that `command:` in a space stands for; see the module."""

    measures: Mapping[str, str] = {}

    def __init__(self, script: Script, directory: Path | None) -> None:
        """Describe the experiment, whose command is run in that folder; nothing is run yet.

        Raises:
            ValueError: The command cannot be split into words, a placeholder has no name, or it has
                `{checkpoint}` and prints no JSON lines.
        """
        self._command, self._directory = ScriptCommand(script.command), directory
        self._script = script
        if self._command.saves and (script.patterns or script.result):
            raise ValueError(
                "command: has {checkpoint}, which needs the numbers in JSON lines: only they say "
                "with which epoch a script goes on. Leave out `metrics` and `result`, and print "
                '{"epoch": 1, "loss": 0.52} after each epoch and {"result": {...}} at the end'
            )
        self.name = Path(next(iter(self._command.scripts()), self._command.program)).stem
        names, required = self._command.names, self._command.required
        known = {
            name: ParameterInfo(
                "any", required=name in required, description=f"{{{name}}} of the command"
            )
            for name in sorted(names - OWN)
        }
        self.parameters: Mapping[str, ParameterInfo] = (
            AnyParameter(known, "part of {params_json}") if PARAMS in names else known
        )
        self.metrics: Mapping[str, MetricInfo] = {
            one.metric: MetricInfo(one.direction, one.metric) for one in script.objectives
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
        program, folder = self._command.program, self._directory or Path()
        if shutil.which(program) is None and not (folder / program).exists():
            mend = "; if its environment has moved, mend its path in the space: the sweep goes on"
            said = mend if program == self._command.python else ""
            raise ValueError(f"command: there is no program {program!r}{said}")
        for word in self._command.scripts():
            if not (folder / word).exists():
                raise ValueError(f"command: there is no file {word!r} in {folder.resolve()}")
        wanted = self._command.required if source is None else self._command.names
        if (DATA in wanted) is (source is None):
            said = "has {data}; say which with --data" if source is None else "has no {data}"
            raise ValueError(f"data {source!r}: the command {said}")
        path = None if source is None else folder / source
        content = path.read_bytes() if path and path.is_file() else str(source).encode()
        digest = sha256(content).hexdigest()
        return PreparedData(source or self.name, digest, digest, {SOURCE: source}, None)

    def files(self) -> list[Path]:
        """Return the files that the command names, in its order, then those that its `.sh` name."""
        folder = (self._directory or Path()).resolve()
        named = [word for word in self._command.named() if word != self._command.python]
        names = [*named, *self._command.modules()]
        found = dict.fromkeys(path for name in names if name and (path := folder / name).is_file())
        for script in [path for path in found if path.suffix == ".sh"]:
            inner = scripts_in(script.read_text(encoding="utf-8", errors="replace"))
            found |= dict.fromkeys(path for name in inner if (path := folder / name).is_file())
        return list(found)

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

    @contextmanager
    def _checkpoint(self, spec: TrialSpec) -> Iterator[ScriptCheckpoint | None]:
        if not self._command.saves:
            yield None
            return
        with tempfile.TemporaryDirectory(prefix="sweeps-") as spare:
            checkpoint = ScriptCheckpoint(spec.checkpoint, Path(spare))
            try:
                checkpoint.begin()
            except OSError as error:
                said = f"the folder {{checkpoint}} cannot be used: {error}"
                raise ScriptError(said, "error") from None
            yield checkpoint

    def train_in(
        self, folder: Path, spec: TrialSpec, data: PreparedData, on_epoch: OnEpoch
    ) -> TrialResult:
        """Run the script once; its output and its files lie in the folder.

        Raises:
            ScriptError: It ended with another exit code than 0, or without a result; the message
                has the last lines that it printed.
        """
        with self._checkpoint(spec) as checkpoint:
            try:
                return self._train_in(folder, spec, data, on_epoch, checkpoint)
            except LostEpochsError as error:
                assert checkpoint is not None
                checkpoint.begin_anew(str(error))
                for path in list(folder.iterdir()):
                    remove(path)
                return self._train_in(folder, spec, data, on_epoch, checkpoint)

    def _train_in(
        self,
        folder: Path,
        spec: TrialSpec,
        data: PreparedData,
        on_epoch: OnEpoch,
        checkpoint: ScriptCheckpoint | None,
    ) -> TrialResult:
        output = folder / "output"
        output.mkdir()
        state = None if checkpoint is None else str(checkpoint.folder)
        command = self.command(spec, data.info, str(output), state)
        values = self._values(spec.config, spec.seed, data.info)
        shown = shlex.join(self._command.words({**values, **_OF_ONE_ATTEMPT}))
        began, kills_before = time.perf_counter(), oom_kills()
        metrics = list(self.metrics)
        try:
            reader = Reader(self._script, on_epoch, folder, checkpoint)
            results = reader.results
            code = self._run(command, folder, reader, checkpoint)
            if results.stop is None and code:
                ended, reason = _why_ended(code, kills_before)
                if reason == "crash" and checkpoint is None:
                    reason = "error"  # with a checkpoint it goes on from there
                raise _failed(ended, shown, folder, reason)
            if results.stop is None:
                reader.finish()
                reader.check(metrics)
        except OutputError as error:
            printed = b"\n".join(printed_files(folder).values()).decode(errors="replace")
            said = f"{error}{pattern_hint(printed, error.metric)}"
            raise _failed(said, shown, folder, "invalid") from None
        arrays, class_names, why_not = (
            ({}, [], "") if results.stop else from_predictions(output, metrics, results.metrics)
        )
        return TrialResult(
            outcome="stopped" if results.stop else "complete",
            stop_reason=results.stop.reason if results.stop else "finished",
            metrics=results.metrics or {},
            history=results.history,
            timings={"train_seconds": time.perf_counter() - began},
            summary=shown,
            engine="script",
            engine_reason=why_not,
            arrays=arrays,
            info={
                **({} if results.stop else {SCORE: reader.score}),
                **({"class_names": class_names} if class_names else {}),
            },
        )

    def command(
        self, spec: TrialSpec, info: Mapping[str, Any], output: str, checkpoint: str | None = None
    ) -> list[str]:
        """Return the words of an attempt's command.

        Args:
            spec: The attempt.
            info: The `info` of its data, or of a fold of them.
            output: The folder that it writes into.
            checkpoint: The folder that the next attempt finds again; None: one in `output`, for a
                command to be shown.
        """
        own = {OUTPUT: output, CHECKPOINT: checkpoint or f"{output}/{CHECKPOINT}"}
        own |= {TRIAL: str(spec.trial), ATTEMPT: str(spec.attempt)}
        return self._command.words({**self._values(spec.config, spec.seed, info), **own})

    def _folds(self, data: PreparedData, seed: int, n: int) -> Iterator[Fold]:
        """Number n folds, from 1; 0 is the search. The script divides its data, and says how."""
        for number in range(1 + seed * n, 1 + (seed + 1) * n):
            info = {**data.info, FOLD: number, FOLDS: n}
            yield Fold(replace(data, info=info), np.empty(0, np.int64))

    def _run(
        self,
        command: Sequence[str],
        folder: Path,
        reader: Reader,
        checkpoint: ScriptCheckpoint | None,
    ) -> int:
        script = RunningScript(
            command,
            self._directory,
            folder,
            environment=reader.environment,
            has_only_json=not self._script.patterns,
            checkpoint=checkpoint,
        )
        with script:
            for lines in script.lines():
                reader.read(lines)
                if reader.results.stop is not None:
                    if reader.results.stop.reason not in _FOR_GOOD:
                        script.let_save()
                    break
            return script.end()

    def draw(self, spec: TrialSpec, result: TrialResult) -> Mapping[str, bytes]:
        """Draw nothing: MLflow shows the curves, and counts are drawn for every experiment."""
        return {}

    def load_model(
        self,
        config: Mapping[str, Value],
        weights: Mapping[str, np.ndarray],
        info: Mapping[str, Any],
    ) -> Any:
        """Refuse, by a ValueError: only the script knows where its model is."""
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


_EndReason = Literal["crash", "oom", "error", "killed"]


def _why_ended(code: int, oom_kills_before: int) -> tuple[str, _EndReason]:
    if code > 0:
        return f"exit code {code}", "error"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    said = f"killed by {signal.Signals(-code).name}{hint}"
    return said, why_killed(code, oom_kills_before) or "crash"


def _failed(
    problem: str, command: str, folder: Path, reason: Literal["invalid"] | _EndReason
) -> ScriptError:
    printed = printed_files(folder)
    # A terminal shows only the first line, so the script's own last error goes into it.
    lines = printed.get("stderr.txt", b"").decode(errors="replace").strip().splitlines()
    first = problem if reason == "invalid" or not lines else f"{problem}: {lines[-1]}"
    said = f"{first}\n\nCommand: {command}{last_lines(printed)}"
    return ScriptError(said, reason)


def _text(value: Value) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
