"""Reads a space file into plain values, and notes the line on which each of them stands.

Only PyYAML's composer is used, never a constructor: no tag can create an object. Aliases are
refused (a few lines of them can stand for gigabytes), and so are duplicate keys, tags, files that
are too large and nestings that are too deep.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from search_spaces.errors import Path, SpaceError
from search_spaces.parameters import Value
from search_spaces.values.scalars import parse_scalar

MAX_BYTES = 1_000_000
MAX_DEPTH = 12


@dataclass(frozen=True)
class Document:
    """A parsed file: its top-level mapping and the line (from 1) of every place in it."""

    values: dict[str, Any]
    lines: dict[Path, int] = field(repr=False)


def read_text(path: FilePath, shown: str) -> str:
    """Return the text of a space file, or raise a SpaceError that says why it cannot be read."""
    try:
        if path.is_dir():
            raise SpaceError(f"{shown}: is a folder; name a .yaml file in it")
        if path.stat().st_size > MAX_BYTES:
            raise SpaceError(f"{shown}: is {path.stat().st_size} bytes; at most {MAX_BYTES}")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SpaceError(f"{shown}: no such file") from None
    except OSError as error:
        raise SpaceError(f"{shown}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SpaceError(
            f"{shown}: is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None


def parse(text: str, shown: str) -> Document:
    """Parse a space file.

    Args:
        text: The whole file.
        shown: Name of the file in messages.

    Raises:
        SpaceError: The text is no space file; the message begins with `file:line: `.
    """
    try:
        root = _Composer(text).get_single_node()
        if root is None:
            raise SpaceError(f"{shown}: is empty; it needs experiment, objective and parameters")
        if not isinstance(root, yaml.MappingNode):
            kind = "a list" if isinstance(root, yaml.SequenceNode) else "one value"
            raise SpaceError(f"{shown}:1: holds {kind}; a space is a mapping (`key: value` lines)")
        lines: dict[Path, int] = {}
        return Document(_mapping(root, (), lines), lines)
    except _Refused as error:
        raise SpaceError(f"{shown}:{error.line}: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{shown}:{mark.line + 1}" if mark else shown
        raise SpaceError(f"{where}: is not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise SpaceError(f"{shown}: is not valid YAML: {str(error).splitlines()[0]}") from None


class _Refused(Exception):  # noqa: N818  not an error of its own, the carrier of a line number
    def __init__(self, mark: Any, text: str) -> None:
        super().__init__(text)
        self.line = mark.line + 1 if mark else 1


class _Composer(yaml.BaseLoader):
    """PyYAML's composer, which here refuses aliases, tags and deep nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(event.start_mark, f"alias *{event.anchor}; write the value out instead")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _Refused(event.start_mark, f"tag {tag!r}; tags are not allowed in a space")
        if self._depth >= MAX_DEPTH:
            raise _Refused(event.start_mark, f"nested deeper than {MAX_DEPTH} levels")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str) or key == "<<":
            shown = (
                getattr(key_node, "value", "?") if isinstance(key_node, yaml.ScalarNode) else "?"
            )
            raise _Refused(key_node.start_mark, f"key {shown!r} is not text; put it in quotes")
        if key in values:
            first = lines[(*path, key)]
            raise _Refused(key_node.start_mark, f"duplicate key {key!r}, first on line {first}")
        lines[(*path, key)] = key_node.start_mark.line + 1
        values[key] = _value(value_node, (*path, key), lines)
    return values


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            items.append(_value(item, (*path, index), lines))
        return items
    return _scalar(node)


def _scalar(node: Any) -> Value:
    if node.style is not None:  # quoted or block text is text, whatever it looks like
        return str(node.value)
    try:
        return parse_scalar(node.value)
    except SpaceError as error:
        raise _Refused(node.start_mark, str(error)) from None
