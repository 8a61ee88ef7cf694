"""Reads the numbers of a running script, whatever it puts them into.

| source | what it holds |
|---|---|
| JSON lines in its output | `{"epoch": 1, "loss": 0.52}` and `{"result": {"accuracy": 0.93}}` |
| `metrics:` of the space | a regular expression per metric, for the lines of its output |
| `result: metrics.json`, `metrics.csv` | a file that it writes into `{output}` |
| `result: mlflow` | the run that it logs to MLflow, in a store of its own beside `{output}` |

JSON lines are read only if the space names no other source: a script that was not written for a
sweep may print JSON of its own. All others have the same rule: a number for the metric of the
(first) objective ends an epoch, which has the latest number of each other metric; the result is the
last number of each. After lines that name their epoch (`epoch 3`, a step, iteration or round), one
that names none is a summary: neither an epoch nor the result, unless it matches `final:` of the
space. A number of the test set is read only by a pattern that says `test`. The run of a script is
not kept as a run: what it holds is taken over into the attempt, so that it is part of the record,
which MLflow's runs are made from. MLflow is not needed to read it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
import signal
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search_spaces.objectives import Script
from sweeps.by_sample import by_sample
from sweeps.capabilities import BY_SAMPLE, GROUPS, SAMPLES
from sweeps.experiment import OnEpoch, Stop
from sweeps.experiments.script_checkpoint import ScriptCheckpoint, whole_number

SCORE: Final = "score"
"""Name, in the `info` of an attempt's result, of where its score was read; see `Score`."""
MLFLOW: Final = "mlflow"
"""In place of a file: the run that the script logs."""
_LARGEST_FILE: Final = 16 << 20
_PAUSE_SECONDS: Final = 0.5
"""Pause between two looks at a file that is being written."""
_GOES_ON: Final = re.compile(r"\.?\d|[eE][-+]?\d")
"""A number whose group is followed by this was cut off, as 1.2 of 1.2e-05."""
_EPOCH: Final = re.compile(r"\b(?:epoch|step|iter|iteration|round)\W{0,3}(\d{1,9})", re.IGNORECASE)
"""A line with this names its epoch."""
_SUMS_UP: Final = re.compile(r"\b(best|final)", re.IGNORECASE)
_PART: Final = re.compile(
    r"(?<![a-z])(?:train(?:ing)?|val(?:id(?:ation)?)?|dev|(test)(?:s|ing|set)?)(?![a-z])",
    re.IGNORECASE,
)
"""A part of the data that a line names; the group is for the test set."""
_FINAL: Final = ""
"""Stands for the pattern of `final` among those of the metrics, which have names."""
_OF_FINAL: Final = "the line of `final`"
_SHOWN_CHARACTERS: Final = 120
_NAMED_NUMBER: Final = re.compile(
    r"(?<![\w-])([A-Za-z][\w-]{2,50})[=: ]+(?:[-+]?[\d.]+(?:[eE][-+]?\d+)?|nan|inf)(?![\w.])"
)
_SEARCHED_LINES: Final = 200
_SEARCHED_CHARACTERS: Final = 500
"""So much of the output is looked through for lines with a metric."""


class OutputError(ValueError):
    """A script printed or wrote something else than it should, or left out what it must.

    Attributes:
        metric: The metric that no line had; empty for any other mistake.
    """

    def __init__(self, text: str, metric: str = "") -> None:
        super().__init__(text)
        self.metric = metric


@dataclass(frozen=True)
class Score:
    """Where the number of the (first) objective was read.

    Attributes:
        rule: Which of the numbers counts, in words.
        line: The line that it stands in; empty if it was read from a file.
        left_out: The last line that has a number of the metric and does not count; usually empty.
        why: Why it does not count.
    """

    rule: str
    line: str = ""
    left_out: str = ""
    why: str = ""

    def __str__(self) -> str:
        said = f"{self.rule}, {self.line!r}" if self.line else self.rule
        return f"{said}; not {self.left_out!r}, which {self.why}" if self.left_out else said


