r"""The journal of a sweep: one append-only file of events, synced before anything acts on them.

    \n<JSON of the event> <CRC-32 of the JSON, 8 hexadecimal digits>\n

A record begins and ends with a newline, so that one that is lost hurts one event. A line whose
checksum does not fit is left out and reported, with its number; it costs that event only. A last
line without its end was never acknowledged: readers leave it alone, and the next append cuts it.
Readers take no lock. An appender takes the lock of the file, the next number, writes all bytes,
syncs, and releases; what it could not write whole it takes back. There is no compaction.

`SweepState` is what the events say, in order: trials, queue, generations, notes, conclusions, time
spent. Study, reports and MLflow are made from it. Beside the journal there are only the lock,
requests of control, checkpoints, large files of attempts, texts of code, and the log of test-set
evaluations; none of them decides what the result of a trial is.
"""

from sweeps.journal.events import Asked, Event, Finished, Record
from sweeps.journal.file import Journal, Remote
from sweeps.journal.state import SweepState, state_of

__all__ = [
    "Asked", "Event", "Finished", "Journal", "Record", "Remote", "SweepState", "state_of",
]  # fmt: skip
