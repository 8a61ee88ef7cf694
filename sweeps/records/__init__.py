"""Records: what is known of each attempt, made from the journal of a sweep and its large files.

A record is written before sampler and MLflow learn of the outcome. Where MLflow disagrees, a record
wins. Arrays and weights lie in files, whose SHA-256 stands in the event; no file is a pickle.
Weights have a file of their own, so that dropping them (all but those of the baselines and of the
best 20) changes nothing else.

A confirmation is a sweep of its own, whose space is called as if it lay below the sweep that it
confirms. Its conclusion and the results of test-set evaluations are events of that sweep. An
evaluation is a frozen list (`test/<digest>/N.json`), which counts from the moment it is written,
and the scores that follow.
"""

from sweeps.journal.events import Record
from sweeps.records.code import CodeHistory, ExperimentCode
from sweeps.records.conclusions import (
    FINALIST,
    FOLD,
    Conclusions,
    ConfirmationRecord,
    WordedConclusion,
    confirmed_by,
)
from sweeps.records.enqueued import Longer
from sweeps.records.notes import counted_start, describe_learned, notes_of
from sweeps.records.ranking import leading, need_one_objective, ranked, values_of
from sweeps.records.schema import DamagedRecordWarning, RecordError, heard, listed, put_aside
from sweeps.records.store import RecordStore, recover
from sweeps.records.sweep import SweepInfo, data_in_words, is_same_data, source_of

__all__ = [
    "FINALIST",
    "FOLD",
    "CodeHistory",
    "Conclusions",
    "ConfirmationRecord",
    "DamagedRecordWarning",
    "ExperimentCode",
    "Longer",
    "Record",
    "RecordError",
    "RecordStore",
    "SweepInfo",
    "WordedConclusion",
    "confirmed_by",
    "counted_start",
    "data_in_words",
    "describe_learned",
    "heard",
    "is_same_data",
    "leading",
    "listed",
    "need_one_objective",
    "notes_of",
    "put_aside",
    "ranked",
    "recover",
    "source_of",
    "values_of",
]
