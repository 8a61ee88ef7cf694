"""Lets the wall clock of a process jump: by as many seconds as the file FAULT_CLOCK says.

Found by Python itself when this folder is on PYTHONPATH; monotonic clocks are left alone, as the
kernel leaves them when somebody sets the time.
"""

import os
import time

_real, _real_ns = time.time, time.time_ns


def _offset() -> int:
    try:
        with open(os.environ["FAULT_CLOCK"], encoding="ascii") as file:  # noqa: PTH123
            return int(file.read() or 0)
    except (KeyError, OSError, ValueError):
        return 0


time.time = lambda: _real() + _offset()
time.time_ns = lambda: _real_ns() + _offset() * 1_000_000_000