def score_of(info: Mapping[str, Any]) -> Score | None:
    """Return where the score of a recorded attempt was read; None if its record does not say so."""
    said = info.get(SCORE)
    names = [one.name for one in fields(Score)]
    if not isinstance(said, Mapping) or not isinstance(said.get("rule"), str):
        return None
    return Score(**{name: str(said[name]) for name in names if name in said})


class ScriptNumbers:
    """The numbers of an attempt so far.

    Attributes:
        history: Values per epoch by metric; NaN for those that are not finite.
        stop: The `Stop` that `on_epoch` returned; None as long as the script is to go on.
    """

    def __init__(self, objective: str, on_epoch: OnEpoch) -> None:
        """Take the numbers of a script; `objective` is the metric that ends an epoch."""
        self.history: dict[str, list[float]] = {}
        self.stop: Stop | None = None
        self._objective, self._on_epoch = objective, on_epoch
        self._epochs = 0
        self._latest: dict[str, float] = {}
        self._result: dict[str, float] | None = None

    @property
    def metrics(self) -> dict[str, float] | None:
        """The result; None if there is none yet."""
        if self._result is None and not self._latest:
            return None
        return {**self._latest, **(self._result or {})}

    def go_on(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """Take the epochs of earlier attempts, which were reported already."""
        for values in epochs:
            self._add(values)
        self._epochs += len(epochs)

    def end_epoch(self, values: Mapping[str, float]) -> None:
        """Add an epoch.

        Raises:
            OutputError: It has other names than the one before.
        """
        if self.stop is not None:
            return
        if self._epochs and values.keys() != self.history.keys():
            raise OutputError(
                f"epoch {self._epochs + 1} has {', '.join(values)}, those before "
                f"{', '.join(self.history)}; print the same names after each epoch"
            )
        self._add(values)
        self.stop = self._on_epoch(self._epochs, values)
        self._epochs += 1

    def _add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            known = value if math.isfinite(value) else math.nan
            self.history.setdefault(name, []).append(known)

    def update(self, values: Mapping[str, float]) -> None:
        """Take the latest numbers of some metrics; that of the objective ends an epoch."""
        self._latest.update(values)
        if self._objective in values:
            names = self.history or self._latest
            self.end_epoch({name: self._latest[name] for name in names if name in self._latest})

    def latest(self, name: str) -> float | None:
        """Return the latest number of a metric; None before the first one."""
        return self._latest.get(name)

    def end(self, values: Mapping[str, float]) -> None:
        """Take the result."""
        self._result = {**(self._result or {}), **values}


_LONGEST_SEARCHED: Final = 4096
"""Characters of a line that are searched."""
_MOST_SECONDS: Final = 1.0
"""CPU time that all patterns of a script together may take for one line."""


@contextmanager
def _in_time() -> Iterator[None]:
    """End a search that takes too long: `(a+)+b` can take years on a short line.

    Only the main thread, which trains as a rule, can be interrupted.
    """

    def end(*_: object) -> None:
        raise OutputError(
            f"metrics: a pattern takes more than {_MOST_SECONDS:g} s for a line; write it without "
            "repetitions inside of a repetition, such as ([0-9.]+) in place of (([0-9]+.?)+)"
        )

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, end)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, _MOST_SECONDS)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Reader:
    """Reads the sources of one attempt into its `results`."""

    def __init__(
        self,
        script: Script,
        on_epoch: OnEpoch,
        folder: Path,
        checkpoint: ScriptCheckpoint | None = None,
    ) -> None:
        """Start to read what a script writes into `output` in the folder of its attempt.

        Each epoch, from 0, goes to `on_epoch`; the checkpoint knows those of earlier attempts.
        """
        self._checkpoint = checkpoint
        self._script, self._objective = script, script.objectives[0].metric
        self.results = ScriptNumbers(self._objective, on_epoch)
        patterns = {**script.patterns, **({_FINAL: script.final} if script.final else {})}
        try:
            compiled = {name: re.compile(pattern) for name, pattern in patterns.items()}
        except re.error as error:  # of a forged record: a space refuses it
            raise OutputError(f"metrics: no regular expression: {error}") from None
        self._patterns = compiled if script.patterns else {}
        self._file: _Table | _MlflowRun | None = None
        if script.result == MLFLOW:
            self._file = _MlflowRun(folder / MLFLOW, self._objective)
        elif script.result is not None:
            self._file = _Table(folder / "output" / script.result)
        self._next_look = 0.0
        self._no_json = ""
        self._lines = _EpochLines()
        self._of_test: dict[str, str] = {}  # by metric, a line that was left out
        self._score = Score("")

    @property
    def environment(self) -> Mapping[str, str | None]:
        """Variables by which the script writes where this reads."""
        return {} if self._file is None else self._file.environment

    @property
    def score(self) -> dict[str, str]:
        """Where the number of the objective was read, as `score_of` reads it."""
        score = self._score
        if self._file is not None and self._objective not in self._script.patterns:
            score = Score(self._file.rule)
        return {name: text for name, text in asdict(score).items() if text}

    def read(self, lines: Sequence[str]) -> None:
        """Read new lines of the output, and now and then the file.

        Raises:
            OutputError: A line has something other than numbers, or other names than before.
        """
        for line in lines if self._patterns else ():
            if self.results.stop is None:
                with _in_time():
                    begin = line[:_LONGEST_SEARCHED]
                    found = {name: one.search(begin) for name, one in self._patterns.items()}
                self._read_line(line, {name: one for name, one in found.items() if one and one[1]})
        if not self._patterns and self._file is None:
            self._read_json(lines)
        began = time.monotonic()
        if self._file is not None and began >= self._next_look:
            self._file.read(self.results, has_ended=False)
            ended = time.monotonic()
            self._next_look = ended + max(_PAUSE_SECONDS, 10 * (ended - began))

    def _read_line(self, line: str, matches: Mapping[str, re.Match[str]]) -> None:
        numbers = {
            name: _matched(name or "final", found)
            for name, found in matches.items()
            if not self._is_of_test(name, found)
        }
        final = numbers.pop(_FINAL, None)
        if final is not None:
            self.results.end({**numbers, self._objective: final})
            self._score = replace(self._score, rule=_OF_FINAL, line=_shown(line))
            return
        is_scored = self._objective in numbers
        if self._lines.take(line, is_scored=is_scored):
            self._score = replace(self._score, rule=self._lines.rule, line=_shown(line))
        elif is_scored:
            if numbers[self._objective] != self.results.latest(self._objective):
                self._leave_out(line, "names no epoch: `final` of the space would take it")
            # A metric that no epoch has is known from here only.
            known = {self._objective, *self.results.history}
            numbers = {name: value for name, value in numbers.items() if name not in known}
        self.results.update(numbers)

    def _is_of_test(self, name: str, found: re.Match[str]) -> bool:
        """Whether a number is of the test set, and neither its name nor its pattern says `test`."""
        pattern = self._script.patterns.get(name, self._script.final)
        if "test" in f"{name} {pattern}".lower():
            return False
        if not says_test(found.string, found.start(1), found.end(1) - found.start(1)):
            return False
        if name == self._objective:
            self._leave_out(found.string, "says test")
        self._of_test[name] = _shown(found.string)
        return True

    def _leave_out(self, line: str, why: str) -> None:
        self._score = replace(self._score, left_out=_shown(line), why=why)

    def _read_json(self, lines: Sequence[str]) -> None:
        for line in lines:
            said: Any = None
            with suppress(ValueError, RecursionError):  # the latter if it is nested too deep
                said = json.loads(line)
            said = said if isinstance(said, dict) else {}
            if "result" in said:
                example = '{"result": {"accuracy": 0.93}}'
                self.results.end(_numbers(said["result"], line, example))
                self._score = Score("its result", _shown(line))
            elif "epoch" in said:
                values = {k: v for k, v in said.items() if k != "epoch"}
                values = _numbers(values, line, '{"epoch": 1, "loss": 0.52}')
                self._go_on(said["epoch"])
                self.results.end_epoch(values)
            elif line.startswith("{") and "result" in line:
                self._no_json = f" ({line[:60]} is no JSON)"
            if self.results.stop is not None:
                return

    def _go_on(self, number: Any) -> None:
        if self._checkpoint is None or self.results.stop is not None:
            return
        epoch = whole_number(number)
        if epoch is None:
            raise OutputError(f"epoch {number!r} is no whole number; {{checkpoint}} needs one")
        try:
            self.results.go_on(self._checkpoint.epochs_before(epoch))
        except ValueError as error:
            raise OutputError(
                f"{error}; with {{checkpoint}} number them 1, 2, 3 (or 0, 1, 2), each once, also "
                "across folds: the number says where the next attempt goes on"
            ) from None

    def finish(self) -> None:
        """Read the rest, once the script has ended.

        Raises:
            OutputError: The file is not what it should be.
        """
        if self._file is not None:
            self._file.read(self.results, has_ended=True)
        if self._checkpoint is not None and (epochs := self._checkpoint.rest()):
            self.results.go_on(epochs[:-1])
            self.results.end_epoch(epochs[-1])

    def check(self, wanted: Sequence[str]) -> None:
        """Refuse a script that ended without a result, or with a result that lacks an objective.

        Raises:
            OutputError: The message says where the number was looked for.
        """
        metrics = self.results.metrics or {}
        if self._script.final and self._score.rule != _OF_FINAL:
            raise OutputError(f"final: {self._no_match(repr(self._script.final), _FINAL)}")
        missing = [name for name in wanted if name not in metrics]
        if not missing:
            return
        name, others = missing[0], f"only {', '.join(metrics)}" if metrics else "nothing"
        if name in self._script.patterns:
            pattern = f"the pattern of {name!r}, {self._script.patterns[name]!r}"
            looked_for = "" if name in self._of_test else name
            raise OutputError(f"metrics: {self._no_match(pattern, name)}", looked_for)
        if self._file is not None:
            raise OutputError(f"result: {self._file.what_is_missing(name, others)}")
        example = json.dumps({"result": dict.fromkeys(wanted, 0.93)})
        if self.results.metrics is not None:
            raise OutputError(f"its result has no {name!r}, {others}; print it such as {example}")
        raise OutputError(
            f'no line {{"result": {{...}}}}{self._no_json}; '
            f"print one at the end, such as {example}",
            name,
        )

    def _no_match(self, pattern: str, name: str) -> str:
        if name in self._of_test:
            return (
                f"each line that matches {pattern} says test, as {self._of_test[name]!r} does, and "
                "the test set is for the end; print the number of a validation set, or write "
                "`test` into the pattern if this is meant"
            )
        return (
            f"no line that it printed matches {pattern}; compare it with stdout.txt and stderr.txt"
        )


