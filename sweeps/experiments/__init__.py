"""Loads experiments, collects their code, runs scripts as experiments, and verifies data."""
