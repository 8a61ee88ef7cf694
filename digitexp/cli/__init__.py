"""The command `digitexp`: look at data, train one configuration, judge it, try its parts."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from digitexp.cli import data, evaluate, explore, train, transfer
from digitexp.tensorflow_setup import MissingTensorFlowError

__all__ = ["app", "main"]

app = typer.Typer(
    name="digitexp",
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
app.command()(explore.explore)
app.command()(explore.softmax)
app.command()(explore.activations)

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
