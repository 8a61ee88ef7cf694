"""Four ways to run the same hyperparameter search: ours and three peers, each a command."""
