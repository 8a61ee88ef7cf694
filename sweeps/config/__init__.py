"""Options -> a validated sweep: checks, policies."""