class _EpochLines:
    """Tells the lines of epochs from those that sum up, in the order in which they are printed.

    A line names its epoch, or one before it does, as a heading. If neither was ever so, each line
    with a number of the objective is an epoch.
    """

    def __init__(self) -> None:
        self._are_named = False
        self._number = 0  # of the last epoch that was named
        self._since = 0  # lines with a number since the last heading
        self._most = 0  # after one heading

    @property
    def rule(self) -> str:
        """Which line counts in the end, in words."""
        is_known = self._are_named or self._most == 1
        return "the line of the last epoch" if is_known else "the last line that matches"

    def take(self, line: str, *, is_scored: bool) -> bool:
        """Take the next line; return whether its number, if it has one, is that of an epoch."""
        is_named = self._names_epoch(line)
        if is_named and not is_scored:
            self._most, self._since = max(self._most, self._since), 0
        if not is_scored:
            return False
        self._since += 1
        self._are_named |= is_named
        is_summary = self._are_named or (self._most == 1 and self._since > 1)
        return is_named or not is_summary

    def _names_epoch(self, line: str) -> bool:
        """Whether it names its epoch; `best: 0.9 in epoch 3` does not, if that was named before."""
        found = _EPOCH.search(line)
        if found is None:
            return False
        number = int(found[1])
        if _SUMS_UP.search(line[: found.start()]) and number <= self._number:
            return False
        self._number = number
        return True


