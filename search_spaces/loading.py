"""Loads a space from a name, a file or a function; the entry point of this package."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from search_spaces.bodies.importing import folder_of, import_object, path_of
from search_spaces.errors import SpaceError, did_you_mean, listing, show
from search_spaces.reading.yaml_reader import parse, read_text
from search_spaces.space import Space

CATALOGUE = Path(__file__).parent / "catalogue"
_ENDINGS = (".yaml", ".yml")
_STORED = ".json"
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

SpaceSource: TypeAlias = "str | os.PathLike[str] | Callable[..., Any] | Space"
"""Everything that `load_space` can load a space from."""


def load_space(source: SpaceSource, *, search_path: Sequence[Path] = ()) -> Space:
    """Load a search space.

    Args:
        source: A name of the catalogue, the path of a `.yaml` or `.yml` file, that of a `.json`
            file a sweep left on its run in MLflow (`Space.to_dict`), a function decorated with
            `python_space.space` or its `module:function`, or a `Space`, which is returned.
        search_path: Folders in which a relative path, `NAME.yaml` or a module is looked up if the
            current folder (path, module) or the catalogue (name) lacks it.

    Raises:
        SpaceError: It does not exist, or is wrong: one line per mistake, with `file:line: `.
    """
    if isinstance(source, Space):
        return source
    if isinstance(source, os.PathLike):
        return _load_file(os.fspath(source), search_path)
    if not isinstance(source, str):
        return _of_function(source)
    if source.endswith((*_ENDINGS, _STORED)) or "/" in source or "\\" in source:
        return _load_file(source, search_path)
    if ":" in source:
        return _load_function(source, search_path)
    for folder in (CATALOGUE, *search_path):
        path = folder / f"{source}.yaml"
        if re.fullmatch(r"[\w-]+", source) and _exists(path):
            return _read(path, path.name, None if folder == CATALOGUE else folder)
    raise SpaceError(_unknown(source))


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
    from search_spaces.reading.building import (
        declared_space,  # builds pydantic models: only when needed
    )

    document = parse(read_text(path, shown), shown)
    return declared_space(
        document.values, document.lines, name=_name(path), source=shown, directory=directory
    )


def _name(path: Path) -> str:
    """Return the file's name; for a `space.yaml`, as `sweeps init` writes it, its folder's name."""
    folder = path.resolve().parent.name
    return folder if path.stem == "space" and re.fullmatch(r"[\w-]+", folder) else path.stem


def _read_stored(path: Path, shown: str) -> Space:
    try:
        stored = json.loads(read_text(path, shown))
    except (ValueError, RecursionError) as error:
        raise SpaceError(f"{shown}: not JSON ({error})") from None
    if not isinstance(stored, dict) or "body" not in stored:
        raise SpaceError(f"{shown}: not a space that a sweep has stored; write your own as .yaml")
    return Space.from_dict(stored, directory=path.resolve().parent)


def _load_function(source: str, search_path: Sequence[Path]) -> Space:
    if not _FUNCTION.fullmatch(source):
        raise SpaceError(f"{source}: a Python space is written module:function")
    function = import_object(source, search_path)
    if not callable(function):
        raise SpaceError(f"{source}: is {type(function).__name__}, not a function of a trial")
    return _python_space(source, function)


def _of_function(function: object) -> Space:
    if not (callable(function) and hasattr(function, "__qualname__")):
        raise SpaceError(
            f"space {show(function)}: received {type(function).__name__}; give a name of the "
            "catalogue, the path of a .yaml file, module:function, a function or a Space"
        )
    return _python_space(path_of(function), function)


def _python_space(path: str, function: Callable[..., Any]) -> Space:
    from search_spaces.python_space import HEADER, HELP, PythonBody
    from search_spaces.reading.building import python_space

    header = getattr(function, HEADER, None)
    if header is None:
        name = getattr(function, "__name__", "NAME")
        raise SpaceError(f"{path}: the function says no objective; {HELP.replace('NAME', name)}")
    return python_space(header, PythonBody(path, function), folder_of(path.partition(":")[0]))


def _unknown(source: str) -> str:
    names = [path.stem for path in sorted(CATALOGUE.glob("*.yaml"))]
    files = [f"{source}{ending}" for ending in _ENDINGS if _exists(Path(f"{source}{ending}"))]
    file_hint = f"; did you mean the file {files[0]}?" if files else ""
    return (
        f"unknown space {source!r}{file_hint or did_you_mean(source, names)}\n"
        f"  the catalogue has: {listing(names)}\n"
        "  or give the path of a .yaml file, or module:function"
    )
