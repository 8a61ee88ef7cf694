"""Is the winner really better? Intervals and verdicts from trainings on fresh folds."""
