"""Loads a space from a name, a file or a function; the entry point of this package."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, get_args

import yaml

from search_spaces.bodies import Open
from search_spaces.errors import HALF, HALF_CHARACTER, SpaceError, did_you_mean, listing, show
from search_spaces.errors import Path as KeyPath
from search_spaces.objectives import MOST, Direction, ObjectiveFunction, in_words
from search_spaces.parameters import Value
from search_spaces.python_space import folder_of, import_object, path_of, scored_by, takes_fold
from search_spaces.space import Component, Defaults, Space
from search_spaces.values import parse_scalar

MAX_BYTES = 1_000_000
MAX_DEPTH = 12


@dataclass(frozen=True)
class Document:
    """A parsed file: its top-level mapping and the line (from 1) of every place in it."""

    values: dict[str, Any]
    lines: dict[KeyPath, int] = field(repr=False)


def read_text(path: Path, shown: str) -> str:
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
        lines: dict[KeyPath, int] = {}
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
    """PyYAML's composer, which here refuses aliases, tags and deep nesting.

    No constructor is used, so that no tag can create an object. A few lines of aliases can stand
    for gigabytes.
    """

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
        if isinstance(event, yaml.ScalarEvent) and HALF_CHARACTER.search(event.value):
            raise _Refused(event.start_mark, f"{show(event.value)}, {HALF}")
        if self._depth >= MAX_DEPTH:
            raise _Refused(event.start_mark, f"nested deeper than {MAX_DEPTH} levels")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _mapping(node: yaml.MappingNode, path: KeyPath, lines: dict[KeyPath, int]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str) or key == "<<":
            shown = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            raise _Refused(key_node.start_mark, f"key {shown!r} is not text; put it in quotes")
        if key in values:
            first = lines[(*path, key)]
            raise _Refused(key_node.start_mark, f"duplicate key {key!r}, first on line {first}")
        lines[(*path, key)] = key_node.start_mark.line + 1
        values[key] = _value(value_node, (*path, key), lines)
    return values


def _value(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Any:
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


CATALOGUE = Path(__file__).parent / "catalogue"
_ENDINGS = (".yaml", ".yml")
_STORED = ".json"
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_IN_FILE = re.compile(r"(.*\.py):([A-Za-z_]\w*)")

SpaceSource: TypeAlias = "str | os.PathLike[str] | Callable[..., Any] | Space"
"""Everything that `load_space` can load a space from."""


def load_space(
    source: SpaceSource,
    *,
    search_path: Sequence[Path] = (),
    directions: Sequence[Direction] | None = None,
) -> Space:
    """Load a search space.

    Args:
        source: A name of the catalogue, the path of a `.yaml` or `.yml` file, that of a `.json`
            file a sweep left on its run in MLflow (`Space.to_dict`), a function decorated with
            `python_space.space` or its `module:function`, or a `Space`, which is returned. A
            function that is not decorated, `module:function` or `file.py:function`, is taken for
            an objective function of Optuna.
        directions: Which way is better, of each value that an objective function returns; None:
            as of Optuna's studies, one value that is minimised. Any other space says it itself.
        search_path: Folders in which a relative path, `NAME.yaml` or a module is looked up if the
            current folder (path, module) or the catalogue (name) lacks it.

    Raises:
        SpaceError: It does not exist, or is wrong: one line per mistake, with `file:line: `.
    """
    space = _loaded(source, search_path, directions)
    if directions is not None and not space.is_open:
        raise SpaceError(
            f"direction {','.join(directions)}: is that of an objective function; "
            f"{space.name!r} says itself what it optimises: {in_words(space.objectives)}"
        )
    return space


def _loaded(
    source: SpaceSource, search_path: Sequence[Path], directions: Sequence[Direction] | None
) -> Space:
    if isinstance(source, Space):
        return source
    if not isinstance(source, str | os.PathLike):
        return _of_function(source, directions)
    return _found(source, search_path, directions)


def _found(
    source: str | os.PathLike[str],
    search_path: Sequence[Path],
    directions: Sequence[Direction] | None,
) -> Space:
    if isinstance(source, os.PathLike):
        return _load_file(os.fspath(source), search_path)
    if in_file := _IN_FILE.fullmatch(source):
        return _load_in_file(Path(in_file[1]), in_file[2], search_path, directions)
    if source.endswith((*_ENDINGS, _STORED)) or "/" in source or "\\" in source:
        return _load_file(source, search_path)
    if ":" in source:
        return _load_function(source, search_path, directions)
    for folder in (CATALOGUE, *search_path):
        path = folder / f"{source}.yaml"
        if re.fullmatch(r"[\w-]+", source) and _exists(path):
            return _read(path, path.name, None if folder == CATALOGUE else folder)
    names = [path.stem for path in sorted(CATALOGUE.glob("*.yaml"))]
    files = [f"{source}{ending}" for ending in _ENDINGS if _exists(Path(f"{source}{ending}"))]
    file_hint = f"; did you mean the file {files[0]}?" if files else ""
    raise SpaceError(
        f"unknown space {source!r}{file_hint or did_you_mean(source, names)}\n"
        f"  the catalogue has: {listing(names)}\n"
        "  or give the path of a .yaml file, or module:function"
    )


def catalogue() -> dict[str, str]:
    """Return the description of every space that ships with the project, by name."""
    found = {}
    for path in sorted(CATALOGUE.glob("*.yaml")):
        values = parse(read_text(path, path.name), path.name).values
        found[path.stem] = str(values.get("description", ""))
    return found


def _load_file(source: str, search_path: Sequence[Path]) -> Space:
    candidates = [Path(source), *(folder / source for folder in search_path)]
    path = next((candidate for candidate in candidates if _exists(candidate)), None)
    if path is None:
        folder = Path(source).parent if _exists(Path(source).parent) else Path()
        names = [item.name for item in folder.glob("*") if item.name.endswith(_ENDINGS)]
        raise SpaceError(f"{source}: no such file{did_you_mean(Path(source).name, names)}")
    if path.name.endswith(_STORED) and path.is_file():
        return _read_stored(path, source)
    if path.is_file() and not path.name.endswith(_ENDINGS):
        raise SpaceError(f"{source}: a space file ends in .yaml or .yml")
    return _read(path, source, path.resolve().parent)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for the file system
        return False


def _read(path: Path, shown: str, directory: Path | None) -> Space:
    from search_spaces.reading import declared_space  # builds pydantic models: only when needed

    document = parse(read_text(path, shown), shown)
    name, folder = path.stem, path.resolve().parent.name
    if name == "space" and re.fullmatch(r"[\w-]+", folder):  # as `sweeps init` writes it
        name = folder
    return declared_space(
        document.values, document.lines, name=name, source=shown, directory=directory
    )


def _read_stored(path: Path, shown: str) -> Space:
    try:
        stored = json.loads(read_text(path, shown))
    except (ValueError, RecursionError) as error:
        raise SpaceError(f"{shown}: not JSON ({error})") from None
    if not isinstance(stored, dict) or "body" not in stored:
        raise SpaceError(f"{shown}: not a space that a sweep has stored; write your own as .yaml")
    return Space.from_dict(stored, directory=path.resolve().parent)


def _load_in_file(
    file: Path, name: str, search_path: Sequence[Path], directions: Sequence[Direction] | None
) -> Space:
    found = next((p for p in (file, *(f / file for f in search_path)) if _exists(p)), None)
    if found is None:
        raise SpaceError(f"{file}:{name}: there is no file {str(file)!r}")
    if not found.stem.isidentifier():
        raise SpaceError(f"{file}:{name}: {found.stem!r} is no name of a module; rename the file")
    folder, module = found.resolve().parent, sys.modules.get(found.stem)
    sys.path[:] = [str(folder), *(one for one in sys.path if one != str(folder))]
    if module is not None and getattr(module, "__file__", None) != str(found.resolve()):
        del sys.modules[found.stem]  # another one of that name, of the library or of a folder
    return _load_function(f"{found.stem}:{name}", [folder], directions)


def _load_function(
    source: str, search_path: Sequence[Path], directions: Sequence[Direction] | None
) -> Space:
    if not _FUNCTION.fullmatch(source):
        raise SpaceError(f"{source}: a Python space is written module:function")
    function = import_object(source, search_path)
    if not callable(function):
        raise SpaceError(f"{source}: is {type(function).__name__}, not a function of a trial")
    return _python_space(source, function, directions)


def _of_function(function: object, directions: Sequence[Direction] | None) -> Space:
    if not callable(function):
        raise SpaceError(
            f"space {show(function)}: received {type(function).__name__}; give a name of the "
            "catalogue, the path of a .yaml file, module:function, a function or a Space"
        )
    return _python_space(path_of(function), function, directions)


def _python_space(
    path: str, function: Callable[..., Any], directions: Sequence[Direction] | None
) -> Space:
    from search_spaces.python_space import HEADER, PythonBody
    from search_spaces.reading import python_space

    header = getattr(function, HEADER, None)
    if header is None:
        return _of_objective(path, function, directions or ("minimize",))
    return python_space(header, PythonBody(path, function), folder_of(path.partition(":")[0]))


def _of_objective(
    path: str, function: Callable[..., Any], directions: Sequence[Direction]
) -> Space:
    """Return the space of an objective function, with the defaults of Optuna's studies."""
    wrong = [way for way in directions if way not in get_args(Direction)]
    if wrong or not 1 <= len(directions) <= MOST:
        received = ",".join(map(str, directions))
        raise SpaceError(
            f"direction {received!r}: give minimize or maximize, for each of 1 to {MOST} values "
            "that the function returns, such as minimize,maximize"
        )
    takes_fold(path, function)  # refuses what is no objective function
    scored_by(path, function)  # refuses one that is tuned on the test set
    pruner = Component("median" if len(directions) == 1 else "none")
    own = ObjectiveFunction(path, tuple(directions))
    name = re.sub(r"\W+", "", path.rpartition(":")[2].rpartition(".")[2]) or "objective"
    return Space(
        name="objective" if name == "lambda" else name,
        description=(inspect.getdoc(function) or "").partition("\n")[0]
        if hasattr(function, "__qualname__")
        else "",
        experiment=own.experiment,
        objectives=own.objectives,
        fixed={},
        baselines={},
        constraints=(),
        defaults=Defaults(pruner=pruner),
        body=Open(),
        source=path,
        directory=folder_of(path.partition(":")[0]),
    )
