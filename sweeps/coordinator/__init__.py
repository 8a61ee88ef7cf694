"""The coordinator: the one process that asks, submits, records, tells and projects a sweep."""
