"""Records: what is known of every attempt; written first, and all else is made from them.

A valid record wins over all else: one file an attempt, written first, atomic, fsynced, with length,
SHA-256 and format version in its header line; JSON and arrays in an npz, never a pickle. Weights
lie in a file beside it, so that dropping them (all but the baselines' and the best 20) never
rewrites a record. `sweep.json` holds what is fixed when a sweep is created, `generation-N.json`
what an extension fixed anew. The Optuna study knows which trials exist and how they ended; what it
lost is rebuilt from records. MLflow is a projection. A record that is torn or altered is kept as
`<name>.record.torn`, and its trial runs again.

A confirmation is a sweep of its own, whose space lies in the folder of the sweep it confirms. What
it came to (`finalized.json`) and what readings of the test part said (`tested-*.json`,
`voted-*.json`) lie beside the records, made from records and stored logits. A reading is a frozen
list (`test/<digest>/N.json`), which counts from the moment it is written, and the scores that
follow.
"""

from sweeps.records.code import CodeHistory, ExperimentCode, SourceFile
from sweeps.records.finalized import (
    BLOCK,
    FINALIST,
    Conclusions,
    Finalized,
    Telling,
    confirmed_by,
    is_finalist,
)
from sweeps.records.generations import Generation, UnfinishedSlot
from sweeps.records.hunches import Hunch, Hunches
from sweeps.records.notes import (
    SWEEP,
    Ending,
    Foreign,
    Notes,
    SweepStatus,
    keep_foreign,
    read_foreign,
)
from sweeps.records.ranking import leading, need_one_objective, pareto_front, ranked, values_of
from sweeps.records.record import Checked, Outcome, Record, SweepInfo, is_same_data
from sweeps.records.retries import Retries, Retry, trials_to_retry
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
    "BLOCK",
    "FINALIST",
    "SWEEP",
    "Checked",
    "CodeHistory",
    "Conclusions",
    "DamagedFileError",
    "DamagedRecordWarning",
    "Ending",
    "ExperimentCode",
    "Finalized",
    "Foreign",
    "Generation",
    "Hunch",
    "Hunches",
    "Notes",
    "Outcome",
    "Record",
    "RecordError",
    "RecordStore",
    "Report",
    "Retries",
    "Retry",
    "SourceFile",
    "SweepInfo",
    "SweepStatus",
    "Telling",
    "UnfinishedSlot",
    "attempts_put_aside",
    "confirmed_by",
    "confirmed_training",
    "heard",
    "is_finalist",
    "is_same_data",
    "keep_foreign",
    "leading",
    "listed",
    "need_one_objective",
    "pareto_front",
    "put_aside",
    "ranked",
    "read_foreign",
    "recover",
    "trials_to_retry",
    "values_of",
    "warn",
    "write_missing",
]
