r"""The journal of a sweep: one append-only file of events, synced before anything acts on them.

    \n<JSON of the event> <CRC-32 of the JSON, 8 hexadecimal digits>\n

A record begins and ends with a newline, so that one that is lost hurts one event. A line whose
checksum does not fit is left out and reported, with its number; it costs that event only. A last
line without its end was never acknowledged: readers leave it alone, and the next append cuts it.
Readers take no lock. An appender takes the lock of the file, the next number, writes all bytes,
syncs, and releases; what it could not write whole it takes back. There is no compaction.

What was asked of the sampler stands in it: which trials there are, with which parameters. How they
ended stands in the records.
"""

from sweeps.journal.events import Asked, Event
from sweeps.journal.file import Journal

__all__ = ["Asked", "Event", "Journal"]
