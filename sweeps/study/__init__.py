"""The study: which slots exist, how each was proposed, and how it ended."""

import warnings

with warnings.catch_warnings():
    # Optuna imports tqdm, which misses ipywidgets in a notebook; our bar needs none.
    warnings.filterwarnings("ignore", "IProgress not found")
    import optuna

# Optuna reports every study and trial; our progress says what users want to know.
optuna.logging.set_verbosity(optuna.logging.ERROR)
# `group` and QMC are marked experimental; versions are pinned, and a resumed sweep is checked.
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
