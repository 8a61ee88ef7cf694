"""Space: all that may vary in an experiment, as one immutable value made by `load_space`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path as FilePath
from typing import Any, cast

from search_spaces.bodies import (
    MAX_REPEAT,
    Answer,
    Declared,
    Expression,
    Open,
    Replay,
    Row,
    Walk,
    parse_expression,
    probes,
)
from search_spaces.errors import Path, Problems, SpaceError, did_you_mean, listing, show
from search_spaces.objectives import Objective, objectives_from, stored_objectives
from search_spaces.parameters import ParameterInfo, Value, find_parameter
from search_spaces.python_space import PythonBody
from search_spaces.values import Categorical, Fixed, domain_problem, value_problem

Known = Mapping[str, ParameterInfo]


@dataclass(frozen=True)
class Component:
    """A sampler or pruner: a built-in name or import path, with keyword arguments."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Confirming:
    """Options for confirming a sweep whose trials have all ended: see `sweeps confirm --help`.

    Attributes:
        top: Number of best distinct configurations.
        folds: Number of fresh folds.
        metric: Metric of the comparison; None: the objective.
        margin: A difference that does not matter; None: a share of the distance from perfect.
        is_off: Whether the space says `confirm: none`; only an option then confirms the sweep.
    """

    top: int = 5
    folds: int = 20
    metric: str | None = None
    margin: float | None = None
    is_off: bool = False


@dataclass(frozen=True)
class Defaults:
    """Options of a sweep; without `confirm` it is confirmed only on demand.

    Without `ask_ahead` it is that of a new sweep when the sweep is made (`sweeps.config.sweep`).
    """

    trials: int = 20
    sampler: Component = Component("tpe")
    pruner: Component = Component("none")
    ask_ahead: int | None = None
    confirm: Confirming | None = None

    @property
    def confirms_by_itself(self) -> bool:
        """Whether the sweep is confirmed when all its trials have ended."""
        return self.confirm is not None and not self.confirm.is_off

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Defaults:
        """Rebuild the options from `dataclasses.asdict`; KeyError or TypeError for other input."""
        confirm = stored.get("confirm")  # spaces that were stored earlier have none
        return cls(
            trials=stored["trials"],
            sampler=Component(**stored["sampler"]),
            pruner=Component(**stored["pruner"]),
            ask_ahead=stored["ask_ahead"],
            confirm=None if confirm is None else Confirming(**confirm),
        )


_NOT_IN_DIGEST = ("name", "description", "defaults")


