"""The framework: study, executors, records, MLflow projection and command line of a sweep."""
