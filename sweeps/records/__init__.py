"""Records: what is known of every attempt; written first, and all else is made from them."""

from sweeps.records.record import Outcome, Record, SweepInfo
from sweeps.records.store import RecordError, RecordStore

__all__ = ["Outcome", "Record", "RecordError", "RecordStore", "SweepInfo"]
