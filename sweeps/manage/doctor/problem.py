"""What can be wrong, and what repairs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Repair(Enum):
    """What makes it right; the value is told to the user."""

    DATABASE = "`sweeps doctor --fix` puts the file aside and writes it anew from the records"
    STUDY = "`sweeps doctor --fix` writes the study anew from the records"
    SEND = "`sweeps sync` or `sweeps doctor --fix` sends it"
    REPLACE = "`sweeps doctor --fix` deletes the run and sends it anew from the record"
    DISCARD = "`sweeps doctor --fix` deletes the run; MLflow keeps it in its bin"
    WEIGHTS = "`sweeps doctor --fix` puts the file aside; the trial's record stays"
    ASIDE = "`sweeps doctor --fix` writes the file anew from the records, or puts it aside"
    CLEAN = "`sweeps doctor --fix` or the next `sweeps run` clears it away"
    RUN = "the next `sweeps run` with the options of the sweep repairs it"
    WAIT = "try again when the store answers"
    BY_HAND = "bring the file back from a backup, or move it away"
    AS_SAID = "do what the line about the file says"


@dataclass(frozen=True)
class Problem:
    """One thing that does not agree.

    Attributes:
        part: `records`, `study`, `mlflow`, `files` or `database`.
        what: What is wrong, in one plain line.
        repair: What repairs it.
        key: Attempt or file it is about, where the repair needs to know; else empty.
    """

    part: str
    what: str
    repair: Repair
    key: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return a JSON-compatible mapping."""
        return {"part": self.part, "what": self.what, "repair": self.repair.value}
