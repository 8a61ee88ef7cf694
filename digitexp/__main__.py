"""The command `digitexp`, also as `python -m digitexp`.

Ctrl-C ends it without a traceback even while it starts.
"""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from digitexp.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
