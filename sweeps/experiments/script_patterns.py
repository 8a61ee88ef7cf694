"""Searches the lines of a script by the regular expressions of its space, in a process of its own.

An expression such as `(a+)+b` can take years on a short line, and Python's `re` has no limit of
time. So this file also runs as a program: the kernel ends it at a line that takes it too long. It
gets a JSON list of lines per line of its input, and prints what it found in each.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

LONGEST_LINE: Final = 4096
"""Characters of a line that are searched."""
MOST_SECONDS: Final = 1.0
"""CPU time that all patterns of a script together may take for one line."""
_TAIL: Final = 8

Found = Mapping[str, tuple[str, str, int]]
"""In one line, by the name of the pattern: the text of its group, what follows it, its place."""


class PatternError(Exception):
    """The search ended: as a rule, a pattern took too long."""


class PatternSearch:
    """A process that searches lines; end it by `close`. It ends with its parent as well."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        """Start the process."""
        self._process = subprocess.Popen(  # noqa: S603 - this file itself
            [sys.executable, "-I", "-S", __file__, json.dumps(dict(patterns))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            process_group=0,  # Ctrl-C is meant for the sweep
        )

    def search(self, lines: Sequence[str]) -> list[Found]:
        """Return the first match of each pattern in each line.

        Raises:
            PatternError: The patterns took too long for one of the lines, or cannot be compiled.
        """
        if not lines:
            return []
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answer = ""
        try:
            self._process.stdin.write(json.dumps([line[:LONGEST_LINE] for line in lines]) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        if not answer.endswith("\n"):
            code = self._process.wait()
            if code != -signal.SIGVTALRM:
                raise PatternError(f"the search by patterns ended with exit code {code}")
            raise PatternError(
                f"a pattern takes more than {MOST_SECONDS:g} s for a line; write it without "
                "repetitions inside of a repetition, such as ([0-9.]+) in place of (([0-9]+.?)+)"
            )
        found: list[Found] = json.loads(answer)
        return found

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def _serve(patterns: Mapping[str, str]) -> None:
    compiled = {name: re.compile(pattern) for name, pattern in patterns.items()}
    for batch in sys.stdin:
        found = []
        for line in json.loads(batch):
            signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)  # its signal ends a process
            matches = {name: pattern.search(line) for name, pattern in compiled.items()}
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            found.append(
                {
                    name: (match[1], line[match.end(1) :][:_TAIL], match.start(1))
                    for name, match in matches.items()
                    if match is not None and match[1] is not None
                }
            )
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
