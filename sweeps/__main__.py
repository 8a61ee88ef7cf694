"""`python -m sweeps` is the command `sweeps`."""

from sweeps.cli import main

main()
