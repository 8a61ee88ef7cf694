"""Adapters to the contract of `sweeps`, and the trials that sweeps of digits recorded."""