def says_test(line: str, start: int, length: int) -> bool:
    """Whether a number of a line is of the test set, by the words before it; else by those after.

    Args:
        line: The line.
        start: Where the number begins.
        length: Its length.
    """
    after = line[start + length :]  # up to the next number
    parts = [*_PART.finditer(line[:start])]
    if not parts and not re.search(r"\d", after):
        parts = [*_PART.finditer(after)]
    return bool(parts) and parts[-1][1] is not None


def names_epoch(line: str) -> bool:
    """Whether a line names its epoch, or its step, iteration or round, and sums up nothing."""
    found = _EPOCH.search(line)
    return found is not None and not _SUMS_UP.search(line[: found.start()])


def pattern_hint(printed: str, metric: str) -> str:
    """Return which pattern would find a metric in lines that look like it; empty if none does.

    Empty, too, if `metric` is.
    """
    wanted, alike, same = metric.lower(), "", ""
    for line in printed.splitlines()[-_SEARCHED_LINES:] if metric else ():
        for found in _NAMED_NUMBER.finditer(line[:_SEARCHED_CHARACTERS]):
            name = found[1].lower()
            # The pattern first: a terminal shows the begin of an error.
            pattern = rf"\b{found[1]}[=: ]+(\S+)"
            text = f"; or add metrics: {{{metric}: '{pattern}'}}, which finds {_shown(line)!r}"
            if name == wanted:
                same = text
            elif name in wanted or wanted in name:
                alike = text
    return same or alike


