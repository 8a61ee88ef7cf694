"""`@space(...)`: what a Python space says of itself, besides its function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from search_spaces.parameters import Value

HEADER = "__search_space__"
"""Attribute of a decorated function that holds its header."""

HELP = """decorate the function:

    from search_spaces.python_space import space

    @space(
        experiment="package.module:experiment",
        objective={"metric": "best_val_accuracy", "direction": "maximize"},
    )
    def NAME(trial):
        return {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)}"""

_F = TypeVar("_F", bound=Callable[..., Mapping[str, Value]])


def space(
    *,
    experiment: str,
    objective: Mapping[str, str] | Sequence[Mapping[str, str]],
    defaults: Mapping[str, Any] | None = None,
    baselines: Mapping[str, Mapping[str, Value]] | None = None,
    constraints: Sequence[str] = (),
    fixed: Mapping[str, Value] | None = None,
) -> Callable[[_F], _F]:
    """Turn a function from a trial to a configuration into a search space.

    The arguments are the keys of a YAML space, and are checked when the space is loaded; the first
    line of the docstring is the description.

    Args:
        experiment: Import path of the experiment, `package.module:object`.
        objective: `{"metric": ..., "direction": "maximize" or "minimize"}`, or a list of them.
        defaults: trials, sampler, pruner, ask_ahead, finalize.
        baselines: Points to try first, by name: values of the parameters the function samples.
        constraints: Such as `"parameters <= 20000"`.
        fixed: Values that every configuration gets, unless the function returns the name itself.
    """
    header = {
        "experiment": experiment,
        "objective": dict(objective) if isinstance(objective, Mapping) else list(objective),
        "defaults": dict(defaults or {}),
        "baselines": {name: dict(params) for name, params in (baselines or {}).items()},
        "constraints": list(constraints),
        "fixed": dict(fixed or {}),
    }

    def decorate(function: _F) -> _F:
        description = (function.__doc__ or "").strip().partition("\n")[0]
        setattr(function, HEADER, {"description": description, **header})
        return function

    return decorate
