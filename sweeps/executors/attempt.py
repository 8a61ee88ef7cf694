"""One attempt: what runs it and checks its result, the protocol of an executor, the simplest one.

The code is the same wherever the attempt runs.
"""

from __future__ import annotations

import json
import os
import re
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, cast, get_args, get_type_hints

import numpy as np

from search_spaces.parameters import Value
from sweeps.capabilities import SupportsFiles, SupportsWarmUpFor
from sweeps.config.policies import FailureReason
from sweeps.errors import ExperimentError, ScriptError
from sweeps.executors.checkpoint import CheckpointFile, CheckpointPlace
from sweeps.experiment import Experiment, OnEpoch, PreparedData, Stop, TrialResult, TrialSpec
from sweeps.journal.events import MOST_NAMES
from sweeps.records.arrays import MOST_ARRAYS
from sweeps.records.kept_files import collect_files, last_lines
from sweeps.records.schema import json_bytes
from sweeps.workspace.clock import Stopwatch
from sweeps.workspace.files import MOST_PARSED, is_too_much, remove

LONGEST_NAME: Final = 200
LONGEST_TEXT: Final = 1 << 20
LARGEST_INFO: Final = 64 << 20
DEEPEST_INFO: Final = 50
"""Limits: characters of a name and of a text, bytes and levels of `info`."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_OUTCOMES = get_args(get_type_hints(TrialResult)["outcome"])


def checked(result: Any) -> TrialResult:
    """Return an experiment's result with NumPy numbers converted to Python's.

    Raises:
        TypeError: It is no `TrialResult`, or a part of it has a type that cannot be stored.
        ValueError: Its outcome is unknown, or a name or a size is beyond the limits.
    """
    if not isinstance(result, TrialResult):
        raise TypeError(f"the experiment returned {type(result).__name__}, not a TrialResult")
    if result.outcome not in _OUTCOMES:
        raise ValueError(f"the experiment's outcome {result.outcome!r} is none of {_OUTCOMES}")
    # Not `replace`: a user's subclass may not exist in the process that receives the result.
    kept = TrialResult(
        outcome=result.outcome,
        stop_reason=text(result.stop_reason),
        metrics={_name(k): _number(v, f"metric {k!r}") for k, v in result.metrics.items()},
        history={_name(k): _numbers(values, k) for k, values in result.history.items()},
        timings={_name(k): _number(v, f"timing {k!r}") for k, v in result.timings.items()},
        arrays=_arrays(result.arrays, "array"),
        weights=None if result.weights is None else _arrays(result.weights, "weight"),
        info=_info(result.info),
        summary=text(result.summary),
        engine=text(result.engine),
        engine_reason=text(result.engine_reason),
    )
    if (most := max(map(len, (kept.metrics, kept.history, kept.timings)))) > MOST_NAMES:
        raise ValueError(
            f"the experiment returned {most} metrics; at most {MOST_NAMES} are kept: keep what is "
            "large in `arrays`"
        )
    if sum(array.nbytes for array in kept.arrays.values()) > MOST_ARRAYS:
        raise ValueError(f"the experiment returned more than {MOST_ARRAYS >> 30} GB of arrays")
    if is_too_much(json_bytes([kept.metrics, kept.history, kept.info]), MOST_PARSED // 4 * 3):
        raise ValueError(
            f"the experiment returned more metrics, history and info than {MOST_PARSED >> 20} MB "
            "hold; keep what is large in `arrays`"
        )
    return kept


def text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a value as text that can be stored and shown.

    Half a surrogate pair, as in a file name that is not UTF-8, is written as a backslash escape.
    """
    try:
        said = str(value)
    except Exception as error:  # the `__str__` of an experiment's object may raise
        said = f"<{type(value).__name__} that cannot be said: {type(error).__name__}>"
    shown = said.encode("utf-8", "backslashreplace").decode()
    return shown if len(shown) <= longest else f"{shown[:longest]} [cut]"


def _name(value: object) -> str:
    name = text(value, LONGEST_NAME + 1)
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(
            f"the experiment returned something named {name!r}; a name is 1 to {LONGEST_NAME} "
            "characters that can be printed"
        )
    return name


def _number(value: Any, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"the experiment returned {value!r} as {what}, not a number") from None


