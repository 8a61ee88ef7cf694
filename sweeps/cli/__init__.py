"""The command line `sweeps`: one module per group of commands."""

from __future__ import annotations

import inspect
import itertools
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from sweeps.cli import confirming, control, lifecycle, plan, results, run, ui
from sweeps.cli.console import complaining_of_damage, open_streams
from sweeps.cli.options import PLACES, HomeOption, StorageOption, at_home, pasteable
from sweeps.errors import StoreError, UsageError, WorkersError
from sweeps.records import RecordError
from sweeps.wording import printable

_REMOVED: Final = {
    "finalize": "sweeps confirm",
    "try": "sweeps enqueue",
    "watch": "sweeps status NAME",
    "cancel": "sweeps stop NAME TRIAL",
    "ensemble": "sweeps best NAME --ensemble",
    "--finalize": "--confirm",
    "--no-finalize": "--no-confirm",
    "--blocks": "--folds",
    "dashboard": "sweeps export NAME --study FILE, then `optuna-dashboard sqlite:///FILE` "
    "(docs/how-to.md, look at a sweep in Optuna Dashboard)",
    "serve-tracking": "`mlflow server` (docs/how-to.md, run an MLflow server for a team)",
    "cluster": "`dask scheduler` and `dask worker` (docs/clusters.md, one machine)",
    "check": "sweeps replay, which tells whether the seed decides a training",
    "next": "sweeps confirm, whose answer ends with it",
    "examine": "sweeps report; of digits, digitexp evaluate",
    "schema": "search_spaces/schema.json of this package",
    "--price": "sweeps trials NAME --csv FILE, which has the seconds of each trial",
    "--budget-epochs": "`--budget TIME`, or --trials",
    "--stop": "`--stop-after N`, or `--budget TIME`",
    "--control-searches": "`--control N`, one random search",
    "--more-data": "a space whose data are a part of yours",
    "--until": "`--folds S`, as the answer says",
    "--at-most": "`--folds S`, as the answer says",
    "--figures": "the charts of the page, which a browser saves as pictures",
    "--experiment": "a CSV file of its runs, from `mlflow.search_runs().to_csv()`",
}
"""Commands and options that are gone -> what to use instead; refused with it for one release."""


_GROUPS: Final[Mapping[str, Mapping[str, Callable[..., Any]]]] = {
    "The eight that matter first": {
        "run": run.run, "list": results.list_sweeps, "ui": ui.ui, "report": results.report,
        "compare": results.compare, "confirm": confirming.confirm, "export": results.export,
        "init": plan.init,
    },
    "Run and look": {
        "plan": plan.plan, "enqueue": run.enqueue, "retry": run.retry, "status": control.status,
        "pause": control.pause, "resume": control.resume, "stop": control.stop,
        "best": results.best, "trials": results.trials, "note": lifecycle.note,
        "replay": results.replay,
    },
    "Keep house": {
        "share": lifecycle.share, "import": lifecycle.import_, "trust": lifecycle.trust,
        "rename": lifecycle.rename, "archive": lifecycle.archive, "delete": lifecycle.delete,
        "gc": lifecycle.gc, "doctor": lifecycle.doctor, "sync": lifecycle.sync,
    },
}  # fmt: skip
"""The commands by what they are for, in the order of the help."""


class SweepsCommands(TyperGroup):
    """Shows the commands in groups; turns an error that ends one into a line and an exit code."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help: a line a command, those that matter first, the options last."""
        formatter.write("Usage: sweeps COMMAND ...     sweeps COMMAND --help     ")
        formatter.write("sweeps (what is here)\n")
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            line = (typer.style(name, bold=True), command.get_short_help_str(limit=80))
            groups.setdefault(getattr(command, "rich_help_panel", ""), []).append(line)
        own = [one for one in self.get_params(ctx) if one.name != "show_completion"]
        options = [shown for one in own if (shown := one.get_help_record(ctx))]
        for title, lines in {**groups, "Options": options}.items():
            with formatter.section(typer.style(title, bold=True)):
                formatter.write_dl(lines)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take `--home` and `--storage` from behind a command as from before it."""
        places = [f"--{name}" for name in PLACES]
        before: list[str] = []
        behind: list[str] = []
        words = iter(args)
        for word in words:
            if word == "--":
                behind += [word, *words]
            elif word in places:
                before += [word, *itertools.islice(words, 1)]
            else:
                (before if word.partition("=")[0] in places else behind).append(word)
        return super().parse_args(ctx, [*before, *behind])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, and refuse a `--home` for one that works in none.

        A command or an option that is gone is refused with what to use instead.
        """
        options = [arg.partition("=")[0] for arg in args[1:] if arg.startswith("--")]
        for word in (*args[:1], *options):
            if word in _REMOVED:
                shown = word if word.startswith("--") else f"sweeps {word}"
                raise UsageError(f"{shown!r} is gone; in its place: {_REMOVED[word]}")
        name, command, rest = super().resolve_command(ctx, args)
        home = ctx.params.get("home")
        if command is not None and name == "init" and home != os.environ.get("SWEEPS_HOME"):
            raise UsageError(f"--home: sweeps {name} works in no home; leave it out")
        return name, command, rest

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
                # The reader of stdout has gone (`| head`): say no more, also not at the exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(0) from None
            raise _exit(2, f"error: {error}") from None
        except KeyboardInterrupt:
            raise _exit(130, "stopped at once; the same command goes on") from None


def _exit(code: int, message: str) -> typer.Exit:
    print(printable(pasteable(message)), file=sys.stderr)  # a stranger may have written names in it
    return typer.Exit(code)


app = typer.Typer(
    name="sweeps",
    cls=SweepsCommands,
    help="Hyperparameter sweeps: search, look, confirm, take away.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # whose tables cut the names of options in 80 columns
    context_settings={"help_option_names": ["-h", "--help"]},
)


for _group, _commands in _GROUPS.items():
    for _name, _command in _commands.items():
        # A paragraph is one line, which the terminal breaks.
        _help = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(_command.__doc__ or ""))
        app.command(_name, help=_help, rich_help_panel=_group)(at_home(_command))


def _print_version(asked: bool) -> None:
    if asked:
        print(version("digit-sweeps"))
        raise typer.Exit(0)


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
    home: HomeOption = None,
    storage: StorageOption = None,
) -> None:
    """Hyperparameter sweeps: search, look, confirm, take away."""
    if context.invoked_subcommand is None:
        at_home(results.show_home)(context=context)


def main() -> None:
    """Run the command line."""
    open_streams()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # libraries' warnings are for developers: python -W
    app()
