"""Experiments as a sweep meets them: found, their code noted, scripts, their data verified."""
