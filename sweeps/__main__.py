"""The command `sweeps`, also as `python -m sweeps`; Ctrl-C is quiet already while it starts."""

import atexit
import contextlib
import gc
import os
import sys
import threading
from typing import Final

from sweeps.workspace import clock

SHORT: Final = {"best", "list", "trials"}
"""Commands that read records, print them and end."""

NO_MEMORY: Final = (
    "failed to map segment",  # of a shared library
    "error return without exception set",  # of an extension module
    "returned NULL without setting an exception",  # of an import
    "can't start new thread",
)
"""Words of errors that stand for a lack of memory."""


def main() -> None:
    """Run the command line."""
    codes: list[int] = []
    reserve = bytearray(2**20)  # so that there is room to say that there is none
    is_short = not SHORT.isdisjoint(sys.argv[1:2])
    atexit.register(_leave, codes, is_short)  # the first registered: it runs last
    clock.command = clock.Stopwatch()
    # Records are many small objects, none of them garbage: to look for some, as often as usual,
    # takes a fifth of the time of `sweeps trials` with ten thousand trials; so seldom, a seventh of
    # that of `sweeps list`.
    gc.set_threshold(20_000, 10, 10)
    if is_short:
        gc.disable()
    try:
        try:
            from sweeps.cli import main as run
        except KeyboardInterrupt:
            sys.exit(130)
        run()
    except SystemExit as ended:
        codes += [ended.code] if isinstance(ended.code, int) else []
        raise
    except (MemoryError, ImportError, SystemError, RuntimeError) as error:
        reserve.clear()
        if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
            print("error: there is too little memory; more is needed (ulimit -v)", file=sys.stderr)
            sys.exit(1)
        raise


def _leave(codes: list[int], is_short: bool) -> None:
    """End with this exit code at once if a thread is left, as one that waits for a server may be.

    Before Python 3.14 the interpreter ends such a thread wherever it is; inside C++ code of a
    library that aborts the whole process (SIGABRT) although all was said and done. A short command
    ends at once, too: to take 100,000 records to pieces takes a second.
    """
    if codes and (is_short or any(one.daemon for one in threading.enumerate())):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(codes[0])


if __name__ == "__main__":
    main()
