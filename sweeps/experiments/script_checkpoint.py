"""The checkpoint of a script: what it has left in `{checkpoint}`, and the epochs it had printed.

The script saves its state by itself, in a folder that the next attempt at the trial finds again,
and says by the number of the first epoch that it prints where it goes on. Which epochs came before
is known from its own output: what it prints into a file is also linked beside that folder, so that
a kill of the sweep, of the worker or of the script loses none of its lines.
"""

from __future__ import annotations

import itertools
import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from sweeps.experiment import Checkpoint
from sweeps.workspace.descendants import marked, signal_each
from sweeps.workspace.files import remove

LONGEST_LINE: Final = 1 << 20
"""Bytes; a longer line is not read."""
VARIABLE: Final = "SWEEPS_CHECKPOINT"
_FIRST: Final = (0, 1)
"""Numbers that a script may give its first epoch."""


class LostEpochsError(Exception):
    """A script goes on after an epoch whose numbers nobody has."""


class ScriptCheckpoint:
    """What one attempt takes over from those before, and leaves to the next.

    Attributes:
        folder: The folder of the script.
        printed: Where its output is to be linked.
    """

    def __init__(self, checkpoint: Checkpoint | None, spare: Path) -> None:
        """Args: `spare` is used where there is no checkpoint, as in a check of reproducibility."""
        place = spare if checkpoint is None else checkpoint.folder
        self.folder, self.printed = place / "state", place / "printed"
        self._checkpoint = checkpoint
        self._known: dict[int, Mapping[str, float]] = {}
        self._goes_on = self._has_begun = False

    def begin(self) -> None:
        """Take over what earlier attempts have left; a script of theirs that still runs is killed.

        Where that is of another configuration, code or data, or damaged, nothing is taken over.
        """
        signal_each(marked(VARIABLE, str(self.folder)), signal.SIGKILL)
        state = None if self._checkpoint is None else self._checkpoint.load()
        if state is None:
            remove(self.folder.parent)
        else:
            self._known = {**dict(state["epochs"]), **dict(_epochs_in(self.printed))}
        self.folder.mkdir(parents=True, exist_ok=True)
        self._goes_on = any(self.folder.iterdir())
        self._save()
        self.printed.unlink(missing_ok=True)

    def begin_anew(self, why: str) -> None:
        """Forget what earlier attempts have left, and say why."""
        if self._checkpoint is not None:
            self._checkpoint.refuse(why)
        remove(self.folder.parent)
        self.folder.mkdir(parents=True)
        self._known, self._goes_on, self._has_begun = {}, False, False
        self._save()

    def epochs_before(self, number: int | None) -> Sequence[Mapping[str, float]]:
        """Return the epochs of earlier attempts, once; the first epoch of this one has ended.

        Args:
            number: Of that epoch; None: the script had none left to train.

        Raises:
            LostEpochsError: There are epochs between that nobody knows.
        """
        if self._has_begun:
            return ()
        self._has_begun = True
        before = sorted(known for known in self._known if number is None or known < number)
        row = before if number is None else [*before, number]
        is_whole = all(after - one == 1 for one, after in itertools.pairwise(row))
        if not is_whole or (self._goes_on and row and row[0] not in _FIRST):
            raise LostEpochsError(
                f"it goes on with epoch {number}, and of those before only "
                f"{', '.join(map(str, before)) or 'none'} had been printed"
            )
        epochs = [self._known[known] for known in before]
        if epochs and self._checkpoint is not None:
            self._checkpoint.resume(epochs)
        return epochs

    def _save(self) -> None:
        if self._checkpoint is not None:
            known = sorted(self._known.items())
            self._checkpoint.save({"epochs": [[epoch, dict(values)] for epoch, values in known]})


def whole_number(value: object) -> int | None:
    """Return the number of an epoch; None if it is no whole number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        return None
    return int(value)


def _epochs_in(printed: Path) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Yield the epochs that an attempt has printed; a last line that was cut off is none."""
    for line in _lines(printed):
        try:
            said = json.loads(line)
            number = whole_number(said.pop("epoch"))
            values = {str(name): float(value) for name, value in said.items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
            continue
        if number is not None:
            yield number, values


def _lines(printed: Path) -> Iterator[bytes]:
    """Yield the lines that may be JSON objects; of a long output no more is held at a time."""
    with suppress(OSError), printed.open("rb") as file:  # it may have printed nothing
        while line := file.readline(LONGEST_LINE):
            if line.startswith(b"{") and line.endswith(b"\n"):
                yield line
