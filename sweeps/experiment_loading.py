"""From an import path in a space to an experiment object; its mistakes become one message."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.naming import did_you_mean

_MEMBERS = ("name", "parameters", "metrics", "measures", "check", "prepare", "measure", "plan")
_CALLED_IN_A_TRIAL = ("warm_up", "train", "draw", "load_model")

P = ParamSpec("P")
T = TypeVar("T")


def load_experiment(path: str, directory: Path | None) -> Experiment:
    """Import an experiment.

    Args:
        path: `package.module:object`.
        directory: Folder of the space file; looked up first, so that a space and its experiment
            can lie side by side anywhere.

    Raises:
        UsageError: The path is malformed, cannot be imported, or names no experiment.
    """
    module_name, colon, attribute = path.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"experiment {path!r}: write it as package.module:object")
    if directory is not None and str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
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


def asking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call an experiment's function before any trial; what it refuses is the user's mistake.

    Raises:
        UsageError: It raised ValueError or OSError, with the same message.
    """
    try:
        return function(*args, **kwargs)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
