"""What was asked -> a validated sweep: options, checks, policies."""
