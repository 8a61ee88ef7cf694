"""Benchmarks that anyone can repeat, of speed and quality: `python -m benchmarks NAME`."""