def _numbers(values: Iterable[Any], name: str) -> list[float]:
    values = [*values]
    with suppress(TypeError, ValueError, OverflowError):
        return [*map(float, values)]
    return [_number(value, f"history of {name!r}") for value in values]  # says which one


def _arrays(arrays: Mapping[str, Any], what: str) -> dict[str, np.ndarray]:
    found = {_name(name): np.asarray(array) for name, array in arrays.items()}
    for name, array in found.items():
        if array.dtype.hasobject:
            raise TypeError(f"the experiment returned {what} {name!r} of Python objects")
        if name.endswith(".npy"):
            raise ValueError(f"the experiment returned {what} {name!r}: leave out its ending .npy")
    return found


def _info(info: Mapping[str, Any]) -> dict[str, Any]:
    too_deep = f"the experiment returned info of more than {DEEPEST_INFO} levels"
    try:
        said = json.dumps(dict(info), default=_plain, ensure_ascii=False)
    except RecursionError:
        raise ValueError(too_deep) from None
    stored = _SURROGATE.sub(lambda half: f"\\\\u{ord(half[0]):04x}", said)
    if len(stored.encode()) > LARGEST_INFO:
        raise ValueError(f"the experiment returned info of more than {LARGEST_INFO >> 20} MiB")
    found: dict[str, Any] = json.loads(stored)
    level: list[Any] = [found]
    for _ in range(DEEPEST_INFO):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    if level:
        raise ValueError(too_deep)
    return found


def _plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as JSON types; refuse anything else."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"the experiment returned {value!r} in info, which JSON cannot hold")


_TRACEBACK_CHARACTERS: Final = 4000
_MISTAKES: Final = frozenset({
    AttributeError, ImportError, IndexError, IndentationError, KeyError, ModuleNotFoundError,
    NameError, NotImplementedError, SyntaxError, TabError, TypeError, UnboundLocalError, ValueError,
    ExperimentError,
})  # fmt: skip
"""Exceptions that the same code raises again with the same parameters, data and seed. Subclasses do
not count: a kind of ValueError may report half a file, or an answer that was cut off."""


@dataclass(frozen=True)
class Attempt:
    """An attempt that has ended, with a result or an error.

    Attributes:
        error: The exception, or how its process ended; None with a result.
        started_at: Milliseconds since the epoch (UTC).
        finished_at: Milliseconds since the epoch (UTC), never before `started_at`.
        reason: Why there is no result: `error`, `invalid` or `oom` (it raised), `crash`, `oom` or
            `killed` (its process died), `timeout` (it took too long); meaningless with a result.
        verdict: The `Stop` that it was given; None if it was never told to stop.
        notes: The notes of its judge.
        environment: Versions and machine that trained it; None for the coordinator's own.
        files: Content of the files in its folder, by name; see `SupportsFiles`.
        resumed_from: Number of epochs of earlier attempts that it went on from; None if it trained
            from the beginning.
        unsaved: Why its state could not be saved; None as a rule.
        asked: See `OpenParameters`; None if its parameters were known before, or its process died.
    """

    spec: TrialSpec
    result: TrialResult | None
    error: str | None
    started_at: int
    finished_at: int
    reason: FailureReason = "error"
    verdict: Stop | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    resumed_from: int | None = None
    unsaved: str | None = None
    asked: Mapping[str, tuple[Value, str]] | None = None

    def with_files_of(self, folder: Path | None) -> Attempt:
        """Return the attempt with the files of its folder.

        It is called on the machine where the attempt ran, by a process that outlives the worker.
        """
        if folder is None:
            return self
        files = collect_files(folder)
        # A process that was killed could not report its own last lines.
        is_cut = self.result is None and self.reason in {"crash", "oom", "killed", "timeout"}
        error = f"{self.error}{last_lines(files)}" if is_cut else self.error
        return replace(self, files=files, error=error)


