"""Records hold everything known about each attempt; all else is made from them.

Each attempt has one file, which is written before sampler and MLflow learn of the outcome,
atomically and with fsync. Its header line has the length, the SHA-256 and the format version; the
rest is an npz archive of JSON and arrays, never a pickle. Where MLflow disagrees, a record wins.
A record that is torn or altered is kept as `<name>.record.torn`, and its trial runs again. Weights
lie in a file beside the record, so that dropping them (all but those of the baselines and of the
best 20) never rewrites a record. Of many records `.index/` holds what tables need, to be read at
once; without it nothing is missing but time.

`sweep.json` holds what is fixed when a sweep is created, and `generation-N.json` what an extension
changed. The journal says which attempts were begun (`sweeps.journal`). The study is built in memory
from both at each start, and MLflow is a projection of the records.

A confirmation is a sweep of its own. The folder of its space lies in the folder of the sweep that
it confirms. Its conclusion (`confirmation.json`) and the results of test-set evaluations
(`tested-*.json`, `voted-*.json`) lie beside the records; they are made from records and stored
logits. An evaluation is a frozen list (`test/<digest>/N.json`), which counts from the moment it is
written, and the scores that follow.
"""

from sweeps.records.code import CodeHistory, ExperimentCode
from sweeps.records.conclusions import (
    FINALIST,
    FOLD,
    Conclusions,
    ConfirmationRecord,
    WordedConclusion,
    confirmed_by,
)
from sweeps.records.enqueued import EnqueuedPoint, EnqueuedPoints, Longer
from sweeps.records.notes import IMPORTED, LEARNED, Ending, Learned, Notes, Starts, describe_learned
from sweeps.records.ranking import leading, need_one_objective, ranked, values_of
from sweeps.records.record import (
    Record,
    SweepInfo,
    UnfinishedTrial,
    data_in_words,
    is_same_data,
    source_of,
)
from sweeps.records.schema import DamagedRecordWarning, RecordError, heard, listed, put_aside
from sweeps.records.store import RecordStore, recover

__all__ = [
    "FINALIST",
    "FOLD",
    "IMPORTED",
    "LEARNED",
    "CodeHistory",
    "Conclusions",
    "ConfirmationRecord",
    "DamagedRecordWarning",
    "Ending",
    "EnqueuedPoint",
    "EnqueuedPoints",
    "ExperimentCode",
    "Learned",
    "Longer",
    "Notes",
    "Record",
    "RecordError",
    "RecordStore",
    "Starts",
    "SweepInfo",
    "UnfinishedTrial",
    "WordedConclusion",
    "confirmed_by",
    "data_in_words",
    "describe_learned",
    "heard",
    "is_same_data",
    "leading",
    "listed",
    "need_one_objective",
    "put_aside",
    "ranked",
    "recover",
    "source_of",
    "values_of",
]