def _shown(line: str) -> str:
    return line.strip()[:_SHOWN_CHARACTERS]


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    return float(value)


def _numbers(values: Any, line: str, example: str) -> dict[str, float]:
    try:
        return {str(name): _number(value) for name, value in values.items()}
    except (AttributeError, TypeError, ValueError, OverflowError):
        said = f"not a number for each name: {line.strip()[:200]}"
        raise OutputError(f"{said}; print it such as {example}") from None


def _matched(name: str, found: re.Match[str]) -> float:
    """Return the number that a pattern found; punctuation may follow it."""
    text, line = found[1], found.string
    number = text.strip().rstrip(".,;")
    is_cut_off = text == number and _GOES_ON.match(line, found.end(1))
    try:
        value = float(number)
    except ValueError:
        value = None
    if value is None or is_cut_off:
        raise OutputError(
            f"metrics: the pattern of {name!r} found {text!r} in {line[:200]!r}, which is no "
            r"number, or not all of it; put its group around all of it, as in (\S+) or ([-+.\deE]+)"
        )
    return value


class _Table:
    """A CSV file with a row per epoch, or a JSON file.

    A logger may write rows of a training part and of a validation part by turns (Lightning's does):
    a row without a number for the objective is no epoch. JSON is an object of numbers, or of lists
    of numbers with a value per epoch (`History.history` of Keras), or a list of objects.
    """

    environment: Mapping[str, str | None] = {}

    def __init__(self, path: Path) -> None:
        self._path, self._is_json = path, path.suffix == ".json"
        self._rows = 0
        self._size = -1
        last = "value in" if self._is_json else "row with it of"
        self.rule = f"the last {last} {path.name}"

    def read(self, results: ScriptNumbers, *, has_ended: bool) -> None:
        size = self._path.stat().st_size if self._path.is_file() else -1
        if size < 0 or (not has_ended and (self._is_json or self._size == size)):
            return
        text = _text_of(self._path)
        if self._is_json:
            rows = _json_rows(text, self._path.name, results)
        else:
            whole = text if has_ended else text[: text.rfind("\n") + 1]
            rows = _csv_rows(whole, self._path.name)
        for row in rows[self._rows :]:
            if results.stop is None:
                results.update(row)
                self._rows += 1
        self._size = size

    def what_is_missing(self, name: str, others: str) -> str:
        if not self._path.is_file():
            return (
                f"it wrote no {self._path.name} into the folder that {{output}} names; hand the "
                "folder over in the command, and look at what it wrote under output/"
            )
        return f"{self._path.name} has no number for {name!r}, {others}"


def _text_of(path: Path) -> str:
    try:
        if (size := path.stat().st_size) > _LARGEST_FILE:
            most = _LARGEST_FILE >> 20
            raise OutputError(f"result: {path.name} has {size} bytes; at most {most} MB are read")
        return path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise OutputError(f"result: {path.name} cannot be read ({error.strerror})") from None


