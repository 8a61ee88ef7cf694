"""How the command ends while a thread of it still waits for a server."""

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, threading
import sweeps.cli
from sweeps.__main__ import main

class Kept:
    def __del__(self):
        print("interpreter taken down")

kept = Kept()
release = threading.Event()

def run():
    atexit.register(print, "handlers run")
    threading.Thread(target=release.wait, daemon={waits}).start()
    {waits} or release.set()
    print("all was said", end=" ")
    sys.exit(4)

sweeps.cli.main = run
main()
"""


@pytest.mark.parametrize("waits", [True, False])
def test_no_waiting_thread_is_torn_out_of_its_work(waits):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(waits=waits)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 4, ended.stderr
    assert ended.stderr == ""
    expected = "all was said handlers run\n" + ("" if waits else "interpreter taken down\n")
    assert ended.stdout == expected
