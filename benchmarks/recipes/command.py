"""What every peer's command has: what it is asked, the digits, and the file for its trials.

A recipe runs in a folder of its own and appends one JSON line to `TRIALS` whenever a trial is
trained and logged as far as the recipe logs at all.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

TRIALS = "trials.jsonl"


@dataclass(frozen=True)
class Search:
    """What a recipe is asked to do.

    Attributes:
        trials: How many configurations to try.
        epochs: Most epochs of a trial.
        seed: Decides which configurations.
        data: The .npz file with the digits.
        sampler: `random`, the same configurations in every recipe with Optuna, or `tpe`.
        processes: How many processes train side by side.
        space: `digits`, that of `digits.yaml`, or `mlp`, which ships.
    """

    trials: int
    epochs: int
    seed: int
    data: str
    sampler: str = "random"
    processes: int = 1
    space: str = "digits"

    def digits(self) -> tuple[np.ndarray, ...]:
        """Return training images and labels, validation images and labels."""
        with np.load(self.data) as arrays:
            return tuple(arrays[name] for name in DIGITS)


SAMPLERS = ("random", "tpe")
DIGITS = ("train_images", "train_labels", "validation_images", "validation_labels")


def parse() -> Search:
    """Return what the command is asked for: its only argument, in JSON."""
    return Search(**json.loads(sys.argv[1]))


def note_trial(
    params: Mapping[str, Any],
    epochs: int,
    accuracy: float,
    finished: float | None = None,
    value: float | None = None,
) -> None:
    """Append a finished trial to `TRIALS` in the working folder.

    Args:
        params: Its configuration.
        epochs: Epochs trained.
        accuracy: Best validation accuracy of the trial.
        finished: Seconds since the epoch (UTC); now if None.
        value: What the recipe chooses by, higher is better; the accuracy if None.
    """
    row = {
        "finished": finished or time.time(),
        "epochs": epochs,
        "accuracy": accuracy,
        "value": accuracy if value is None else value,
        "params": dict(params),
    }
    line = json.dumps(row) + "\n"
    descriptor = os.open(TRIALS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())  # one call: processes append side by side
    finally:
        os.close(descriptor)


def side_by_side(work: Callable[..., None], search: Search, *shared: Any) -> Callable[[], None]:
    """Start a process for each number below `processes`; return what waits for them all.

    Args:
        work: Called in each process with the search, its number and `shared`.
        search: What is asked for.
        *shared: More arguments, which must go to another process.

    Raises:
        SystemExit: One of them failed; raised by what is returned.
    """
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work, args=(search, number, *shared), daemon=True)
        for number in range(search.processes)
    ]
    for worker in workers:
        worker.start()

    def wait() -> None:
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            raise SystemExit(1)

    return wait