@dataclass(frozen=True)
class Space:
    """All that may vary in an experiment.

    Attributes:
        name: File name without ending, or name of the Python function.
        description: One line.
        experiment: Import path of the experiment, `package.module:object`; of a space with a
            command the recorded name of its `Script`, else that of an `ObjectiveFunction`.
        objectives: Metrics and directions; several of them give a Pareto front, not a best trial.
        fixed: Parameters with one value for the whole sweep.
        baselines: Points to try first, by name, in order; each in the order of a walk.
        constraints: Conditions that a configuration must satisfy to be trained.
        defaults: Options of a sweep.
        body: The parameters: declared in a file, or by a Python function; `Open` if an objective
            function names them while it runs.
        source: File or function that it was loaded from, for messages.
        directory: Folder of the file, or of the function's module; None for the catalogue and for
            functions that are installed.
        lines: Line of each place in the file, for messages.
    """

    name: str
    description: str
    experiment: str
    objectives: tuple[Objective, ...]
    fixed: Mapping[str, Value]
    baselines: Mapping[str, Mapping[str, Value]]
    constraints: tuple[Expression, ...]
    defaults: Defaults
    body: Declared | PythonBody | Open
    source: str = field(default="", compare=False)
    directory: FilePath | None = field(default=None, compare=False)
    lines: Mapping[Path, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def objective(self) -> Objective:
        """The first objective, or the only one."""
        return self.objectives[0]

    @property
    def is_open(self) -> bool:
        """Whether its parameters are known only while a trial runs; see `Open`."""
        return isinstance(self.body, Open)

    def walk(self, answer: Answer) -> Walk:
        """Ask for every active parameter, and return the answers and what follows from them.

        A float with a step is returned on its step exactly: 0.3, where a sampler may say
        0.30000000000000004.
        """
        return self.body.run(answer, self.fixed)

    def configuration(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Return everything the experiment receives for a point: fixed, sampled, bundles expanded.

        Raises:
            SpaceError: A parameter is outside, missing or not active; the message names it.
        """
        return self._replayed(params).config

    def canonical(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Return a point in the order and with the types of a walk: equal points look equal.

        Raises:
            SpaceError: The point is not in the space.
        """
        return self._replayed(params).params

    def size(self) -> int | None:
        """Return the number of distinct points.

        The result is None if there are infinitely many, or if a Python space has more than 10,000
        (it has to be walked to be counted).
        """
        return self.body.size(self.fixed)

    def enumerate(self) -> Iterator[dict[str, Value]]:
        """Return every point of a finite space, as nested loops would: the first varies slowest.

        Raises:
            SpaceError: A parameter is continuous.
        """
        return self.body.points(self.fixed)

    @property
    def conditional(self) -> bool:
        """Whether different points can have different parameters (TPE then wants `group=True`)."""
        return self.body.conditional

    @property
    def parameters(self) -> list[Row]:
        """One row per sampled or held parameter, for tables."""
        return self.body.rows(self.fixed)

    def samples(self, count: int = 64) -> list[Walk]:
        """Return the two corners and `count` random points, the same ones every time."""
        return list(probes(self.walk, count))

    def feasible(self, values: Mapping[str, Value]) -> list[str]:
        """Return the constraints that measures and parameters violate, as text; empty if none.

        A constraint on a parameter that is not active at this point is not violated.
        """
        violated = []
        for constraint in self.constraints:
            if not constraint.holds(values, if_absent=True):
                received = ", ".join(f"{name} is {show(values[name])}" for name in constraint.names)
                violated.append(f"{constraint} ({received})")
        return violated

    def check(
        self,
        parameters: Mapping[str, ParameterInfo],
        metrics: Mapping[str, str],
        measures: Collection[str],
    ) -> None:
        """Check the space against its experiment.

        Args:
            parameters: What the experiment understands.
            metrics: Direction of each headline metric, by name.
            measures: Numbers known before training, for constraints.

        Raises:
            SpaceError: One line per disagreement, with file, line and what is allowed.
        """
        problems = self.problems()
        _check_objective(self, metrics, problems)
        for name, value in self.fixed.items():
            _check_value(("fixed", name), name, value, parameters, problems)
        if isinstance(self.body, Declared):
            _check_declared(self.body, self.fixed, parameters, problems)
        _check_constraints(self, parameters, measures, problems)
        problems.raise_if_any()
        _check_samples(self, parameters, problems)
        problems.raise_if_any()

    def problems(self) -> Problems:
        """Return an empty collection of problems that knows this space's source and lines."""
        return Problems(self.source, self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Return everything that makes the space, JSON-compatible, after overrides."""
        return {
            "name": self.name,
            "description": self.description,
            "experiment": self.experiment,
            "objective": stored_objectives(self.objectives),
            "fixed": dict(self.fixed),
            "baselines": [
                {"name": name, "params": [[key, value] for key, value in params.items()]}
                for name, params in self.baselines.items()
            ],
            "constraints": [str(constraint) for constraint in self.constraints],
            "defaults": asdict(self.defaults),
            "body": self.body.to_dict(),
        }

    def digest(self) -> str:
        """Return the SHA-256 (hex) of what decides the points.

        The order of parameters, choices and baselines matters. Comments, the file's path, name and
        description do not; nor do defaults, which are options of a sweep and recorded with it.
        """
        essence = {key: item for key, item in self.to_dict().items() if key not in _NOT_IN_DIGEST}
        text = json.dumps(essence, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @staticmethod
    def from_dict(stored: Mapping[str, Any], *, directory: FilePath | None = None) -> Space:
        """Rebuild a space from `to_dict()`, without its file.

        A Python space imports its function again; its digest differs if the function changed.

        Args:
            stored: What `to_dict` returned, possibly through JSON.
            directory: Folder in which the experiment's and the function's modules are looked up.

        Raises:
            SpaceError: The description is not one of `to_dict`, or the function is gone.
        """
        try:
            for name in ("name", "description", "experiment"):
                if not isinstance(stored[name], str):
                    raise TypeError(f"{name} is {stored[name]!r}, not a text")  # noqa: TRY301
            body = cast("Mapping[str, Any]", stored["body"])
            space = Space(
                name=stored["name"],
                description=stored["description"],
                experiment=stored["experiment"],
                objectives=objectives_from(stored["objective"]),
                fixed=dict(stored["fixed"]),
                baselines={item["name"]: dict(item["params"]) for item in stored["baselines"]},
                constraints=tuple(parse_expression(text) for text in stored["constraints"]),
                defaults=Defaults.from_dict(stored["defaults"]),
                body=_body(body, directory),
                source="stored space",
                directory=directory,
            )
            _look_through(space)
        except SpaceError:
            raise
        except (LookupError, TypeError, AttributeError, StopIteration, ValueError) as error:
            raise SpaceError(f"stored space: cannot be read ({error!r})") from error
        return space

    def _replayed(self, params: Mapping[str, Value]) -> Walk:
        replay = Replay(params)
        walk = self.walk(replay)
        replay.check_all_used()
        return walk


def _body(stored: Mapping[str, Any], directory: FilePath | None) -> Declared | PythonBody | Open:
    if "function" in stored:
        return PythonBody.from_dict(stored, directory)
    return Open() if "open" in stored else Declared.from_dict(stored)


def _look_through(space: Space) -> None:
    """Use a space once, so that one that a stranger altered is refused when it is read."""
    if not isinstance(space.body, Declared):
        return
    for parameter in space.body.parameters:
        if space.body.most(parameter, space.fixed) > MAX_REPEAT:
            raise ValueError(f"{parameter.name} repeats more than {MAX_REPEAT} times")
    space.samples(2)
    _ = space.parameters


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
            if info.required and name.replace("{i}", "1") not in walk.config:
                text = f"the experiment requires {name!r}; vary it or fix it"
                problems.add(("parameters",), text)
