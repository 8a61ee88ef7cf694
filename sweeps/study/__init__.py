"""The study: which trials exist, how each was proposed, and how it ended.

Every proposal comes from a fresh sampler seeded by f(sweep seed, trial number, resample). The
proposal of trial n sees exactly the outcomes of trials 0 to n - `ask_ahead` (`sampler_view.py`). So
results depend neither on timing nor on interruptions. A point is sampled before it becomes a trial;
a duplicate, or a point that breaks a constraint, leaves no trace. Notes that TPE makes on a trial
while sampling are deleted, because a resumed sweep would not have them. Samplers with a state of
their own (QMC, CMA-ES) are resumed by making the earlier proposals again; if one differs, the sweep
is refused.

A diverged trial (NaN, infinity) is told to Optuna as PRUNED with a violated constraint: samplers
learn from that, while they ignore FAIL. Tables and MLflow say FAILED, reason `diverged`. With
several objectives, Optuna's TPE ranks such trials behind all others, and NSGA-II takes its parents
from complete trials only.

A pruner sees the trials told before its own trial was proposed, in a snapshot that travels with the
trial. It is asked in the worker, so that no verdict depends on the speed of a message.

The study lies in memory, and is built at each start from what the journal holds.
"""

import warnings

with warnings.catch_warnings():
    # Optuna imports tqdm, which warns in a notebook without ipywidgets; our bar does not need them.
    warnings.filterwarnings("ignore", "IProgress not found")
    import optuna

# Optuna logs every study and trial; our own progress replaces that.
optuna.logging.set_verbosity(optuna.logging.ERROR)
# Optuna marks `group` and QMC as experimental; versions are pinned, and a resumed sweep is checked.
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
