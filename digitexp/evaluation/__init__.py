"""Judges trained networks: mistakes, calibration, robustness."""
