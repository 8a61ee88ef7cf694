"""Where everything of a sweep lies, and what keeps it safe: files, locks, databases, provenance."""
