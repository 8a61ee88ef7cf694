"""`module:object` -> the object, with messages that say which half is wrong."""

from __future__ import annotations

import importlib
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from search_spaces.errors import SpaceError, did_you_mean


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
    for folder in (*folders, Path.cwd()):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise SpaceError(
                f"{path}: no module {error.name!r}, neither installed nor in the current folder"
            ) from None
        raise SpaceError(f"{path}: importing it failed: {error}") from error
    except Exception as error:
        raise SpaceError(f"{path}: importing it failed: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        names = [name for name, item in vars(module).items() if callable(item)]
        raise SpaceError(
            f"{path}: {module_name} has no {attribute!r}{did_you_mean(attribute, names)}"
        )
    return getattr(module, attribute)


def folder_of(module_name: str) -> Path | None:
    """Return the folder from which an imported module can be imported again.

    Returns:
        None for one that is installed: it is found from everywhere. Of what a notebook defines, the
        current folder.
    """
    module = sys.modules[module_name]
    file = getattr(module, "__file__", None)
    if file is None:
        return Path.cwd()
    package = getattr(module, "__package__", None) or ""
    levels = len(package.split(".")) if package else 0
    folder = Path(file).resolve().parents[levels]
    installed = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")}
    return None if any(folder.is_relative_to(Path(p).resolve()) for p in installed) else folder
