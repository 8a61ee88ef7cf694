"""What every peer's command has: its options, the digits, and the file its trials are noted in.

A recipe runs in a folder of its own and appends one JSON line to `TRIALS` whenever a trial is
trained and logged as far as the recipe logs at all.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

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
    """

    trials: int
    epochs: int
    seed: int
    data: Path

    def digits(self) -> tuple[np.ndarray, ...]:
        """Return training images and labels, validation images and labels."""
        with np.load(self.data) as arrays:
            return tuple(arrays[name] for name in DIGITS)

    def arguments(self) -> list[str]:
        """Return the options that `parse` reads back."""
        pairs = {"--trials": self.trials, "--epochs": self.epochs, "--seed": self.seed}
        return [str(word) for pair in pairs.items() for word in pair] + ["--data", str(self.data)]


DIGITS = ("train_images", "train_labels", "validation_images", "validation_labels")


def parse() -> Search:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser()
    for name in ("--trials", "--epochs", "--seed"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    return Search(**vars(parser.parse_args()))


def note_trial(epochs: int, accuracy: float, finished: float | None = None) -> None:
    """Append a finished trial to `TRIALS` in the working folder.

    Args:
        epochs: Epochs trained.
        accuracy: Best validation accuracy of the trial.
        finished: Seconds since the epoch (UTC); now if None.
    """
    row = {"finished": finished or time.time(), "epochs": epochs, "accuracy": accuracy}
    line = json.dumps(row) + "\n"
    descriptor = os.open(TRIALS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())  # one call: processes append side by side
    finally:
        os.close(descriptor)