def run_attempt(
    experiment: Experiment,
    spec: TrialSpec,
    data: PreparedData,
    on_epoch: OnEpoch,
    judge: Judge | None,
    folder: Path | None = None,
    place: CheckpointPlace | None = None,
) -> Attempt:
    """Train one attempt and return it; of all exceptions, only KeyboardInterrupt passes through.

    Args:
        experiment: The experiment that trains.
        spec: The attempt.
        data: The data it is trained on.
        on_epoch: Called first after each epoch; its `Stop` wins.
        judge: Asked after each epoch for which `on_epoch` returned None.
        folder: Folder to make for the attempt, if its experiment `SupportsFiles`; its files are
            collected later, by `Attempt.with_files_of`.
        place: The place of the trial's checkpoint; None: nothing is saved.
    """
    watch = Stopwatch()
    epochs = _Epochs(on_epoch, judge)
    checkpoint = None if place is None else CheckpointFile(place, epochs.again)
    epochs.checkpoint = checkpoint
    result, error, reason = _trained(
        experiment, replace(spec, checkpoint=checkpoint), data, epochs.ask, folder
    )
    finished_at = watch.now_ms()
    return Attempt(
        spec,
        result,
        error,
        watch.started_at,
        finished_at,
        reason,
        verdict=epochs.verdict,
        notes=judge.notes if judge else {},
        resumed_from=checkpoint.resumed_from if checkpoint else None,
        unsaved=checkpoint.refused if checkpoint else None,
        asked=None if spec.open is None else spec.open.asked,
    )


