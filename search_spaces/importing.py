"""Imports an object by its path `module:object`, and returns the path of a function.

A script that is running is `__main__` to itself. Here it has the name by which other processes
import it, so that they find what it defines; a notebook has no such name.
"""

from __future__ import annotations

import importlib
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from search_spaces.errors import SpaceError, did_you_mean

MAIN: Final = "__main__"

_under_way: list[str] = []
"""Modules that are being imported for a space or an experiment, the innermost last."""


def import_module(name: str) -> ModuleType:
    """Import a module; meanwhile `being_imported` returns its name."""
    _under_way.append(name)
    try:
        return importlib.import_module(name)
    finally:
        _under_way.pop()


def being_imported() -> str | None:
    """Return the module of a space or an experiment that is being imported now, if one is."""
    return _under_way[-1] if _under_way else None


def import_object(path: str, folders: Iterable[Path] = ()) -> Any:
    """Import an object by its path.

    Args:
        path: `package.module:object`.
        folders: Where modules are looked up, after the installed ones, before the current
            folder. They stay on `sys.path`: what is imported may import its neighbours later.

    Raises:
        SpaceError: No such module or object, or the module fails to import.
    """
    module_name, _, attribute = path.partition(":")
    if "<locals>" in attribute:
        raise SpaceError(
            f"{path}: is defined inside another function, where nobody else finds it; define it at "
            "the top level of its file"
        )
    for folder in (*folders, Path.cwd()):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    importlib.invalidate_caches()
    try:
        module = _running_script(module_name)
        if module is None or not hasattr(module, attribute):
            module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise SpaceError(
                f"{path}: no module {error.name!r}, neither installed nor in the current folder"
            ) from None
        raise SpaceError(f"{path}: importing it failed: {error}") from error
    except Exception as error:
        raise SpaceError(f"{path}: importing it failed: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute) and module_name == MAIN:
        raise SpaceError(
            f"{path}: exists only in the notebook or program that defines it; go on there, or put "
            f"{attribute} into a .py file"
        )
    if not hasattr(module, attribute):
        names = [name for name, item in vars(module).items() if callable(item)]
        raise SpaceError(
            f"{path}: {module_name} has no {attribute!r}{did_you_mean(attribute, names)}"
        )
    return getattr(module, attribute)


def path_of(function: Callable[..., Any]) -> str:
    """Return the import path of a function, `module:function`, as other processes write it."""
    module_name = function.__module__
    if module_name == MAIN:
        module_name = script_name() or MAIN
    return f"{module_name}:{function.__qualname__}"


def script_name() -> str | None:
    """Return the name by which the script that is running can be imported; None if it has none."""
    main = sys.modules[MAIN]
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m package.module
        return str(spec.name)
    file = Path(getattr(main, "__file__", None) or "")
    return file.stem if file.suffix == ".py" and file.stem.isidentifier() else None


def _running_script(module_name: str) -> ModuleType | None:
    """Return the script that is running if it is the module; importing it would run it again."""
    is_running = module_name == script_name() and module_name not in sys.modules
    return sys.modules[MAIN] if is_running else None


def folder_of(module_name: str) -> Path | None:
    """Return the folder from which an imported module can be imported again.

    Returns:
        None for an installed module, which is found from everywhere. For a notebook, the current
        folder.
    """
    module = _running_script(module_name) or sys.modules.get(module_name)
    file = getattr(module, "__file__", None)
    if file is None:
        return Path.cwd()
    package = getattr(module, "__package__", None) or ""
    levels = len(package.split(".")) if package else 0
    folder = Path(file).resolve().parents[levels]
    installed = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")}
    return None if any(folder.is_relative_to(Path(p).resolve()) for p in installed) else folder
