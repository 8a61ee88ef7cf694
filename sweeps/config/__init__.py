"""From options to a validated sweep: options, checks, policies."""
