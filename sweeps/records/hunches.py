"""Points that somebody wants tried (`sweeps try`), in the order they were asked for.

One file a hunch, made whole and never changed; which slot it took is a second file, written before
the slot is. So a hunch can be left while the sweep runs, no two processes take the same number,
and a sweep that lost its study gives each hunch the slot it had.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from search_spaces.parameters import Value
from sweeps.records.files import sync_folder, write_atomically

_HUNCH: Final = "hunch-{:04d}.json"
_SLOT: Final = "hunch-{:04d}.slot"


@dataclass(frozen=True)
class Hunch:
    """A point to be tried.

    Attributes:
        number: From 1, in the order of asking.
        params: Every parameter active at the point.
        origin: Where it came from: `tried`, or `tried, <sweep> trial <n>`.
        slot: The trial that tries it; None while it waits.
    """

    number: int
    params: Mapping[str, Value]
    origin: str
    slot: int | None = None


class Hunches:
    """The hunches about one sweep, in its folder."""

    def __init__(
        self, folder: Path, fits: Callable[[Mapping[str, Value]], bool] = lambda params: True
    ) -> None:
        """Remember where.

        Args:
            folder: Of the sweep.
            fits: Whether a point lies in the sweep's space; one that does not, because the sweep
                was extended meanwhile, waits until it does.
        """
        self._folder, self._fits = folder, fits

    def add(self, params: Mapping[str, Value], origin: str) -> Hunch:
        """Leave a point to be tried; safe when this returns."""
        new = self._folder / f".hunch.{os.getpid()}.tmp"
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump({"params": dict(params), "origin": origin}, file)
                file.flush()
                os.fsync(file.fileno())
            number = next(n for n in itertools.count(1) if self._takes(n, new))
            sync_folder(self._folder)
        finally:
            new.unlink(missing_ok=True)
        return Hunch(number, params, origin)

    def all(self) -> list[Hunch]:
        """Return every hunch in order."""
        return list(self._read())

    def total(self, asked: int, opened: int = 0) -> int:
        """Return how many trials there are to be in all.

        Args:
            asked: How many were asked for; grows where no slot is left for a hunch.
            opened: How many slots there are already.
        """
        hunches = self.all()
        taken = max((hunch.slot + 1 for hunch in hunches if hunch.slot is not None), default=0)
        return max(asked, taken, opened + sum(self._waits(hunch) for hunch in hunches))

    def for_slot(self, slot: int) -> Hunch | None:
        """Return the hunch that a slot tries; the next one that waits takes it, if any does."""
        hunches = self.all()
        own = next((hunch for hunch in hunches if hunch.slot == slot), None)
        waiting = next((hunch for hunch in hunches if self._waits(hunch)), None)
        if own is None and waiting is not None:
            path = self._folder / _SLOT.format(waiting.number)
            write_atomically(path, f"{slot}\n".encode(), "hunch")
        return own or waiting

    def _waits(self, hunch: Hunch) -> bool:
        return hunch.slot is None and self._fits(hunch.params)

    def _takes(self, number: int, new: Path) -> bool:
        """Give a file a number, unless another process has taken it."""
        try:
            os.link(new, self._folder / _HUNCH.format(number))
        except FileExistsError:
            return False
        return True

    def _read(self) -> Iterator[Hunch]:
        for number in itertools.count(1):
            try:
                text = (self._folder / _HUNCH.format(number)).read_text(encoding="utf-8")
            except FileNotFoundError:
                return
            yield Hunch(number, **json.loads(text), slot=self._slot(number))

    def _slot(self, number: int) -> int | None:
        try:
            return int((self._folder / _SLOT.format(number)).read_text(encoding="ascii"))
        except FileNotFoundError:
            return None
