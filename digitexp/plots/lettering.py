"""In which language, and by which font, a picture speaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digitexp.plots.fonts import Face, find_chinese
from digitexp.plots.words import CHINESE, LANGUAGES, SEPARATOR

__all__ = ["ENGLISH", "Lettering", "choose_lettering"]

FIRST_EAST_ASIAN = "\u2e80"
"""Letters from here on (Unicode's first block of CJK) are not in DejaVu Sans."""


@dataclass(frozen=True)
class Lettering:
    """A language and its font.

    Attributes:
        faces: Regular and bold face for lines with East Asian letters; None = there are none, and
            all is written in DejaVu Sans.
    """

    faces: tuple[Face, Face] | None = None

    def say(self, text: str, **values: Any) -> str:
        """Return a text of the catalogue in this language, with its values filled in.

        A text that is not in the catalogue, such as the name of somebody's metric, stays.
        """
        words = CHINESE.get(text, text) if self.faces else text
        return words.format(**values) if values else words

    def say_parts(self, title: str) -> str:
        """Return a title such as `25-15  ·  batch 32`, each part in this language."""
        if not self.faces:
            return title
        return SEPARATOR.join(self._say_begin(part) for part in title.split(SEPARATOR))

    def face(self, text: str, *, bold: bool) -> Face | None:
        """Return the face a line is written in; None = DejaVu Sans."""
        if self.faces is None or not any(letter >= FIRST_EAST_ASIAN for letter in text):
            return None
        return self.faces[bold]

    def _say_begin(self, part: str) -> str:
        """Translate the longest begin of a part that the catalogue has."""
        known = [text for text in CHINESE if part == text or part.startswith(f"{text} ")]
        longest = max(known, key=len, default="")
        return self.say(longest) + part.removeprefix(longest)


ENGLISH = Lettering()


def choose_lettering(language: str = "en", font: Path | None = None) -> Lettering:
    """Return the lettering of a language.

    Args:
        language: `en` or `zh`.
        font: A font file, or a folder to look into; None = the system's fonts. English needs none.

    Raises:
        ValueError: There is no such language, or no font for it.
    """
    if language not in LANGUAGES:
        raise ValueError(
            f"--language is {language!r} (DIGITEXP_LANGUAGE sets it, too); it must be one of "
            f"{', '.join(LANGUAGES)}."
        )
    return ENGLISH if language == "en" else Lettering(find_chinese(font))