def _csv_rows(text: str, name: str) -> list[dict[str, float]]:
    lines = text.splitlines()
    header = lines[0] if lines else ""
    separator = max(",;\t", key=header.count)
    try:
        rows = [_numbers_in(row) for row in csv.DictReader(lines, delimiter=separator)]
    except csv.Error as error:
        raise OutputError(f"result: {name} is no CSV file: {error}") from None
    return [{k: v for k, v in row.items() if k not in {"epoch", "step"}} for row in rows]


def _json_rows(text: str, name: str, results: ScriptNumbers) -> list[dict[str, float]]:
    """Return the epochs of a JSON file; single numbers go into the result."""
    try:
        said = json.loads(text)
        said = dict(leaves(said)) if isinstance(said, dict) else said
    except (ValueError, RecursionError) as error:
        raise OutputError(f"result: {name} is no JSON file: {error}") from None
    if isinstance(said, dict):
        if single := _numbers_in(said):
            results.end(single)
        lists = {key: value for key, value in said.items() if isinstance(value, list)}
        length = max(map(len, lists.values()), default=0)
        return [
            _numbers_in({key: value[n] for key, value in lists.items() if n < len(value)})
            for n in range(length)
        ]
    if isinstance(said, list):
        return [_numbers_in(row) for row in said if isinstance(row, dict)]
    raise OutputError(f"result: {name} holds {text[:50]!r}; write an object of numbers")


