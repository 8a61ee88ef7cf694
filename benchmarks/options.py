"""Options that several benchmarks have."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path


def at_least_one(text: str) -> int:
    """Read a number of runs, trials or rounds from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def whole_numbers(parser: argparse.ArgumentParser, **defaults: tuple[int, str]) -> None:
    """Declare an option a name, each a whole number from 1: its default, and what it counts."""
    for name, (default, meaning) in defaults.items():
        help_text = f"{meaning} (default {default})".strip()
        parser.add_argument(f"--{name.replace('_', '-')}", type=at_least_one, default=default,
                            help=help_text)  # fmt: skip


def names_option(
    parser: argparse.ArgumentParser,
    option: str,
    known: Iterable[str],
    default: Iterable[str] | None = None,
) -> None:
    """Declare an option that takes some of the known names; all of them if nothing is said."""
    names = tuple(known)
    usual = names if default is None else tuple(default)
    parser.add_argument(f"--{option}", nargs="+", choices=names, default=usual, metavar="NAME",
                        help=f"of {', '.join(names)} (default "
                        f"{'all' if usual == names else ', '.join(usual)})")  # fmt: skip


def cache_folder(parser: argparse.ArgumentParser, default: Path) -> None:
    """Declare the folder in which trainings or searches are kept."""
    parser.add_argument("--cache", type=Path, default=default, metavar="FOLDER",
                        help="what is made is kept there; it goes on if interrupted")  # fmt: skip
