"""Makes a space for an estimator from what scikit-learn's searches, or Optuna, take."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from search_spaces.errors import SpaceError
from search_spaces.loading import parse, read_text
from search_spaces.reading import declared_space
from search_spaces.space import Space
from sweeps.errors import UsageError
from sweeps.estimators.experiment import is_plain

FORMS: Final = (
    "a list of values, scipy.stats.loguniform, uniform or randint, a distribution of Optuna, or "
    "the path of a YAML file with `parameters`"
)
Values = dict[str, dict[str, Any]]


def space_of(
    given: Mapping[str, Any] | str | os.PathLike[str],
    experiment: str,
    metric: str,
    name: str,
    trials: int,
) -> tuple[Space, Values]:
    """Return the space, and the objects that its texts stand for, by parameter.

    Args:
        given: What may vary, by the names of `get_params`, or a file.
        experiment: Import path of the experiment.
        metric: The score; more is better.
        name: Name of the space.
        trials: The number of trials.

    Raises:
        UsageError: A parameter varies in a way that is not known; the message names it.
    """
    document: dict[str, Any] = {
        "experiment": experiment,
        "objective": {"metric": metric, "direction": "maximize"},
        "defaults": {"trials": trials},
    }
    values: Values = {}
    lines: Mapping[Any, int] = {}
    source = f"space of {name}"
    if isinstance(given, str | os.PathLike):
        try:
            read, source = parse(read_text(Path(given), str(given)), str(given)), str(given)
        except SpaceError as error:
            raise UsageError(str(error)) from None
        own, lines = read.values, read.lines
        defaults = {**(own.get("defaults") or {}), "trials": trials}
        document = {**own, **document, "defaults": defaults}
    elif isinstance(given, Mapping) and given:
        found = {key: _parameter(key, value, values) for key, value in given.items()}
        document["parameters"] = {k: one for k, one in found.items() if "type" in one}
        document["fixed"] = {k: one["value"] for k, one in found.items() if "value" in one}
        if not document["parameters"]:
            raise UsageError(f"space {given!r}: nothing varies; give more than one value of one")
    else:
        raise UsageError(
            f"space {given!r}: give a dict of what may vary by name ({FORMS}); parameters that "
            "depend on others stand in a YAML file"
        )
    try:
        space = declared_space(document, lines, name=name, source=source, directory=Path.cwd())
    except SpaceError as error:
        raise UsageError(str(error)) from None
    return space, values


def _parameter(name: str, given: Any, values: Values) -> dict[str, Any]:
    kind = getattr(getattr(given, "dist", None), "name", None)
    if kind in ("loguniform", "reciprocal", "uniform", "randint"):
        low, high = given.support()
        if kind == "randint":
            return {"type": "int", "low": int(low), "high": int(high)}
        return {"type": "float", "low": float(low), "high": float(high), "log": kind != "uniform"}
    if hasattr(given, "low") and hasattr(given, "log"):  # of Optuna
        is_whole = type(given).__name__.startswith("Int")
        step = {"step": given.step} if given.step not in (None, 1) else {}
        log = {"log": True} if given.log else {}
        found = {"type": "int" if is_whole else "float", "low": given.low, "high": given.high}
        return {**found, **step, **log}
    choices = getattr(given, "choices", given)
    is_list = isinstance(choices, Iterable) and not isinstance(choices, str | bytes | Mapping)
    if not is_list:
        said = f"scipy.stats.{kind}" if kind else repr(given)
        raise UsageError(f"space: {name}: received {said}; give {FORMS}")
    listed = [one.item() if hasattr(one, "item") and not _shape(one) else one for one in choices]
    texts = [one if is_plain(one) else repr(one) for one in listed]
    objects = {str(text): one for text, one in zip(texts, listed, strict=True) if text is not one}
    if objects:
        values[name] = objects
    if len({str(text) for text in texts}) != len(texts):
        raise UsageError(f"space: {name}: two of its values look alike: {texts}; give each once")
    if len(texts) == 1:
        return {"value": texts[0]}
    return {"type": "categorical", "choices": texts}


def _shape(value: Any) -> Any:
    return getattr(value, "shape", ())
