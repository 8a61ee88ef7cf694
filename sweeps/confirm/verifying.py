"""Verifies a champion: does the model that its record gives answer as the trained one did?

A training need not use the library that its model is loaded into, and to import that library, such
as Keras, takes seconds. So a process of its own begins with it beside the trainings of a
confirmation; at their end, answers are compared in a fraction of a second.

The process is started as `python -c BOOT SYS_PATH`. It reads requests, a line of JSON each, and
answers the one that asks for it. It ends with its requests, or with the command.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from sweeps.capabilities import SupportsSaving, SupportsVerification
from sweeps.errors import UsageError
from sweeps.executors.local.fork_server import ending, kill_group, last_lines, printed_file
from sweeps.executors.preloading import ENVIRONMENT, SHARING, die_with_parent
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.code import PreparedAgain, check_same_code
from sweeps.experiments.given import packed, unpack
from sweeps.experiments.loading import check_installed, experiment_folder, load_experiment
from sweeps.records import Record, RecordError, RecordStore
from sweeps.records.conclusions import VerificationConclusion
from sweeps.wording import first_line
from sweeps.workspace.files import remove

TOLERANCE: Final = 1e-3
"""How far answers of the rebuilt model may differ from the recorded ones, relative to the largest.
Another engine or processor rounds differently; another network differs by far more."""

LONGEST_SECONDS: Final = 120.0
"""Longest wait for a verification at the end of a confirmation; an import takes ten at most."""

_MOMENT_SECONDS: Final = 2.0
_REASON: Final = 500
"""Most characters of a reason."""
_BOOT: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from sweeps.confirm.verifying import main; main()"
)


def verify(
    experiment: Experiment, record: Record, weights: Mapping[str, np.ndarray], again: PreparedAgain
) -> tuple[VerificationConclusion, Any]:
    """Compare the answers of the rebuilt model with the recorded ones.

    Args:
        experiment: The experiment of the trial.
        record: The trial, with its arrays.
        weights: Its weights.
        again: Prepares its data.

    Returns:
        What was found, and the model; None if none was built.

    Raises:
        UsageError: The model cannot be built here, for example because a package is missing.
    """
    if not isinstance(experiment, SupportsVerification):
        return unchecked("its experiment cannot recompute what was recorded"), None
    try:
        data = again.of(record)
    except UsageError as error:
        return unchecked(str(error)), None
    try:
        model = experiment.load_model(record.config, weights, record.model_info)
    except UsageError:
        raise
    except ValueError as error:
        return _unverified(f"it cannot be built: {error}"), None
    now = experiment.recomputed(model, record.config, data)
    return _compare(record, now, data), model


def _compare(
    record: Record, now: Mapping[str, np.ndarray], data: PreparedData
) -> VerificationConclusion:
    recorded = record.result.arrays if record.result else {}
    compared = [name for name in now if name in recorded]
    if not compared:
        return unchecked("the trial kept no answers that could be compared")
    largest = 0.0
    for name in compared:
        before = np.asarray(recorded[name], np.float64)
        if before.shape != now[name].shape:
            return _unverified(f"its {name} have another shape")
        off = float(np.abs(before - now[name]).max(initial=0.0))
        if not off <= TOLERANCE * max(1.0, float(np.abs(before).max(initial=0.0))):
            known = off if np.isfinite(off) else None
            return _unverified(f"its {name} are off by up to {off:.3g}", known)
        largest = max(largest, off)
    samples = len(recorded[compared[0]])
    samples = min(samples, data.info.get("n_validation", samples))  # some have several answers
    return VerificationConclusion("verified", samples, largest)


def unchecked(reason: str) -> VerificationConclusion:
    """Return that nothing was found out, and why."""
    return VerificationConclusion("unchecked", reason=first_line(reason, limit=_REASON))


def _unverified(reason: str, difference: float | None = None) -> VerificationConclusion:
    reason = first_line(reason, limit=_REASON)
    return VerificationConclusion("unverified", difference=difference, reason=reason)


class Verifier:
    """Verifies a champion in a process of its own, which ends with the `with` block."""

    def __init__(self, experiment: Experiment, source: str | None) -> None:
        """Start nothing yet.

        Args:
            experiment: The experiment of the confirmation.
            source: The source of its data; None for the experiment's own.
        """
        self._is_able = isinstance(experiment, SupportsVerification)
        self._source = source
        self._process: subprocess.Popen[bytes] | None = None
        self._printed = printed_file()

    def __enter__(self) -> Verifier:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                kill_group(self._process.pid)
            with self._process:  # reaps it, and closes its pipes
                pass
        self._printed.close()

    def begin(self, store: RecordStore, record: Record, experiment: str) -> None:
        """Let the process import, and load data, what the experiment of a confirmation needs.

        Returns at once. It is done with a trial of the search: nothing is found out about it.

        Args:
            store: The records of the search.
            record: A trial that has weights.
            experiment: Import path of the experiment of the confirmation.
        """
        if self._is_able:
            with contextlib.suppress(OSError, UsageError):  # `verify` says so
                self._ask(store, record.key, experiment)

    def verify(
        self, store: RecordStore, key: str, note: Callable[[str], None]
    ) -> VerificationConclusion | None:
        """Verify a training, and save the model of one that is verified; ends the process.

        Args:
            store: The records of the sweep that trained it.
            key: The key of the training.
            note: Receives a line if that takes more than a moment.

        Returns:
            What was found; None if the experiment cannot verify.
        """
        if not self._is_able:
            return None
        try:
            self._ask(store, key)
            assert self._process is not None
            try:
                answers, _ = self._process.communicate(timeout=_MOMENT_SECONDS)
            except subprocess.TimeoutExpired:
                note("loading what rebuilds the champion, to see whether it answers as recorded")
                answers, _ = self._process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            return unchecked(f"it took longer than {LONGEST_SECONDS:.0f} s")
        except OSError as error:
            return unchecked(f"no process could be started: {error}")
        except UsageError as error:  # it lives in this process only
            return unchecked(str(error))
        try:
            return msgspec.json.decode(answers, type=VerificationConclusion)
        except msgspec.DecodeError:
            how = ending(self._process.returncode)
            last = last_lines(self._printed).splitlines()[-1:]
            return unchecked(": ".join([f"its process {how}", *last]))

    def _ask(self, store: RecordStore, key: str, experiment: str | None = None) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = subprocess.Popen(  # noqa: S603 - our own code, no shell
                [sys.executable, "-c", _BOOT, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed,
                env={**SHARING, **os.environ, **ENVIRONMENT},
                start_new_session=True,  # Ctrl-C reaches the command only, which ends it
            )
        assert process.stdin is not None
        info = store.info()
        own = "" if info is None else base64.b64encode(packed(info.experiment)).decode()
        asked = [str(store.folder), key, self._source, experiment, own]
        process.stdin.write(f"{json.dumps(asked)}\n".encode())
        process.stdin.flush()


def main() -> None:
    """Answer requests until there are no more."""
    die_with_parent(signal.SIGKILL)  # also during an import that takes seconds
    answers = os.dup(1)
    os.dup2(2, 1)  # what an experiment prints is no answer
    known: dict[str, tuple[Experiment, PreparedAgain]] = {}
    for line in sys.stdin:
        folder, key, source, experiment, own = json.loads(line)
        unpack(base64.b64decode(own))
        found = _answer(RecordStore(Path(folder)), key, source, experiment, known)
        if experiment is None:
            os.write(answers, msgspec.json.encode(found))
    os._exit(0)  # exit handlers of libraries must not delay the end


def _answer(
    store: RecordStore,
    key: str,
    source: str | None,
    experiment: str | None,
    known: dict[str, tuple[Experiment, PreparedAgain]],
) -> VerificationConclusion:
    """Verify a training; with an `experiment` only load what that needs.

    Args:
        store: The records of its sweep.
        key: Its key.
        source: The source of its data; None for the experiment's own.
        experiment: Import path of an experiment in place of that of the sweep.
        known: The experiments that were loaded, with their data, by import path.
    """
    try:
        info, record = store.info(), store.read(key)
        assert info is not None
        path = experiment or info.experiment
        if path not in known:
            loaded = load_experiment(path, experiment_folder(info, store.folder.parent))
            check_installed(loaded, path)
            known[path] = (loaded, PreparedAgain(lambda: loaded, source=source))
        own, again = known[path]
        if experiment is None:
            check_same_code(store, record, path, own)
        found, model = verify(own, record, store.weights(record), again)
    except (UsageError, RecordError) as error:
        return unchecked(str(error))
    except Exception as error:  # any error of the experiment or its library
        return unchecked(f"{type(error).__name__}: {error}")
    if experiment is None and found.found == "verified" and isinstance(own, SupportsSaving):
        try:
            _save(own, model, store.model_path(key))
        except Exception as error:  # a layer that cannot be saved: the model is verified
            return msgspec.structs.replace(
                found, reason=first_line(f"{type(error).__name__}: {error}", limit=_REASON)
            )
    return found


def _save(experiment: SupportsSaving, model: Any, folder: Path) -> None:
    """Save a model in a folder, which appears whole or not at all."""
    part = folder.with_name(f".{folder.name}.tmp")
    for former in (part, folder):
        remove(former)
    part.mkdir()
    experiment.save_model(model, part)
    part.rename(folder)
