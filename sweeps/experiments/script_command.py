"""The command of a script: its words, its placeholders, and its optional parts.

`{name}` stands for a parameter or one of `OWN`. The part `{?momentum --momentum {momentum}}` is
left out of the command if a trial has no `momentum`, because of its `when:`. No shell is involved:
each word stays one argument, whatever the value.
"""

from __future__ import annotations

import itertools
import re
import shlex
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

ATTEMPT, DATA, FOLD, FOLDS, OUTPUT, PARAMS, SEED, TRIAL = (
    "attempt", "data", "fold", "folds", "output", "params_json", "seed", "trial",
)  # fmt: skip
OWN: Final = frozenset({ATTEMPT, DATA, FOLD, FOLDS, OUTPUT, PARAMS, SEED, TRIAL})
"""Placeholders that do not stand for parameters."""
_SCRIPTS: Final = (".py", ".sh", ".R")
_OF_A_MODULE: Final = (".py", "/__init__.py", "/__main__.py")
_PART: Final = re.compile(r"\{\?\s*([^\W\d]\w*)\s*:?\s+(.*\S)\s*\}", re.DOTALL)
_FIRST: Final = 0xE000  # first of the characters that replace parts while the text is split
_QUOTED: Final = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""", re.DOTALL)
_OPERATOR: Final = re.compile(r"\|\|?|&&|;|[\d&]?>>?(?:&\d)?|<<?|(?<!\S)&(?!\S)")
_BETWEEN_WORDS: Final = re.compile(r"[\s|&;<>()'\"]+")


@dataclass(frozen=True)
class _Part:
    """An optional part, left out unless a trial has all of its parameters."""

    text: str
    needs: frozenset[str]


class ScriptCommand:
    """A command with placeholders, parsed once; see the module.

    Attributes:
        text: The command as it was written.
        required: Names of placeholders that every trial must have a value for.
        optional: Names of placeholders in optional parts.
    """

    def __init__(self, text: str) -> None:
        """Parse the command.

        Raises:
            ValueError: It is empty, cannot be split into words, or a placeholder has no name.
        """
        self.text = text
        self._parts: list[_Part] = []
        self._words = shlex.split(self._without_parts(text))
        if not self._words:
            raise ValueError("command: is empty; write it as python train.py --lr {learning_rate}")
        self.required = frozenset(name for word in self._words for name in _placeholders(word))
        self.optional = frozenset(name for part in self._parts for name in part.needs)
        if FOLDS in self.required | self.optional and not self.divides:
            raise ValueError("command: has {folds} and no {fold}, the number of one of them")

    @property
    def program(self) -> str:
        """The first word: the program to run."""
        return self._words[0]

    @property
    def divides(self) -> bool:
        """Whether it names `{fold}`, so that the script divides its data into fresh folds."""
        return FOLD in self.required | self.optional

    def words(self, values: Mapping[str, str]) -> list[str]:
        """Return the words of the command with these values, without parts that lack a value."""
        found: list[str] = []
        for word in self._words:
            part = self._part(word) if len(word) == 1 else None
            if part is None:
                found.append("".join(self._filled(word, values)))
            elif part.needs <= values.keys():
                found += [one.format_map(values) for one in shlex.split(part.text)]
        return found

    def scripts(self) -> list[str]:
        """Return the words that name the file of a script."""
        return [word for word in self._words if word.endswith(_SCRIPTS) and "{" not in word]

    def named(self) -> list[str]:
        """Return the words that may name a file, and the scripts named inside of a word.

        The latter are in a line for a shell, as in `[bash, -c, '...']`.
        """
        return [*self._words, *(name for word in self._words for name in scripts_in(word))]

    def modules(self) -> list[str]:
        """Return the files in which Python would look for the module that `-m` names."""
        words = [word for word in self._words if "{" not in word]
        named = [after for option, after in itertools.pairwise(words) if option == "-m"]
        paths = [name.replace(".", "/") for name in named]
        return [f"{path}{ending}" for path in paths for ending in _OF_A_MODULE]

    def check_no_shell(self) -> None:
        """Refuse a command with operators that only a shell understands.

        Raises:
            ValueError: There is a pipe, a redirection or another operator outside of quotes.
        """
        found = _OPERATOR.search(_QUOTED.sub(lambda quoted: "_" * len(quoted[0]), self.text))
        if found is None:
            return
        line = f"set -o pipefail; {self.text}" if found[0] == "|" else self.text
        quoted = line.replace("'", "''")
        raise ValueError(
            f"command: {found[0]!r} is for a shell, and none is involved. Write "
            f"command: [bash, -c, '{quoted}'] to have one, or put it in quotes if it is an "
            "argument. All that a script prints is kept anyway: no `tee` and no `>` is needed"
        )

    def _without_parts(self, text: str) -> str:
        """Replace each optional part of a command by one character, and keep the parts."""
        found, place = [], 0
        while (begin := text.find("{", place)) >= 0:
            found.append(text[place:begin])
            if not text.startswith("{?", begin):
                place = begin + (2 if text.startswith("{{", begin) else 1)
                found.append(text[begin:place])
                continue
            place = _end(text, begin)
            found.append(chr(_FIRST + len(self._parts)))
            self._parts.append(_part(text[begin:place]))
        return "".join([*found, text[place:]])

    def _part(self, character: str) -> _Part | None:
        number = ord(character) - _FIRST
        return self._parts[number] if 0 <= number < len(self._parts) else None

    def _filled(self, word: str, values: Mapping[str, str]) -> Iterator[str]:
        """Yield the pieces of a word with these values; a part inside a word stays in it."""
        for piece in re.split(r"([\ue000-\uf8ff])", word):
            part = self._part(piece) if len(piece) == 1 else None
            if part is None:
                yield piece.format_map(values)
            elif part.needs <= values.keys():
                yield part.text.format_map(values)


def scripts_in(text: str) -> list[str]:
    """Return the words in the text of a shell script that name the file of a script."""
    return [word for word in _BETWEEN_WORDS.split(text) if word.endswith(_SCRIPTS)]


def _end(text: str, begin: int) -> int:
    """Return the position after the brace that closes the one at `begin`."""
    depth = 0
    for place in range(begin, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return place + 1
    raise ValueError(f"command: {text[begin:]} is not closed; write {{?name --option {{name}}}}")


def _part(text: str) -> _Part:
    found = _PART.fullmatch(text)
    if found is None or "{?" in found[2]:
        raise ValueError(f"command: {text} is no optional part; write {{?name --option {{name}}}}")
    return _Part(found[2], frozenset({found[1], *_placeholders(found[2])}))


def _placeholders(word: str) -> Iterator[str]:
    for _, name, form, conversion in string.Formatter().parse(word):
        if name is not None and (not name.isidentifier() or form or conversion):
            raise ValueError(
                f"command: {{{name}{':' + form if form else ''}}} is no placeholder; write "
                "{parameter}, or {{ and }} for braces of its own"
            )
        if name is not None:
            yield name
