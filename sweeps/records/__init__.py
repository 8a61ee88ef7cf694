"""Records: what is known of every attempt; written first, and all else is made from them."""

from sweeps.records.generations import Generation, UnfinishedSlot
from sweeps.records.record import Outcome, Record, SweepInfo
from sweeps.records.store import RecordError, RecordStore

__all__ = [
    "Generation",
    "Outcome",
    "Record",
    "RecordError",
    "RecordStore",
    "SweepInfo",
    "UnfinishedSlot",
]
