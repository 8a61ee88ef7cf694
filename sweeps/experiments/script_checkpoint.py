"""The checkpoint of a script: what it has left in `{checkpoint}`, and the epochs it had printed.

The script saves its state by itself, in a folder that the next attempt at the trial finds again,
and says by the number of the first epoch that it prints where it goes on. Which epochs came before
is known from its own output: the file that it prints into is also linked beside that folder, so
that no kill loses a line. An epoch is printed first and saved then: so the state is never ahead of
what was printed.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from sweeps.experiment import Checkpoint
from sweeps.workspace.files import remove
from sweeps.workspace.processes import marked, signal_each

LONGEST_LINE: Final = 1 << 20
"""Bytes; a longer line is not read."""
LINE_END: Final = re.compile(rb"[\r\n]")  # a progress bar ends its lines by the former
CHECKPOINT_VARIABLE: Final = "SWEEPS_CHECKPOINT"
BEGINS_SECONDS: Final = 5.0
"""How long a script that is interrupted has to begin to save the epoch that it has printed."""
SAVES_SECONDS: Final = 60.0
"""How long the saving may take."""
_LAST_WRITE_SECONDS: Final = 10.0
"""How long a killed script may still write; one that hangs in its disk is not waited for."""
_LOOK_SECONDS: Final = 0.3
_FIRST: Final = (0, 1)
"""Numbers that a script may give its first epoch."""

State = tuple[tuple[str, int, int], ...]
"""Name, size and time of each file of a folder."""


class LostEpochsError(Exception):
    """A script goes on after an epoch whose numbers nobody has."""


class ScriptCheckpoint:
    """Takes over what earlier attempts have left, and leaves what the next one needs.

    Attributes:
        folder: The folder of the script.
    """

    def __init__(self, checkpoint: Checkpoint | None, spare: Path) -> None:
        """Args: `spare` is used where there is no checkpoint, as in a check of reproducibility."""
        place = spare if checkpoint is None else checkpoint.folder
        self.folder, self._printed = place / "state", place / "printed"
        self._checkpoint = checkpoint
        self._known: dict[int, Mapping[str, float]] = {}
        self._last: int | None = None
        self._had_state = False

    def begin(self) -> None:
        """Take over what earlier attempts have left; a script of theirs that still runs is killed.

        Where that is of another configuration, code or data, or damaged, nothing is taken over.

        Raises:
            OSError: The folder cannot be used.
        """
        end = time.monotonic() + _LAST_WRITE_SECONDS
        while (orphans := marked(CHECKPOINT_VARIABLE, str(self.folder))) and time.monotonic() < end:
            signal_each(orphans, signal.SIGKILL)
            time.sleep(0.01)
        state = None if self._checkpoint is None else self._checkpoint.load()
        if state is None or not self.folder.is_dir():
            self._empty()
        else:
            self._known = {**dict(state["epochs"]), **dict(_epochs_in(self._printed))}
            self._had_state = any(self.folder.iterdir())
        self._save()
        remove(self._printed)

    def begin_anew(self, why: str) -> None:
        """Forget what earlier attempts have left, and say why."""
        if self._checkpoint is not None:
            self._checkpoint.refuse(why)
        self._empty()
        self._save()  # in place of the refusal: the next attempt may go on from what comes now

    def link(self, printed: Path) -> None:
        """Have the next attempt find what this one prints."""
        if self._checkpoint is None:
            return
        try:
            os.link(printed, self._printed)
        except OSError as error:  # the training is worth more than its checkpoint
            self._checkpoint.refuse(
                f"its output cannot be linked ({error.strerror}); put the home on a file system "
                "with hard links"
            )

    def epochs_before(self, number: int) -> Sequence[Mapping[str, float]]:
        """Return the epochs of earlier attempts if this is the first one of this attempt.

        They are reported again.

        Raises:
            ValueError: It does not follow the one before.
            LostEpochsError: There are epochs between that nobody knows.
        """
        last, self._last = self._last, number
        if last is not None and number != last + 1:
            raise ValueError(f"epoch {number} comes after epoch {last}")
        before = [] if last is not None else self._before(number)
        first = before[0] if before else number
        if last is not None or (first in _FIRST and not before):
            return ()
        if not self._had_state:
            raise ValueError(f"its first epoch is {number}")
        if first not in _FIRST or before != list(range(first, number)):
            known = ", ".join(map(str, before)) or "none"
            raise LostEpochsError(
                f"its script went on with epoch {number}, and of those before {known} had been "
                "printed; it began anew. Print each epoch before you save it"
            )
        return self._resumed(before)

    def rest(self) -> Sequence[Mapping[str, float]]:
        """Return the epochs of earlier attempts if this one had none left to train.

        All but the last one are reported again: that one ends with the attempt.
        """
        if self._last is not None or not self._known:
            return ()
        before = self._before(max(self._known) + 1)
        return [*self._resumed(before[:-1]), self._known[before[-1]]]

    def let_save(self) -> Iterator[None]:
        """Yield until the script has saved the epoch that it has just printed, or has no time left.

        It has saved if a file is new and nothing changes any more.
        """
        began, before = time.monotonic(), _state(self.folder)
        newest = max((changed for *_, changed in before), default=0)
        has_begun = time.time_ns() - newest < _LOOK_SECONDS * 1e9  # before this look
        while time.monotonic() - began < (SAVES_SECONDS if has_begun else BEGINS_SECONDS):
            yield
            now = _state(self.folder)
            if has_begun and now == before:
                return
            has_begun, before = has_begun or now != before, now

    def _before(self, number: int) -> list[int]:
        return sorted(known for known in self._known if known < number)

    def _resumed(self, epochs: Sequence[int]) -> list[Mapping[str, float]]:
        found = [self._known[epoch] for epoch in epochs]
        if self._checkpoint is not None:
            self._checkpoint.resume(found)
        return found

    def _empty(self) -> None:
        remove(self.folder.parent)
        self.folder.mkdir(parents=True)
        self._known, self._had_state, self._last = {}, False, None

    def _save(self) -> None:
        if self._checkpoint is not None:
            known = sorted(self._known.items())
            self._checkpoint.save({"epochs": [[epoch, dict(values)] for epoch, values in known]})


def whole_number(value: object) -> int | None:
    """Return the number of an epoch; None if it is no whole number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value == int(value) else None


def _state(folder: Path) -> State:
    found = []
    for above, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it was removed meanwhile
                facts = Path(above, name).lstat()
                found.append((str(Path(above, name)), facts.st_size, facts.st_mtime_ns))
    return tuple(sorted(found))


def _epochs_in(printed: Path) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Yield the epochs that an attempt has printed, as `Reader` reads them."""
    with suppress(OSError), printed.open("rb") as file:  # it may have printed nothing
        while piece := file.readline(LONGEST_LINE):  # no more is held at a time
            *whole, _ = LINE_END.split(piece)  # what has no line end was cut off
            for line in whole:
                with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
                    said = json.loads(line.decode(errors="replace"))
                    number = whole_number(said.pop("epoch"))
                    values = {str(name): float(value) for name, value in said.items()}
                    if number is not None:
                        yield number, values
