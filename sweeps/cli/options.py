"""Command-line options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import yaml

from sweeps.errors import UsageError

HomeOption = Annotated[
    str | None,
    typer.Option(
        "--home",
        metavar="DIR",
        envvar="SWEEPS_HOME",
        help="Folder with records, study and MLflow store.",
        show_default="mlruns",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parse_options(texts: list[str], option: str) -> dict[str, Any]:
    """Return `name=value` texts as a mapping; values are read as YAML scalars.

    Raises:
        UsageError: A text has no `=`, or its value is no plain value.
    """
    parsed: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.strip()):
            raise UsageError(f"{option} {text!r}: write it as name=value")
        try:
            parsed[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"{option} {text!r}: {value!r} is no plain value") from None
    return parsed
