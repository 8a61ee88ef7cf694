"""The command line `sweeps`: one module per group of commands."""

from __future__ import annotations

import os
import sys
import warnings

import click
import typer

from sweeps.cli.plan import plan, schema
from sweeps.cli.results import best, list_sweeps, trials
from sweeps.cli.run import run
from sweeps.cli.ui import ui
from sweeps.errors import UsageError

app = typer.Typer(
    name="sweeps",
    help="Hyperparameter sweeps with experiment tracking.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (run, plan, best, trials, ui, schema):
    app.command()(command)
app.command("list")(list_sweeps)


def main() -> None:
    """Run a command; a mistake of the user ends with one message and exit code 2."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries' warnings are for developers: python -W
    try:
        code = typer.main.get_command(app).main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except (KeyboardInterrupt, click.Abort):
        code = 130
    except BrokenPipeError:
        # The reader of stdout has gone (`| head`): say no more, also not at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
