"""`sweeps init`: writes a space, an experiment and a test to begin with."""

from __future__ import annotations

import shlex
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

import typer

from sweeps.errors import UsageError
from sweeps.experiments.script_help import space_of_script

_SCAFFOLDS: Final = Path(__file__).with_name("scaffolds")


class Kind(Enum):
    """The library or language of the experiment."""

    KERAS = "keras"
    SCIKIT_LEARN = "scikit-learn"
    SCRIPT = "script"


def init(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder; made if it is missing.")
    ] = None,
    kind: Annotated[
        Kind,
        typer.Option(help="keras: a model of yours; scikit-learn; script: any language."),
    ] = Kind.KERAS,
    script: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="SCRIPT", help="Write a space for this script, from its --help."
        ),
    ] = None,
) -> None:
    """Write a space, an experiment and a test to begin with.

    With --from, write only a space, beside a script that there is already. Nothing is ever
    overwritten.
    """
    if (folder is None) == (script is None):
        raise UsageError("give either a folder to write into, or --from and a script")
    if script is not None:
        path, text = space_of_script(script)
        path.write_text(text, encoding="utf-8")
        print(f"{text}\nwrote {path}: edit the lines marked EDIT, and the ranges; then")
        print(f"sweeps run {shlex.quote(str(path))} --trials 2 --strict")
        return
    assert folder is not None
    files = {
        path.name.removesuffix(".txt"): path.read_bytes()
        for path in sorted((_SCAFFOLDS / kind.value).iterdir())
    }
    taken = [name for name in files if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"{folder} has {', '.join(taken)} already, which stay as they are; give another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        print(f"wrote {folder / name}")
    print(f"\ncd {shlex.quote(str(folder))}\nsweeps run space.yaml --trials 2 --strict")
    print("python -m pytest")
