"""Confirms the winner of a sweep: intervals and verdicts from trainings on fresh folds."""
