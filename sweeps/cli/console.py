"""Prints to a terminal, a file, or a pipe whose reader may go away; the exit codes of commands.

The first exit code that applies: 129, 130, 143 interrupted; 2 wrong usage; 1 failed; 3 MLflow lacks
something; 0.
"""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from sweeps.cli.options import pasteable
from sweeps.errors import SamplesWarning, UsageError
from sweeps.progress import Mode, can_redraw
from sweeps.records import DamagedRecordWarning
from sweeps.wording import counted, plain_numbers, printable

OK: Final = 0
FAILED: Final = 1
TRACKING_INCOMPLETE: Final = 3
WHOLE: Final = frozenset({OK, TRACKING_INCOMPLETE})
"""Exit codes of a command that did all that it was asked for."""
INTERRUPTED: Final = {"interrupt": 130, "terminate": 143, "hangup": 129}


def answered(
    document: Any,
    rows: Iterable[Mapping[str, Any]],
    *,
    as_json: bool,
    csv: Path | None,
    columns: Sequence[str] = (),
) -> bool:
    """Print a result as JSON or write its table as CSV, if that is asked for.

    Args:
        document: The whole result.
        rows: Its table, a row an entry; what lies deeper becomes columns such as `accuracy.low`.
        as_json: Whether `--json` was given.
        csv: The file that `--csv` names; `-` is stdout.
        columns: The columns of a table without rows.

    Returns:
        Whether one was asked for; if not, the command prints it for people.

    Raises:
        UsageError: The file cannot be written, or both are to go to stdout.
    """
    from sweeps.analysis.table import write_rows

    if as_json and csv == Path("-"):
        raise UsageError("--json and --csv - both print to stdout: give one, or --csv a file")
    if csv == Path("-"):
        write_rows(rows, sys.stdout, columns)
    elif csv is not None:
        table = list(rows)
        try:
            file = csv.open("w", newline="", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--csv {csv}: cannot be written ({error.strerror})") from None
        with file:
            write_rows(table, file, columns)
        written = f"{counted(len(table), 'row')} written to {csv}"
        print(written, file=sys.stderr if as_json else sys.stdout)
    if as_json:
        # Whole numbers as integers, numbers that JSON lacks (NaN) as null.
        print(json.dumps(plain_numbers(document), indent=1, allow_nan=False))
    return as_json or csv is not None


def open_streams() -> None:
    """Make stdin, stdout and stderr usable whatever the caller closed or cannot encode."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def complain(line: str) -> None:
    """Print one problem to stderr, and go on."""
    print(pasteable(line), file=sys.stderr)


@contextmanager
def complaining_of_damage() -> Iterator[None]:
    """Print each warning about a damaged file or samples to stderr once, from any thread."""
    said, kinds = set[str](), (DamagedRecordWarning, SamplesWarning)
    with warnings.catch_warnings():
        for kind in kinds:
            warnings.simplefilter("always", kind)
        show = warnings.showwarning

        def hear(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
            if not issubclass(category, kinds):
                show(message, category, *rest, **named)
            elif str(message) not in said:
                said.add(str(message))
                complain(str(message))

        warnings.showwarning = hear
        yield


@contextmanager
def answering_first(progress: Mode) -> Iterator[Callable[[Callable[[], object]], None]]:
    """Yield what prints an answer at once, although MLflow still gets the rest.

    A terminal is told so below it, until the end. An error of the stream waits until then.

    Raises:
        OSError: The answer could not be written.
    """
    errors: list[OSError] = []

    def for_now(text: str) -> None:
        if progress in {"auto", "verbose"} and can_redraw(sys.stderr):
            with suppress(OSError):
                print(text, end="", file=sys.stderr, flush=True)

    def give(answer: Callable[[], object]) -> None:
        try:
            answer()
            sys.stdout.flush()
        except OSError as error:
            errors.append(error)
        for_now("\x1b[2mMLflow gets the report\x1b[0m\r")

    try:
        yield give
    finally:
        for_now("\x1b[K")
    if errors:
        raise errors[0]


class Terminal(Console):
    """A rich console on stdout; once the reader has gone (`| head`), it prints no more.

    A stranger may have written what it prints: markup is shown as it is, control characters as `?`.
    """

    def __init__(self) -> None:
        super().__init__(markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yield the parts of what is printed, without control characters in their texts."""
        for part in super().render(renderable, options):
            is_plain = part.control or part.text.isprintable()
            yield part if is_plain else part._replace(text=printable(part.text))

    def on_broken_pipe(self) -> None:
        """Go on without a reader; rich would end the process with exit code 1."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
