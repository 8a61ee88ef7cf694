"""From an import path in a space to an experiment object; its mistakes become one message."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from search_spaces.objectives import Objective
from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.naming import did_you_mean
from sweeps.script_experiment import ScriptExperiment

_MEMBERS = ("name", "parameters", "metrics", "measures", "check", "prepare", "measure", "plan")
_CALLED_IN_A_TRIAL = ("warm_up", "train", "draw", "load_model")

P = ParamSpec("P")
T = TypeVar("T")


def load_experiment(path: str, directory: Path | None) -> Experiment:
    """Import an experiment.

    Args:
        path: `package.module:object`, or `script:metric:direction:command`.
        directory: Folder of the space file; looked up first, so that a space and its experiment
            can lie side by side anywhere.

    Raises:
        UsageError: The path is malformed, cannot be imported, or names no experiment.
    """
    if path.startswith("script:"):
        return _script(path, directory)
    module_name, colon, attribute = path.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"experiment {path!r}: write it as package.module:object")
    if directory is not None:
        _look_first_in(directory, module_name.partition(".")[0])
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        where = f" (looked in {directory} first)" if directory else ""
        raise UsageError(f"experiment {path!r} cannot be imported{where}: {error}") from None
    except Exception as error:
        raise UsageError(
            f"experiment {path!r}: importing it failed: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, attribute):
        hint = did_you_mean(attribute, vars(module))
        raise UsageError(f"experiment {path!r}: {module_name} has no {attribute!r}{hint}")
    found = getattr(module, attribute)
    missing = [m for m in (*_MEMBERS, *_CALLED_IN_A_TRIAL) if not hasattr(found, m)]
    if missing:
        raise UsageError(
            f"experiment {path!r} lacks {', '.join(missing)}; see sweeps/experiment.py for what an "
            "experiment has"
        )
    return cast(Experiment, found)


def _look_first_in(directory: Path, module: str) -> None:
    """Have a module found beside the space, also if another space's has the same name."""
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    places = (directory / f"{module}.py", directory / module / "__init__.py")
    own = next((place for place in places if place.exists()), None)
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if own is not None and loaded is not None and Path(loaded).resolve() != own.resolve():
        for name in [n for n in sys.modules if n == module or n.startswith(f"{module}.")]:
            del sys.modules[name]
        sys.path.remove(str(directory))
        sys.path.insert(0, str(directory))
        importlib.invalidate_caches()


def _script(path: str, directory: Path | None) -> Experiment:
    _, metrics, directions, command = path.split(":", 3)
    named = zip(metrics.split(","), directions.split(","), strict=True)
    objectives = [Objective(metric, cast(Any, direction)) for metric, direction in named]
    try:
        return ScriptExperiment(command, objectives, directory)
    except ValueError as error:
        raise UsageError(str(error)) from None


def asking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call an experiment's function before any trial; what it refuses is the user's mistake.

    Raises:
        UsageError: It raised ValueError or OSError, with the same message.
    """
    try:
        return function(*args, **kwargs)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
