"""The command `digitexp`: look at data, train one configuration, judge it, try its parts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from digitexp.cli import data, evaluate, train, transfer
from digitexp.tensorflow_setup import MissingTensorFlowError

__all__ = ["app", "main"]

_REMOVED: Final[Mapping[str, str]] = {
    "explore": "write the pages of a trial by `digitexp pages DIR | SWEEP [TRIAL]`, and open them "
    "in a browser: pad.html is the drawing pad",
}
"""Removed commands -> what to do instead; each for one release."""


class Commands(TyperGroup):
    """Answers a removed command with what to do instead."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command."""
        if args and args[0] in _REMOVED:
            raise ValueError(f"`digitexp {args[0]}` is no more; {_REMOVED[args[0]]}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="digitexp",
    cls=Commands,
    help="Handwritten digits: look at a data set, train one configuration, judge what came out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(data.data)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(evaluate.calibrate)
app.command()(evaluate.check)
app.command()(evaluate.robustness)
app.command()(transfer.transfer)
app.command()(train.parameters)
app.command()(evaluate.pages)
app.command()(data.softmax)
app.command()(data.activations)

USER_ERRORS = (
    ValueError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
"""Errors of a wrong option, file or folder; any other is a defect and shows its traceback."""


def main() -> None:
    """Run the command line; a mistake of the user is one message on stderr and exit code 2."""
    try:
        app()
    except USER_ERRORS as error:
        _refuse(str(error))
    except MissingTensorFlowError as error:
        from digitexp.experiments.recorded import install_command

        _refuse(f"{error}: {install_command('keras')}")


def _refuse(message: str) -> NoReturn:
    print(f"digitexp: {message}", file=sys.stderr)
    sys.exit(2)
