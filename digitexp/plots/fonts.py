"""A font with Chinese letters, found among those of the system or where the user says."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from digitexp.plots.words import CHINESE

__all__ = ["Face", "find_chinese"]

FAMILIES = {
    "Noto Sans CJK": "NotoSansCJK*",
    "Noto Sans SC": "NotoSans*SC*",
    "Source Han Sans": "SourceHanSans*",
    "WenQuanYi Micro Hei": "wqy-microhei*",
    "WenQuanYi Zen Hei": "wqy-zenhei*",
    "Droid Sans Fallback": "DroidSansFallback*",
    "PingFang": "PingFang*",
    "Hiragino Sans GB": "Hiragino Sans GB*",
    "Microsoft YaHei": "msyh.*",
    "SimHei": "simhei*",
}
"""Sans-serif families for simplified Chinese and their files, the best for small letters first:
those of Debian, then those that come with macOS and Windows."""

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
SIMPLIFIED = ("SC", "CN", "GB")
"""Marks of the face with the letters of the mainland in a file that holds several."""


@dataclass(frozen=True)
class Face:
    """One face of a font file; files such as .ttc hold several."""

    path: Path
    index: int = 0


@lru_cache(maxsize=8)
def find_chinese(where: Path | None = None) -> tuple[Face, Face]:
    """Return a regular and a bold face that have every Chinese letter our pictures need.

    Args:
        where: A font file, or a folder to look into with all below it; None = the system's fonts.

    Returns:
        The faces; the same twice where the font has no bold file.

    Raises:
        ValueError: There is no such file or folder, or no font there has the letters.
    """
    regular = next((path for path in _candidates(where) if _has_the_letters(path)), None)
    if regular is None:
        raise ValueError(_missing(where))
    bold = regular.with_name(regular.name.replace("Regular", "Bold"))
    if not bold.is_file():
        bold = regular
    return _face(regular), _face(bold)


def _candidates(where: Path | None) -> list[Path]:
    """Return font files, known families first, in an order that is the same on every start."""
    if where is None:
        from matplotlib import font_manager

        files: Iterable[Path] = map(Path, font_manager.findSystemFonts())
    elif where.is_dir():
        files = (path for path in where.rglob("*") if path.suffix.lower() in SUFFIXES)
    elif where.is_file():
        return [where]
    else:
        raise ValueError(f"there is no font file or folder '{where}' (--font, DIGITEXP_FONT).")
    return sorted(files, key=_rank)


def _rank(path: Path) -> tuple[int, bool, str]:
    """Sort by family, its regular face first."""
    patterns = list(FAMILIES.values())
    known = (i for i, one in enumerate(patterns) if fnmatch.fnmatch(path.name.lower(), one.lower()))
    other_weight = "regular" not in path.stem.lower() and "-" in path.stem
    return next(known, len(patterns)), other_weight, str(path)


def _has_the_letters(path: Path) -> bool:
    from matplotlib.ft2font import FT2Font

    needed = {ord(letter) for text in CHINESE.values() for letter in text}
    try:
        return needed <= set(FT2Font(str(path)).get_charmap())
    except (RuntimeError, OSError):  # not a font, or a damaged one
        return False


def _face(path: Path) -> Face:
    """Return the face for simplified Chinese of a file, the first where none is marked so."""
    from PIL import ImageFont

    if path.suffix.lower() in {".ttc", ".otc"}:
        for index in range(64):
            try:
                family, _ = ImageFont.truetype(path, 10, index=index).getname()
            except OSError:  # no more faces
                break
            if set(SIMPLIFIED) & set((family or "").split()):
                return Face(path, index)
    return Face(path)


def _missing(where: Path | None) -> str:
    place = "among the fonts of this system" if where is None else f"in '{where}'"
    return (
        f"--language zh needs a font with Chinese letters; {place} there is none. Looked for: "
        f"{', '.join(FAMILIES)}, and then any other that has the letters. On Debian or Ubuntu "
        "install one with `apt-get install fonts-noto-cjk` (or fonts-wqy-microhei, smaller), or "
        "name a file or a folder with --font or DIGITEXP_FONT."
    )
