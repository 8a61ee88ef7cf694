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

from sweeps.records.code import CodeHistory, ExperimentCode, SourceFile
from sweeps.records.conclusions import (
    FINALIST,
    FOLD,
    Conclusions,
    ConfirmationRecord,
    WordedConclusion,
    confirmed_by,
    is_finalist,
)
from sweeps.records.enqueued import EnqueuedPoint, EnqueuedPoints, Longer, trials_to_retry
from sweeps.records.notes import (
    FOREIGN,
    IMPORTED,
    LEARNED,
    SWEEP,
    Ending,
    Foreign,
    Imported,
    ImportedTrial,
    Learned,
    LearnedPoint,
    LearnedSource,
    Notes,
    Start,
    Starts,
    SweepStatus,
    describe_learned,
    seconds_used,
)
from sweeps.records.ranking import leading, need_one_objective, ranked, values_of
from sweeps.records.record import (
    SOURCE,
    Checked,
    Generation,
    Outcome,
    Record,
    SweepInfo,
    UnfinishedTrial,
    data_in_words,
    has_folds,
    is_same_data,
    is_unseen,
    scored_on,
    source_of,
)
from sweeps.records.schema import (
    DamagedFileError,
    DamagedRecordWarning,
    RecordError,
    Report,
    heard,
    listed,
    put_aside,
    warn,
)
from sweeps.records.store import (
    RecordStore,
    attempts_put_aside,
    confirmed_training,
    recover,
    write_missing,
)

__all__ = [
    "FINALIST",
    "FOLD",
    "FOREIGN",
    "IMPORTED",
    "LEARNED",
    "SOURCE",
    "SWEEP",
    "Checked",
    "CodeHistory",
    "Conclusions",
    "ConfirmationRecord",
    "DamagedFileError",
    "DamagedRecordWarning",
    "Ending",
    "EnqueuedPoint",
    "EnqueuedPoints",
    "ExperimentCode",
    "Foreign",
    "Generation",
    "Imported",
    "ImportedTrial",
    "Learned",
    "LearnedPoint",
    "LearnedSource",
    "Longer",
    "Notes",
    "Outcome",
    "Record",
    "RecordError",
    "RecordStore",
    "Report",
    "SourceFile",
    "Start",
    "Starts",
    "SweepInfo",
    "SweepStatus",
    "UnfinishedTrial",
    "WordedConclusion",
    "attempts_put_aside",
    "confirmed_by",
    "confirmed_training",
    "data_in_words",
    "describe_learned",
    "has_folds",
    "heard",
    "is_finalist",
    "is_same_data",
    "is_unseen",
    "leading",
    "listed",
    "need_one_objective",
    "put_aside",
    "ranked",
    "recover",
    "scored_on",
    "seconds_used",
    "source_of",
    "trials_to_retry",
    "values_of",
    "warn",
    "write_missing",
]
