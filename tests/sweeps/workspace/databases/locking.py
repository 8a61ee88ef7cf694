"""Another process that holds a database locked."""

import subprocess
import sys
from contextlib import contextmanager

_PROGRAM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
"""


@contextmanager
def locked(database):
    """Have another process lock a database; yields what lets it go."""
    words = [sys.executable, "-c", _PROGRAM, str(database)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, text=True, **pipes) as process:
        assert process.stdout.readline() == "locked\n"
        yield process.kill
        process.kill()
