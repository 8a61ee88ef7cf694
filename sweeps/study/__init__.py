"""The study: which trials exist, how each was proposed, and how it ended.

Every proposal comes from a fresh sampler seeded by f(sweep seed, trial number, resample), and sees
exactly the outcomes of the trials that end `ask_ahead` before it (`sampler_view.py`). So results
depend neither on timing nor on interruptions. A trial is sampled before it is stored; a duplicate
or a point that breaks a constraint leaves no trace. What TPE notes on a trial while sampling it is
wiped, because a resumed sweep would not have it. Samplers with a state of their own (QMC, CMA-ES)
are resumed by making the earlier proposals again; if one differs, the sweep is refused.

A diverged trial (NaN, infinity) is told to Optuna as PRUNED with a violated constraint, which
samplers learn from (they ignore FAIL); tables and MLflow say FAILED, reason `diverged`. With
several objectives Optuna's TPE puts such trials behind all others, and NSGA-II takes its parents
from complete trials only.

A pruner sees the trials told before its own was asked, in a snapshot that travels with the trial:
it is asked in the worker, so that no verdict depends on how fast a message is.

The study is written through Optuna's storage interface, not through `Study`: the only writer need
not read back what it knows.
"""

import warnings

with warnings.catch_warnings():
    # Optuna imports tqdm, which misses ipywidgets in a notebook; our bar needs none.
    warnings.filterwarnings("ignore", "IProgress not found")
    import optuna

# Optuna reports every study and trial; our progress says what users want to know.
optuna.logging.set_verbosity(optuna.logging.ERROR)
# `group` and QMC are marked experimental; versions are pinned, and a resumed sweep is checked.
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