class _Epochs:
    """Asks after each epoch whether an attempt goes on.

    Attributes:
        verdict: The first `Stop` that was given; None if it was never told to stop.
        checkpoint: Gets the metrics of each epoch; None if nothing is saved.
    """

    def __init__(self, on_epoch: OnEpoch, judge: Judge | None) -> None:
        self._on_epoch, self._judge = on_epoch, judge
        self._late: Stop | None = None
        self.verdict: Stop | None = None
        self.checkpoint: CheckpointFile | None = None

    def ask(self, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        """Take an epoch; return None (go on) or a `Stop`."""
        if self.checkpoint is not None:
            self.checkpoint.note(metrics)
        stop = (
            self._on_epoch(epoch, metrics)
            or (self._judge(epoch, metrics) if self._judge else None)
            or self._late
        )
        self.verdict = self.verdict or stop
        return stop

    def again(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take an epoch of an earlier attempt; a `Stop` waits for the next epoch that ends."""
        self._late = self.ask(epoch, metrics) or self._late


def _trained(
    experiment: Experiment,
    spec: TrialSpec,
    data: PreparedData,
    ask: OnEpoch,
    folder: Path | None,
) -> tuple[TrialResult | None, str | None, FailureReason]:
    process = os.getpid()
    result, error = None, None
    reason: FailureReason = "error"
    try:
        if folder is None:
            result = checked(experiment.train(spec, data, ask))
        else:
            folder.mkdir(parents=True)
            result = checked(cast(SupportsFiles, experiment).train_in(folder, spec, data, ask))
    except KeyboardInterrupt:
        if os.getpid() != process:
            os._exit(0)
        raise
    except ScriptError as failure:
        reason = failure.reason
        error = text(failure)
    except BaseException as failure:  # `sys.exit` in a training ends that training only
        reason = reason_of(failure)
        tail = "".join(traceback.format_exception(failure))[-_TRACEBACK_CHARACTERS:]
        said = text(failure, _TRACEBACK_CHARACTERS)
        error = text(f"{type(failure).__name__}: {said}\n\n{tail}")
    if os.getpid() != process:  # a process that the training forked, and that returned from it
        os._exit(0)
    return result, error, reason


def reason_of(failure: BaseException) -> FailureReason:
    """Return the reason for an exception: `invalid` only if it and all its causes are mistakes."""
    if isinstance(failure, MemoryError):
        return "oom"
    step: BaseException | None = failure
    while step is not None:
        if type(step) not in _MISTAKES:
            return "error"
        step = step.__cause__ or (None if step.__suppress_context__ else step.__context__)
    return "invalid"


class Judge(Protocol):
    """Decides after each epoch whether an attempt goes on.

    A judge can be pickled: it travels with its attempt and is asked where the attempt runs. So the
    verdict depends on the attempt alone, never on the speed of messages.
    """

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> Stop | None:
        """Return None (go on) or a `Stop`; epochs count from 0."""
        ...

    @property
    def notes(self) -> Mapping[str, Any]:
        """Notes about the attempt to keep in its record; JSON-compatible."""
        ...


class Listener(Protocol):
    """Is told of running attempts, in the caller's thread or one of the executor's."""

    def started(self, spec: TrialSpec) -> None:
        """Take note that an attempt begins to run."""
        ...

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Take note that an epoch (from 0) has ended."""
        ...


class Nobody:
    """A listener that ignores the progress of attempts."""

    def started(self, spec: TrialSpec) -> None:
        """Say nothing."""

    def epoch(self, spec: TrialSpec, epoch: int, metrics: Mapping[str, float]) -> None:
        """Say nothing."""


Keep = Callable[[Attempt], Any]


def itself(attempt: Attempt) -> Attempt:
    """Return an attempt unchanged."""
    return attempt


class Executor(Protocol):
    """Runs attempts and returns them as values; writes neither records nor databases.

    Attributes:
        is_elsewhere: Whether attempts run where the files of the sweep may not be seen.
    """

    is_elsewhere: bool

    @property
    def capacity(self) -> int:
        """How many attempts it accepts at once: running ones, and waiting ones.

        Some wait so that a worker that has finished its attempt need not wait for the coordinator.
        """
        ...

    def submit(
        self,
        spec: TrialSpec,
        judge: Judge | None = None,
        keep: Keep = itself,
        place: CheckpointPlace | None = None,
    ) -> Future[Any]:
        """Start an attempt, or let it wait for its turn; until then its future can be cancelled.

        Args:
            spec: The attempt.
            judge: Asked after each of its epochs.
            keep: Called in any thread once the attempt has ended, to record it; before its worker
                gets the next one, so that no kill costs a worker more than one training. The future
                returns, or raises, whatever `keep` does.
            place: The place of the trial's checkpoint, on this machine; workers elsewhere use it
                if they see it there. None: nothing is saved.
        """
        ...

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Ask a running attempt to end after its current epoch."""
        ...

    def close(self) -> None:
        """End all attempts and workers; nothing is left running."""
        ...

    def seconds(self) -> Mapping[str, float]:
        """Return the seconds spent on other things than training: `warm_up`, `idle`."""
        ...


def warm_up(
    experiment: Experiment,
    configs: Sequence[Mapping[str, Value]],
    say: Callable[[str], None],
) -> None:
    """Make this process ready to train; arguments as for `SupportsWarmUpFor`."""
    if isinstance(experiment, SupportsWarmUpFor):
        experiment.warm_up_for(configs, say)
    else:
        experiment.warm_up()


class InProcessExecutor:
    """Executor for `--workers 0`: `submit` returns when the attempt has ended."""

    is_elsewhere = False
    capacity = 1

    def __init__(
        self,
        experiment: Experiment,
        data: PreparedData,
        listener: Listener,
        verdict_on: Callable[[TrialSpec], Stop | None],
        folders: Path | None = None,
        configs: Sequence[Mapping[str, Value]] = (),
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Warm up.

        Args:
            experiment: The experiment that trains.
            data: The data it trains on.
            listener: Told of attempts.
            verdict_on: Asked after each epoch, since nobody can call `stop` while this one trains.
            folders: Folder that gets a folder for each attempt; None if attempts write no files.
            configs: Configurations that attempts may have; it warms up for them.
            note: Called with a line if that takes long.
        """
        self._experiment = experiment
        self._data = data
        self._listener = listener
        self._verdict_on = verdict_on
        self._folders = folders
        began = time.monotonic()
        warm_up(experiment, configs, note)
        self._warm_up_seconds = time.monotonic() - began

    def submit(
        self,
        spec: TrialSpec,
        judge: Judge | None = None,
        keep: Keep = itself,
        place: CheckpointPlace | None = None,
    ) -> Future[Any]:
        """Train the attempt now, call `keep`, and return a finished future."""

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> Stop | None:
            self._listener.epoch(spec, epoch, metrics)
            return self._verdict_on(spec)

        future: Future[Any] = Future()
        self._listener.started(spec)
        folder = self._folders / spec.key if self._folders is not None else None
        attempt = run_attempt(self._experiment, spec, self._data, on_epoch, judge, folder, place)
        future.set_result(keep(attempt.with_files_of(folder)))
        if folder is not None:
            with suppress(OSError):
                remove(folder)
        return future

    def stop(self, spec: TrialSpec, reason: str) -> None:
        """Do nothing: no attempt runs when this can be called."""

    def close(self) -> None:
        """Remove the empty folder of attempts; no attempt runs when this can be called."""
        if self._folders is not None:
            with suppress(OSError):  # not there, or it holds files that could not be recorded
                self._folders.rmdir()

    def seconds(self) -> Mapping[str, float]:
        """Return the seconds that warming up took."""
        return {"warm_up": self._warm_up_seconds}
