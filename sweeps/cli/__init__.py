"""The command line `sweeps`: one module per group of commands."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import typer
from typer.core import TyperGroup

from sweeps.cli.plan import plan, schema
from sweeps.cli.results import best, list_sweeps, trials
from sweeps.cli.run import run
from sweeps.cli.ui import ui
from sweeps.errors import UsageError
from sweeps.records import RecordError


class Commands(TyperGroup):
    """Turns what ends a command early into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise _exit(2, f"error: {error}") from None
        except RecordError as error:
            raise _exit(1, f"error: {error}") from None
        except KeyboardInterrupt:
            raise _exit(130, "stopped at once; the same command goes on") from None
        except BrokenPipeError:
            # The reader of stdout has gone (`| head`): say no more, also not at interpreter exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


def _exit(code: int, message: str) -> typer.Exit:
    print(message, file=sys.stderr)
    return typer.Exit(code)


app = typer.Typer(
    name="sweeps",
    cls=Commands,
    help="Hyperparameter sweeps with experiment tracking.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (run, plan, best, trials, ui, schema):
    app.command()(_command)
app.command("list")(list_sweeps)


def main() -> None:
    """Run the command line."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries' warnings are for developers: python -W
    app()
