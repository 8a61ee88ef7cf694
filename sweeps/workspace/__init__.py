"""The files of a sweep and their safety: atomic writes, locks, databases, provenance."""
