"""The command line `sweeps`: one module per group of commands."""

from __future__ import annotations

import os
import sys
import warnings
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from sweeps.cli.cluster import app as cluster_app
from sweeps.cli.confirming import confirm, ensemble
from sweeps.cli.console import complaining_of_damage, open_streams
from sweeps.cli.control import cancel, pause, resume, status, stop, watch
from sweeps.cli.dashboard import dashboard
from sweeps.cli.doctor import doctor
from sweeps.cli.enqueuing import enqueue
from sweeps.cli.init import init
from sweeps.cli.lifecycle import archive, delete, gc, import_, note, rename, share, trust
from sweeps.cli.options import pasteable, with_storage
from sweeps.cli.plan import plan, schema
from sweeps.cli.recorded import examine, export, replay
from sweeps.cli.results import best, compare, list_sweeps, report, trials
from sweeps.cli.run import retry, run
from sweeps.cli.servers import serve_tracking, ui
from sweeps.cli.sync import sync
from sweeps.errors import StoreError, UsageError, WorkersError
from sweeps.records import RecordError
from sweeps.wording import printable

_FORMER: Final = {
    "finalize": "confirm", "try": "enqueue", "--finalize": "--confirm",
    "--no-finalize": "--no-confirm", "--blocks": "--folds",
}  # fmt: skip
"""Former names of commands and options -> their present names."""


class Commands(TyperGroup):
    """Turns an error that ends a command into one line and an exit code."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; refuse a former name, of a command or option, with the present one."""
        options = [arg.partition("=")[0] for arg in args[1:] if arg.startswith("--")]
        for word in (*args[:1], *options):
            if word in _FORMER:
                shown = word if word.startswith("--") else f"sweeps {word}"
                raise UsageError(f"{shown!r} is called {shown.replace(word, _FORMER[word])!r} now")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with complaining_of_damage():
                return super().invoke(ctx)
        except UsageError as error:
            raise _exit(2, f"error: {error}") from None
        except (RecordError, StoreError, WorkersError) as error:
            raise _exit(1, f"error: {error}") from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise _without_a_reader() from None
            raise _exit(2, f"error: {error}") from None
        except KeyboardInterrupt:
            raise _exit(130, "stopped at once; the same command goes on") from None


def _without_a_reader() -> typer.Exit:
    # The reader of stdout has gone (`| head`): say no more, also not at interpreter exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return typer.Exit(0)


def _exit(code: int, message: str) -> typer.Exit:
    print(printable(pasteable(message)), file=sys.stderr)  # a stranger may have written names in it
    return typer.Exit(code)


app = typer.Typer(
    name="sweeps",
    cls=Commands,
    help="Hyperparameter sweeps with experiment tracking.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    *(run, retry, enqueue, plan, confirm, ensemble, best, trials, report, compare, examine),
    *(replay, export),
    *(ui, dashboard),
    *(status, watch, stop, pause, resume, cancel),
    *(init, schema, sync, doctor, serve_tracking),
    *(note, rename, archive, delete, gc, share, trust),
):
    app.command()(with_storage(_command))
app.command("list")(with_storage(list_sweeps))
app.command("import")(with_storage(import_))
app.add_typer(cluster_app, name="cluster")


def _print_version(asked: bool) -> None:
    if asked:
        print(version("digit-sweeps"))
        raise typer.Exit(0)


@app.callback()
def _common(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Hyperparameter sweeps with experiment tracking."""


def main() -> None:
    """Run the command line."""
    open_streams()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries' warnings are for developers: python -W
    app()
