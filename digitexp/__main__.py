"""`python -m digitexp` is the command `digitexp`."""

from digitexp.cli import main

main()
