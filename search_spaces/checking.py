"""Checks a space against its experiment: names, types, limits, metric, constraints."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from search_spaces.bodies import Declared
from search_spaces.errors import Path, Problems, did_you_mean, listing
from search_spaces.parameters import ParameterInfo, Value, find_parameter
from search_spaces.values import Categorical, Fixed, domain_problem, value_problem

if TYPE_CHECKING:
    from search_spaces.space import Space

Known = Mapping[str, ParameterInfo]


def check(
    space: Space, parameters: Known, metrics: Mapping[str, str], measures: Collection[str]
) -> None:
    """Check a space against its experiment; see `Space.check`."""
    problems = space.problems()
    _check_objective(space, metrics, problems)
    for name, value in space.fixed.items():
        _check_value(("fixed", name), name, value, parameters, problems)
    if isinstance(space.body, Declared):
        _check_declared(space.body, space.fixed, parameters, problems)
    _check_constraints(space, parameters, measures, problems)
    problems.raise_if_any()
    _check_samples(space, parameters, problems)
    problems.raise_if_any()


def unknown_parameter(name: str, known: Known) -> str:
    """Say that the experiment has no such parameter, and which it has."""
    number = re.fullmatch(r"(.+)_([1-9][0-9]*)", name)
    asked = f"{number[1]}_{{i}}" if number else name
    return (
        f"the experiment has no parameter {name!r}; "
        f"it has: {listing(known)}{did_you_mean(asked, known)}"
    )


def _check_objective(space: Space, metrics: Mapping[str, str], problems: Problems) -> None:
    for number, objective in enumerate(space.objectives):
        metric, direction = objective.metric, objective.direction
        place: Path = ("objective", number) if len(space.objectives) > 1 else ("objective",)
        if metric not in metrics:
            hint = did_you_mean(metric, metrics)
            text = f"the experiment has no metric {metric!r}; it has: {listing(metrics)}{hint}"
            problems.add((*place, "metric"), text)
        elif metrics[metric] != direction:
            text = f"received {direction!r}; {metric} is better the other way: {metrics[metric]}"
            problems.add((*place, "direction"), text)


def _check_value(path: Path, name: str, value: Value, known: Known, problems: Problems) -> None:
    info = find_parameter(name, known)
    problem = unknown_parameter(name, known) if info is None else value_problem(info, value)
    if problem:
        problems.add(path, problem)


def _check_declared(
    body: Declared, fixed: Mapping[str, Value], known: Known, problems: Problems
) -> None:
    for parameter, name, domain in body.named(fixed):
        path: Path = ("parameters", parameter.name)
        if isinstance(domain, Categorical) and domain.bundles is not None:
            for label, values in domain.bundles.items():
                for key, value in values.items():
                    place = (*path, "choices", label, key)
                    _check_value(place, key, value, known, problems)
            continue
        if isinstance(domain, Fixed) and domain.bundle is not None:
            continue  # was checked as part of the file; the override only chose it
        info = find_parameter(name, known)
        if info is None:
            problems.add(path, unknown_parameter(name, known))
            continue
        found = domain_problem(info, domain)
        if found:
            problems.add((*path, found[0]), found[1])


def _check_constraints(
    space: Space, known: Known, measures: Collection[str], problems: Problems
) -> None:
    sampled: set[str] = set()
    if isinstance(space.body, Declared):
        sampled = {name for _, name, _ in space.body.named(space.fixed)}
    for index, constraint in enumerate(space.constraints):
        for name in constraint.names:
            if name in measures or name in sampled or find_parameter(name, known):
                continue
            names = [*measures, *known]
            text = (
                f"{name!r} is neither a measure nor a parameter; measures: {listing(measures)}"
                f"{did_you_mean(name, names)}"
            )
            problems.add(("constraints", index), text)


def _check_samples(space: Space, known: Known, problems: Problems) -> None:
    """Check whole configurations: required parameters, and whatever a Python function returns."""
    for walk in space.samples():
        if not isinstance(space.body, Declared):
            for name, value in walk.config.items():
                _check_value((name,), name, value, known, problems)
        for name, info in known.items():
            if info.required and not _sets(walk.config, name):
                text = f"the experiment requires {name!r}; vary it or fix it"
                problems.add(("parameters",), text)


def _sets(config: Mapping[str, Value], name: str) -> bool:
    if "{i}" not in name:
        return name in config
    return name.replace("{i}", "1") in config
