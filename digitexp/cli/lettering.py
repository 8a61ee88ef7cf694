"""The options of every command that draws: in which language, by which font."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Font", "Language"]

Language = Annotated[
    str,
    typer.Option(envvar="DIGITEXP_LANGUAGE", metavar="en|zh", help="Of the words in pictures."),
]
Font = Annotated[
    Path | None,
    typer.Option(
        envvar="DIGITEXP_FONT",
        metavar="FILE|DIR",
        help="Font with Chinese letters, or a folder of fonts. Default: the system's.",
    ),
]
