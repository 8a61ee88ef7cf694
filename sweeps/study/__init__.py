"""The study: which slots exist, how each was proposed, and how it ended."""

import optuna

# Optuna reports every study and trial; our progress says what users want to know.
optuna.logging.set_verbosity(optuna.logging.ERROR)
