"""Options of several commands: language of pictures, homes, data, and the trained trials meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from digitexp.trained import ShownTrial, TrainedTrial

Language = Annotated[
    str,
    typer.Option(envvar="DIGITEXP_LANGUAGE", metavar="en|zh", help="Language of pictures."),
]
Font = Annotated[
    Path | None,
    typer.Option(
        envvar="DIGITEXP_FONT",
        metavar="FILE|DIR",
        help="Font with Chinese letters, or a folder of fonts. Default: the system's.",
    ),
]
Words = Annotated[
    list[str],
    typer.Argument(
        metavar="DIR | SWEEP TRIAL",
        help="Folder of `digitexp train`; or a sweep and the number of a trial, or champion.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="Data of the training, if they have no known name."),
]
Home = Annotated[
    Path | None, typer.Option(help="Folder of sweeps (default: $SWEEPS_HOME, else mlruns).")
]
Storage = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Database that homes of several hosts share."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Write into a folder that is not empty.")
]
SplitSeed = Annotated[int, typer.Option(min=0, help="Decides which images validate.")]


def find_trials(
    words: Sequence[str], home: Path | None = None, storage: str | None = None
) -> list[TrainedTrial]:
    """Return the trials that a command names: folders, and sweeps followed by a trial.

    Raises:
        ValueError: There is no such folder, sweep or trial, or it cannot be read.
    """
    from digitexp.trained import read_folder

    found = []
    for word, key in _named(words):
        if key is None:
            found.append(read_folder(Path(word)))
        else:
            from digitexp.experiments.recorded import Recorded

            found.append(Recorded(home, storage).trained(word, key))
    return found


def find_trial(
    words: Sequence[str], home: Path | None = None, storage: str | None = None
) -> TrainedTrial:
    """Return the one trial that a command names; see `find_trials`."""
    found = find_trials(words, home, storage)
    if len(found) != 1:
        raise ValueError(
            f"received {' '.join(words)}, {len(found)} trials: give one, a folder that `digitexp "
            "train` filled, or a sweep and the number of its trial."
        )
    return found[0]


def shown_trials(
    words: Sequence[str],
    home: Path | None = None,
    storage: str | None = None,
    data: str | None = None,
) -> list[ShownTrial]:
    """Return the trials that a command names, with images; of a sweep alone, its champion.

    Raises:
        ValueError: As for `find_trials`, or their data are not at hand.
    """
    from digitexp.experiments.recorded import CHAMPION, Recorded, shown_folder

    found = []
    for word, key in _named(words):
        if key is not None:
            found.append(Recorded(home, storage, data).shown(word, key))
        elif Path(word).is_dir():
            found.append(shown_folder(Path(word), data))
        else:
            try:
                found.append(Recorded(home, storage, data).shown(word, CHAMPION))
            except ValueError as error:
                raise ValueError(f"'{word}' is no folder; as a sweep: {error}") from None
    return found


def _named(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each folder or sweep, with the trial that is named behind it."""
    rest = list(words)
    while rest:
        word, key = rest.pop(0), rest[0] if rest else ""
        is_trial = (key.isdecimal() or key == "champion") and not Path(key).is_dir()
        yield word, rest.pop(0) if is_trial else None
