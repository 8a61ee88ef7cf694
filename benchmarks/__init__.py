"""The claims about speed and quality, to be run again by anyone: `python -m benchmarks NAME`."""