def leaves(values: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a nested mapping holds, each by its path: `optimizer.lr`."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _numbers_in(row: Mapping[Any, Any]) -> dict[str, float]:
    """Return the numbers of a row; texts, empty cells and lists are left out."""
    found = {}
    for name, value in row.items():
        try:
            if isinstance(name, str) and isinstance(value, str | int | float):
                found[name.strip()] = _number(value)
        except (TypeError, ValueError, OverflowError):
            continue
    return found


class _MlflowRun:
    """The run that a script logs, read from the plain files of MLflow's file store.

    A database would take seconds to set up for each attempt. Numbers that belong to one step are
    logged one after the other, so while the script runs, its last step is not looked at. Once it
    has ended, the run's folder gets a name that is the same for each attempt, `mlflow/run`.
    """

    def __init__(self, store: Path, objective: str) -> None:
        self._store, self._objective = store, objective
        self._epochs = 0
        self.rule = "the last step of the run that it logged to MLflow"
        self.environment: Mapping[str, str | None] = {
            "MLFLOW_TRACKING_URI": store.as_uri(),
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_EXPERIMENT_ID": None,  # of another store
            "MLFLOW_RUN_ID": None,
        }

    def read(self, results: ScriptNumbers, *, has_ended: bool) -> None:
        values = self._values()
        steps = sorted(values.get(self._objective, ()))
        for step in (steps if has_ended else steps[:-1])[self._epochs :]:
            if results.stop is None:
                results.end_epoch({self._objective: values[self._objective][step]})
                self._epochs += 1
        if not has_ended and results.stop is None:
            return
        results.end({name: found[max(found)] for name, found in values.items() if found})
        kept = steps[: self._epochs]
        for name, found in values.items():
            if kept and all(step in found for step in kept):
                numbers = (found[step] for step in kept)
                results.history[name] = [n if math.isfinite(n) else math.nan for n in numbers]
        if has_ended and self._objective in values:
            self._runs()[0].rename(self._store / "run")

    def what_is_missing(self, name: str, others: str) -> str:
        if not (self._runs() or (self._store / "run").exists()):
            return (
                "it logged nothing to MLflow where MLFLOW_TRACKING_URI says; leave out "
                "`mlflow.set_tracking_uri` in the script, so that it does"
            )
        return f"the run that it logged to MLflow has no metric {name!r}, {others}"

    def _runs(self) -> list[Path]:
        runs = [path.parent for path in self._store.glob("*/*/meta.yaml")]
        return [
            run
            for run in runs
            if any((run / "metrics").glob("*"))  # MLflow creates a run before it says whose child
            and not (run / "tags" / "mlflow.parentRunId").exists()
        ]

    def _values(self) -> dict[str, dict[tuple[int, int], float]]:
        """Return of each metric its values by step, and by how often it was logged there before."""
        runs = self._runs()
        if len(runs) > 1:
            raise OutputError(
                f"result: it logged {len(runs)} runs to MLflow; an attempt is one of them, with "
                "any others as its children (`nested=True`)"
            )
        found = {}
        for folder in (run / "metrics" for run in runs):
            for path in sorted(Path(above, name) for above, _, names in os.walk(folder)
                               for name in names):  # fmt: skip
                found[path.relative_to(folder).as_posix()] = dict(_steps(_text_of(path)))
        return found


def _steps(text: str) -> Iterator[tuple[tuple[int, int], float]]:
    """Yield the values in a file of the store, each by its step and its number at that step."""
    seen: Counter[int] = Counter()
    for line in text[: text.rfind("\n") + 1].splitlines():
        words = line.split()  # time, value, step
        try:
            step, value = int(words[2]), float(words[1])
        except (IndexError, ValueError):
            continue
        yield (step, seen[step]), value
        seen[step] += 1


PREDICTIONS: Final = "predictions"
"""Stem of the file in `{output}` that a confusion matrix is counted from."""
_NAMES: Final = {
    "labels": ("labels", "label", "y_true", "true", "target", "targets"),
    "predictions": ("predictions", "prediction", "y_pred", "predicted", "pred", "preds"),
    "samples": ("samples", "sample"),
    "groups": ("groups", "group"),
    "scores": ("scores", "score", "probabilities", "probability", "y_score", "proba"),
}
_MOST_CLASSES: Final = 200


def from_predictions(
    output: Path, metrics: Sequence[str], result: Mapping[str, float] | None
) -> tuple[dict[str, NDArray[Any]], list[str], str]:
    """Return the arrays that the predictions of a script give.

    Args:
        output: The folder that it writes into. `predictions.npz` there has an array of labels and
            one of predictions, `predictions.csv` a column of each, classes as whole numbers or as
            names. With `samples` beside them, the number of each sample from 0, the same in each
            training, trainings are compared sample by sample, see `SupportsFolds`; `groups` are
            those of samples that are alike, `scores` what an AUC ranks where predictions are
            classes.
        metrics: The metrics. One is known of each sample if the script's number is one of those in
            `sweeps.by_sample`.
        result: The script's result.

    Returns:
        Arrays by name, `confusion` of shape (1, classes, classes), [true, predicted], among them;
        the classes in order; and why an array is missing. All are empty without such a file.
    """
    paths = (output / f"{PREDICTIONS}{ending}" for ending in (".npz", ".csv"))
    path = next((path for path in paths if path.is_file() and not path.is_symlink()), None)
    if path is None:
        return {}, [], ""
    try:
        columns = (_arrays_in if path.suffix == ".npz" else _columns_in)(path)
        labels = columns["labels"]
        predictions = _one_each(labels, columns["predictions"])
        numbers = np.asarray(columns.get("samples", [])).astype(np.int64)
        groups, scores = columns.get("groups"), columns.get("scores")
    except (OSError, ValueError, csv.Error, zipfile.BadZipFile) as no:
        return {}, [], f"no confusion matrix: {path.name} was not read: {no}"
    found: dict[str, NDArray[Any]] = {}
    classes: list[str] = []
    reasons = []
    try:
        found["confusion"], classes = _counted(labels, predictions)
    except OutputError as no:
        reasons.append(f"no confusion matrix: {path.name} was not read: {no}")
    if "samples" in columns and (numbers.shape != labels.shape or numbers.min() < 0):
        reasons.append(
            f"not compared sample by sample: {path.name} has samples {numbers.shape} for labels "
            f"{labels.shape}; give the number of each sample, from 0"
        )
    elif groups is not None and groups.shape != labels.shape:
        reasons.append(
            f"not compared sample by sample: {path.name} has groups {groups.shape} for labels "
            f"{labels.shape}; give the group of each sample"
        )
    elif scores is not None and (scores.shape[:1] != labels.shape or scores.ndim > 2):
        reasons.append(
            f"not compared sample by sample: {path.name} has scores {scores.shape} for labels "
            f"{labels.shape}; give one of each sample, or one of each class"
        )
    elif "samples" in columns:
        answers = (columns["predictions"], scores)
        values = _values(labels, answers, metrics, result or {})
        found |= {SAMPLES: numbers, **values}
        if groups is not None:
            found[GROUPS] = np.array([_number_of(one) for one in groups.tolist()])
        if values:
            reasons = []  # of a regression no confusions are missed
    return found, classes, "; ".join(reasons)


def _values(
    labels: NDArray[Any],
    answers: Sequence[NDArray[Any] | None],
    metrics: Sequence[str],
    result: Mapping[str, float],
) -> dict[str, NDArray[np.float64]]:
    """Return the values of each metric that is known of each sample, by predictions or scores."""
    found = {}
    for metric in metrics:
        for given in answers:
            if given is None or metric not in result:
                continue
            values = by_sample(metric, labels, given, result[metric])
            if values is not None:
                found[f"{metric}{BY_SAMPLE}"] = values
                break
    return found


def _number_of(group: Any) -> int:
    """Return a number for a group, the same in each training; a text is known by its digest."""
    if isinstance(group, int) and group >= 0:
        return group
    return int.from_bytes(hashlib.sha256(str(group).encode()).digest()[:6])


def _one_each(labels: NDArray[Any], predictions: NDArray[Any]) -> NDArray[Any]:
    """Return one prediction a label; of a score per class, the class that has the highest."""
    if labels.ndim == 1 and predictions.ndim == 2:
        predictions = predictions.argmax(axis=1)
    if labels.ndim != 1 or labels.shape != predictions.shape or not labels.size:
        raise OutputError(f"labels are {labels.shape}, predictions {predictions.shape}")
    return predictions


def _named(names: Sequence[str]) -> dict[str, str]:
    found = {
        key: name
        for key, spellings in _NAMES.items()
        if (name := next((one for one in spellings if one in names), None)) is not None
    }
    if not {"labels", "predictions"} <= found.keys():
        raise OutputError(
            f"it has {', '.join(names) or 'nothing'}; name them labels and predictions"
        )
    return found


def _arrays_in(path: Path) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        if sum(one.file_size for one in archive.infolist()) > 4 * _LARGEST_FILE:
            raise OutputError(f"it holds more than {4 * _LARGEST_FILE >> 20} MB")
    with np.load(path, allow_pickle=False) as arrays:
        return {key: arrays[name] for key, name in _named(list(arrays)).items()}


def _columns_in(path: Path) -> dict[str, NDArray[Any]]:
    rows = list(csv.DictReader(_text_of(path).splitlines()))
    names = _named([str(name) for name in rows[0]] if rows else [])
    cells = {key: [row[name] for row in rows] for key, name in names.items()}
    if any(cell is None for column in cells.values() for cell in column):
        raise OutputError("a row has too few cells")
    columns = {key: _typed(column) for key, column in cells.items()}
    both = ("labels", "predictions")
    if any(columns[key].dtype.kind == "U" for key in both):  # names, even where some are numbers
        columns |= {key: np.array(cells[key]) for key in both}
    return columns


def _typed(cells: Sequence[str]) -> NDArray[Any]:
    for kind in (int, float):
        try:
            return np.array([kind(cell) for cell in cells])
        except ValueError:
            continue
    return np.array(cells)


def _counted(
    labels: NDArray[Any], predictions: NDArray[Any]
) -> tuple[NDArray[np.uint32], list[str]]:
    for array in (labels, predictions):
        if array.dtype.kind not in "iubU" and not (array == np.floor(array)).all():
            raise OutputError("its values are no classes")
    classes, places = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    if len(classes) > _MOST_CLASSES:
        raise OutputError(f"it has {len(classes)} classes; at most {_MOST_CLASSES}")
    counts = np.zeros((len(classes), len(classes)), np.uint32)
    np.add.at(counts, (places[: labels.size], places[labels.size :]), 1)
    return counts[None], [
        f"{one:g}" if isinstance(one, float) else str(one) for one in classes.tolist()
    ]
