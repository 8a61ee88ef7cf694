"""Turns YAML text into a checked space, and reports every mistake with file and line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from search_spaces.bodies import (
    MAX_REPEAT,
    Declaration,
    Declared,
    Expression,
    Name,
    Replay,
    parse_expression,
)
from search_spaces.errors import Path, Problems, SpaceError, did_you_mean, listing, show
from search_spaces.objectives import MOST, Objective, Script
from search_spaces.parameters import Value
from search_spaces.python_space import PythonBody
from search_spaces.space import Component, Confirming, Defaults, Space
from search_spaces.values import Categorical, Domain, Float, Int, check_scalar, is_number

NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
IMPORT_PATH = (
    r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(@folds)?"
    r"|(script|[\w.]+):(.|\s)+@folds)$"  # confirmations, of scripts and objective functions
)


def _scalar(value: object) -> object:
    try:
        check_scalar(value)
    except SpaceError as error:
        raise PydanticCustomError("scalar", "{text}", {"text": str(error)}) from None
    return value


def _shape_of_component(value: object) -> str:
    return "as options" if isinstance(value, dict) else "as name"


Scalar = Annotated[
    Any,
    BeforeValidator(_scalar),
    WithJsonSchema({"type": ["boolean", "number", "string", "null"]}),
]
ParameterName = Annotated[str, Field(pattern=NAME)]
Values = dict[ParameterName, Scalar]


class Strict(BaseModel):
    """A mapping whose keys are all known; nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Parameter(Strict):
    when: str | None = Field(
        None, description="Sampled only where this holds, such as `optimizer == sgd`."
    )
    repeat: str | None = Field(
        None,
        description="Earlier whole-number parameter, or fixed value, that says how often: "
        "`units` becomes `units_1`, `units_2`, ...",
    )


class FloatParameter(_Parameter):
    """A number from a range."""

    type: Literal["float"]
    low: float = Field(description="Smallest value, included.")
    high: float = Field(description="Largest value, included.")
    log: bool = Field(False, description="Sample on a logarithmic scale; low must be above 0.")
    step: float | None = Field(None, description="Distance between values; not with log.")


class IntParameter(_Parameter):
    """A whole number from a range."""

    type: Literal["int"]
    low: int = Field(description="Smallest value, included.")
    high: int = Field(description="Largest value, included.")
    log: bool = Field(False, description="Sample on a logarithmic scale; low must be at least 1.")
    step: int = Field(1, description="Distance between values; not with log.")


class CategoricalParameter(_Parameter):
    """One of several values, or of several named bundles of values."""

    type: Literal["categorical"]
    choices: Annotated[
        Annotated[list[Scalar], Tag("as list")]
        | Annotated[dict[str, Annotated[Values, Field(min_length=1)]], Tag("as bundles")],
        Discriminator(lambda value: "as bundles" if isinstance(value, dict) else "as list"),
    ] = Field(description="A list of values, or labels each of which sets several parameters.")


AnyParameter = Annotated[
    FloatParameter | IntParameter | CategoricalParameter, Field(discriminator="type")
]


class ObjectiveModel(Strict):
    """A metric that the sweep optimises."""

    metric: str = Field(description="A headline metric of the experiment.")
    direction: Literal["maximize", "minimize"] = Field(description="Which way is better.")


ObjectiveModels = Annotated[
    Annotated[ObjectiveModel, Tag("as mapping")]
    | Annotated[
        list[ObjectiveModel],
        Field(min_length=1, json_schema_extra={"maxItems": MOST}),  # `building` says it better
        Tag("as list"),
    ],
    Discriminator(lambda value: "as list" if isinstance(value, list | tuple) else "as mapping"),
]


class ComponentModel(Strict):
    """A sampler or a pruner with options."""

    name: str = Field(description="A built-in name, or an import path.", min_length=1)
    options: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments of the sampler or pruner."
    )


AnyComponent = Annotated[
    Annotated[Annotated[str, Field(min_length=1)], Tag("as name")]
    | Annotated[ComponentModel, Tag("as options")],
    Discriminator(_shape_of_component),
]


class ConfirmingModel(Strict):
    """Options for confirming a sweep whose trials have all ended."""

    top: int = Field(5, ge=1, description="Best distinct configurations.")
    folds: int = Field(20, ge=8, multiple_of=4, description="Fresh folds, a multiple of four.")
    metric: str | None = Field(
        None, min_length=1, description="Metric of the comparison; without one the objective."
    )
    margin: float | None = Field(
        None, gt=0, description="A difference that does not matter, in the unit of the metric."
    )


_Confirm = Annotated[
    Annotated[Literal["none"], Tag("as name")] | Annotated[ConfirmingModel, Tag("as options")],
    Discriminator(_shape_of_component),
]


class DefaultsModel(Strict):
    """Options of `sweeps run` that apply where the command line says nothing."""

    trials: int = Field(20, ge=1, description="Total number of trials.")
    sampler: AnyComponent = Field(
        "tpe", description="tpe, gp, cmaes, random, qmc, grid, auto or an import path."
    )
    pruner: AnyComponent = Field("none", description="none, median, hyperband, asha or a path.")
    ask_ahead: int | None = Field(
        None, ge=1, description="Most trials in flight at once; without one 4."
    )
    confirm: _Confirm | None = Field(
        None,
        description="Confirm when all trials have ended; `{}` does it as `sweeps confirm`, which "
        "refuses what says `none`.",
    )


class Header(Strict):
    """Everything of a space but its parameters; also what `@space(...)` takes."""

    description: str = Field("", description="One line for lists and reports.")
    experiment: str | None = Field(
        None,
        description="Import path of the experiment, `package.module:object`.",
        pattern=IMPORT_PATH,
    )
    command: str | list[str | int | float] | None = Field(
        None,
        description="In place of an experiment: a script, with a `{name}` for each parameter; "
        "or the list of its words, such as `[bash, -c, 'a | b']`.",
    )
    metrics: dict[str, str] = Field(
        default_factory=dict,
        description="Of a script that prints no JSON: a regular expression for each metric, with "
        "one group around the number. Each match of the objective's is an epoch.",
    )
    result: str | None = Field(
        None,
        description="Of a script that does not print its result: the `.json` or `.csv` file that "
        "it writes below `{output}`, or `mlflow` for the run that it logs.",
    )
    final: str | None = Field(
        None,
        description="Of a script with `metrics`: a regular expression, with one group around the "
        "number, for the line that has the score. Without it the last epoch has the score.",
    )
    objective: ObjectiveModels = Field(
        description="Metric to optimise, and which way; a list of up to four: their Pareto front."
    )
    fixed: Values = Field(default_factory=dict, description="Parameters with one value.")
    baselines: dict[str, Values] = Field(
        default_factory=dict,
        description="Points tried first, by name: every active parameter, inside the space.",
    )
    constraints: list[str] = Field(
        default_factory=list, description="Checked before training, such as `parameters <= 20000`."
    )
    defaults: DefaultsModel = Field(
        default_factory=lambda: DefaultsModel.model_validate({}),
        description="Options of `sweeps run`, unless given there.",
    )

    @property
    def objectives(self) -> list[ObjectiveModel]:
        """The objectives, as a list also if there is one."""
        return self.objective if isinstance(self.objective, list) else [self.objective]


class SpaceFile(Header):
    """A search space: what may vary in an experiment, and what is best."""

    parameters: dict[ParameterName, AnyParameter] = Field(
        description="Parameters that vary, in the order of sampling.", min_length=1
    )


SCHEMA: Final = FilePath(__file__).with_name("schema.json")
"""What `json_schema` returns, as a file for editors; `docs/build_reference.py` writes it."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a space file."""
    schema = SpaceFile.model_json_schema()
    _drop_titles(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Search space",
        **schema,
        "oneOf": [{"required": ["experiment"]}, {"required": ["command"]}],
    }


def _drop_titles(node: Any) -> None:
    """Remove pydantic's `title` texts, which only repeat the keys (a property may be so named)."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for item in node.values():
            _drop_titles(item)
    elif isinstance(node, list):
        for item in node:
            _drop_titles(item)


_TYPES: dict[str, type[BaseModel]] = {
    "float": FloatParameter,
    "int": IntParameter,
    "categorical": CategoricalParameter,
}
_UNION_TAGS = {*_TYPES, "as list", "as mapping", "as bundles", "as options", "as name", "[key]"}
_DIRECTIONS = ("maximize", "minimize")
_OFF = ("none", "a mapping such as {folds: 20}")
_IMPORT_PATH_NEEDED = "an import path is needed: `package.module:object`"
_NAME_NEEDED = "a name is letters, digits and _, not starting with a digit"
_WANTED = {
    "string_type": "text is needed",
    "float_type": "a number is needed",
    "int_type": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "bool_type": "true or false is needed",
    "list_type": "a list is needed",
    "dict_type": "a mapping (`key: value`) is needed",
    "model_type": "a mapping (`key: value`) is needed",
    "model_attributes_type": "a mapping (`key: value`) is needed",
    "too_short": "at least one entry is needed",
    "string_too_short": "a name is needed",
}


def _place(loc: tuple[int | str, ...], values: Any) -> tuple[Path, list[str]]:
    """Split a location into the path in the file and the union tags pydantic put in between."""
    path: list[int | str] = []
    tags: list[str] = []
    node = values
    for part in loc:
        is_there = (isinstance(node, dict) and part in node) or (
            isinstance(node, list) and isinstance(part, int) and part < len(node)
        )
        if not is_there and part in _UNION_TAGS:
            tags.append(str(part))
            continue
        path.append(part)
        node = node[part] if is_there else None
    return tuple(path), tags


def _text(detail: ErrorDetails, path: Path, tags: list[str], model: type[BaseModel]) -> str:
    received, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            keys = _allowed_keys(path, tags, model)
            text = f"unknown key {path[-1]!r}; allowed: {listing(keys)}"
            text += did_you_mean(path[-1], keys)
        case "missing":
            text = "is missing"
        case "literal_error":
            allowed = _OFF if path[-1] == "confirm" else _DIRECTIONS
            text = f"received {show(received)}; allowed: {listing(allowed)}"
            text += did_you_mean(received, allowed)
        case "union_tag_not_found":
            text = f"type is missing; allowed: {listing(_TYPES)}"
        case "union_tag_invalid":
            tag = context["tag"]
            text = f"type is {tag!r}; allowed: {listing(_TYPES)}{did_you_mean(tag, _TYPES)}"
        case "string_pattern_mismatch":
            is_path = context["pattern"] == IMPORT_PATH
            wanted = _IMPORT_PATH_NEEDED if is_path else _NAME_NEEDED
            text = f"received {show(received)}; {wanted}"
        case "greater_than_equal":
            text = f"received {show(received)}; at least {context['ge']} is needed"
        case "scalar":
            text = str(context["text"])
        case kind:
            text = f"received {show(received)}; {_WANTED.get(kind, detail['msg'])}"
    return text


def _allowed_keys(path: Path, tags: list[str], model: type[BaseModel]) -> list[str]:
    parent = path[:-1]
    if parent and parent[0] == "parameters":
        model = _TYPES[tags[0]]
    elif parent and parent[0] == "objective":
        model = ObjectiveModel
    elif parent == ("defaults",):
        model = DefaultsModel
    elif parent == ("defaults", "confirm"):
        model = ConfirmingModel
    elif parent:
        model = ComponentModel
    return list(model.model_fields)


MAX_DECIDING = 10_000
"""Most values of a parameter that others depend on; each is a branch when points are counted."""


def _unknown(name: str, earlier: list[Declaration], fixed: Mapping[str, Value]) -> str:
    known = [*(p.name for p in earlier if p.repeat is None), *fixed]
    return (
        f"{name!r} is neither a parameter declared above nor a fixed value; "
        f"allowed: {listing(known)}{did_you_mean(name, known)}"
    )


def condition_problems(
    when: Expression | None, earlier: list[Declaration], fixed: Mapping[str, Value]
) -> Iterator[str]:
    """Yield what is wrong with a `when`: names not declared above, values that never occur."""
    domains = {p.name: p.domain for p in earlier if p.repeat is None}
    for part in when.comparisons if when else ():
        names = [part.left, *([part.right.text] if isinstance(part.right, Name) else [])]
        unknown = [name for name in names if name not in domains and name not in fixed]
        if unknown:
            yield _unknown(unknown[0], earlier, fixed)
        if unknown or part.left not in domains:
            continue
        domain = domains[part.left]
        if part.operator in ("==", "!=", "in"):
            for value in part.right if isinstance(part.right, tuple) else (part.right,):
                try:
                    domain.accept(value)
                except SpaceError as error:  # such as a misspelt choice
                    yield f"{part.left}: {error}"
        elif isinstance(domain, Categorical) and not all(map(is_number, domain.choices)):
            yield f"{part.left} has choices that are not numbers; compare with == or in"


def repeat_problem(name: str, earlier: list[Declaration], fixed: Mapping[str, Value]) -> str | None:
    """Return what is wrong with a `repeat`, None if it names a sensible whole number."""
    domain = next((p.domain for p in earlier if p.name == name and p.repeat is None), None)
    if domain is None and name not in fixed:
        return _unknown(name, earlier, fixed)
    if isinstance(domain, Int):
        low, high = domain.low, domain.high
    else:
        values = domain.choices if isinstance(domain, Categorical) else (fixed.get(name),)
        if isinstance(domain, Float) or not all(type(value) is int for value in values):
            return f"{name!r} is not a whole number; it must be an int, or a choice of ints"
        low, high = min(values), max(values)  # type: ignore[type-var, assignment]
    if low < 0 or high > MAX_REPEAT:
        return f"{name!r} is {show(low)}..{show(high)}; repetitions must be 0 to {MAX_REPEAT}"
    return None


def check_names(body: Declared, fixed: Mapping[str, Value], problems: Problems) -> None:
    """Refuse two entries that would set the same value of a configuration."""
    owners: dict[str, str] = dict.fromkeys(fixed, "fixed")
    for parameter, name, domain in body.named(fixed):
        sets = {name}
        if isinstance(domain, Categorical) and domain.bundles is not None:
            sets.update(key for bundle in domain.bundles.values() for key in bundle)
        for item in sorted(sets):
            if item in owners:
                text = f"sets {item!r}, which is set by {owners[item]} too; keep one of them"
                problems.add(("parameters", parameter.name), text)
            owners[item] = f"parameters.{parameter.name}"


def check_deciding(body: Declared, problems: Problems) -> None:
    """Refuse conditions on parameters with so many values that points cannot be counted."""
    deciding = {name for p in body.parameters if p.when for name in p.when.names}
    for p in body.parameters:
        size = p.domain.size
        if p.name in deciding and size is not None and size > MAX_DECIDING:
            text = f"has {size} values and others depend on it; at most {MAX_DECIDING}, use step"
            problems.add(("parameters", p.name), text)


_H = TypeVar("_H", bound=Header)
_T = TypeVar("_T")


def declared_space(
    values: Mapping[str, Any],
    lines: Mapping[Path, int],
    *,
    name: str,
    source: str,
    directory: FilePath | None,
) -> Space:
    """Build the space of a YAML file from its plain values.

    Raises:
        SpaceError: One line per mistake, in the order of the file.
    """
    problems = Problems(source, lines)
    shape = _validated(SpaceFile, values, problems)
    parameters: list[Declaration] = []
    for key, entry in shape.parameters.items():
        parameter = _parameter(key, entry, parameters, shape.fixed, problems)
        if parameter is not None:
            parameters.append(parameter)
    problems.raise_if_any()
    body = Declared(tuple(parameters))
    check_names(body, shape.fixed, problems)
    check_deciding(body, problems)
    problems.raise_if_any()
    return _space(shape, body, problems, lines=lines, name=name, source=source, directory=directory)


def python_space(header: Mapping[str, Any], body: PythonBody, directory: FilePath | None) -> Space:
    """Build the space of a decorated function from its header; `directory` is its module's folder.

    Raises:
        SpaceError: The header is wrong, or the function fails.
    """
    problems = Problems(body.path, {})
    shape = _validated(Header, header, problems)
    _ = body.domains  # a function that fails does so here, before anything is created
    name = body.path.rpartition(":")[2].rpartition(".")[2]
    return _space(shape, body, problems, lines={}, name=name, source=body.path, directory=directory)


def _experiment(shape: Header, objectives: tuple[Objective, ...], problems: Problems) -> str:
    """Return the experiment of a space: an import path, or the recorded name of its script."""
    if shape.experiment is None and shape.command is None:
        problems.add(("experiment",), "is missing; write an import path, or `command:`")
    elif shape.experiment is not None and shape.command is not None:
        problems.add(("command",), "an experiment is given too; write one of both")
    if shape.experiment is not None:
        for key in ("metrics", "result", "final"):
            if getattr(shape, key):
                problems.add((key,), "is for a script; leave it out, or write `command:`")
        return shape.experiment
    for place, objective in enumerate(shape.objectives):
        if set(":,") & set(objective.metric):
            text = f"received {objective.metric!r}; of a script it is a name without `:` and `,`"
            problems.add(("objective", place, "metric"), text)
    command = shape.command or ""
    words = command if isinstance(command, str) else shlex.join(map(str, command))
    if len(words) > LONGEST_COMMAND:
        text = (
            f"has {len(words)} characters; at most {LONGEST_COMMAND} are allowed: write what "
            "is long into a file, and name that in the command"
        )
        problems.add(("command",), text)
    _check_sources(shape, problems)
    result = None
    if shape.result is not None:
        result = str(PurePosixPath(shape.result.removeprefix(_OUTPUT)))
    return Script(words, objectives, shape.metrics, result, shape.final).experiment


LONGEST_COMMAND = 50_000
LONGEST_PATTERN = 1000
_OUTPUT = "{output}/"


def _check_sources(shape: Header, problems: Problems) -> None:
    """Check where the numbers of a script are, if not in JSON lines of its output."""
    for name, pattern in shape.metrics.items():
        if (problem := _pattern_problem(name, pattern)) is not None:
            problems.add(("metrics", name), problem)
    wanted = [objective.metric for objective in shape.objectives]
    missing = [metric for metric in wanted if metric not in shape.metrics]
    if shape.metrics and missing and shape.result is None:
        hint = did_you_mean(missing[0], shape.metrics)
        problems.add(("metrics",), f"has no pattern of the objective {missing[0]!r}{hint}")
    if shape.result is not None and shape.result != "mlflow":
        path = PurePosixPath(shape.result.removeprefix(_OUTPUT))
        is_below = not path.is_absolute() and ".." not in path.parts
        if not (is_below and path.suffix in {".json", ".csv"}):
            text = (
                f"received {show(shape.result)}; write mlflow, or the path of a .json or .csv file "
                "below the folder {output}, such as metrics.json"
            )
            problems.add(("result",), text)
    if shape.final is not None:
        problem = _pattern_problem("final", shape.final)
        if problem is None and wanted and wanted[0] not in shape.metrics:
            problem = f"needs `metrics` with a pattern of {wanted[0]!r}, for its epochs"
        if problem is not None:
            problems.add(("final",), problem)


def _pattern_problem(name: str, pattern: str) -> str | None:
    if not name.isprintable() or not 0 < len(name) <= 100:
        return "a name is 1 to 100 characters that can be printed"
    if len(pattern) > LONGEST_PATTERN:
        return f"has {len(pattern)} characters; at most {LONGEST_PATTERN} are allowed"
    try:
        groups = re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as error:
        return f"{show(pattern)} is no regular expression: {error}"
    if groups != 1:
        return (
            f"{show(pattern)} has {groups} groups; put exactly one, ( ), around the number, as in "
            r"'val_acc[=: ]+(\S+)', and write others as (?: )"
        )
    return None


def _objectives(shape: Header, problems: Problems) -> tuple[Objective, ...]:
    found: dict[str, Objective] = {}
    for place, one in enumerate(shape.objectives):
        if one.metric in found:
            text = f"{one.metric!r} is an objective already; name each metric once"
            problems.add(("objective", place, "metric"), text)
        found.setdefault(one.metric, Objective(one.metric, one.direction))
    if len(shape.objectives) > MOST:
        text = f"received {len(shape.objectives)} objectives; at most {MOST} are allowed"
        problems.add(("objective",), text)
    return tuple(found.values())


def _validated(model: type[_H], values: Mapping[str, Any], problems: Problems) -> _H:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path, tags = _place(detail["loc"], values)
            problems.add(path, _text(detail, path, tags, model))
        problems.raise_if_any()
        raise


def _space(
    shape: Header,
    body: Declared | PythonBody,
    problems: Problems,
    *,
    lines: Mapping[Path, int],
    name: str,
    source: str,
    directory: FilePath | None,
) -> Space:
    objectives = _objectives(shape, problems)
    experiment = _experiment(shape, objectives, problems)
    constraints = []
    for index, text in enumerate(shape.constraints):
        path: Path = ("constraints", index)
        constraints.append(_attempt(problems, path, partial(parse_expression, text)))
    baselines: dict[str, dict[str, Value]] = {}
    for label, params in shape.baselines.items():
        baselines[label] = _baseline(label, params, body, shape.fixed, problems)
    problems.raise_if_any()
    return Space(
        name=name,
        description=shape.description,
        experiment=experiment,
        objectives=objectives,
        fixed=shape.fixed,
        baselines=baselines,
        constraints=tuple(item for item in constraints if item is not None),
        defaults=Defaults(
            shape.defaults.trials,
            _component(shape.defaults.sampler),
            _component(shape.defaults.pruner),
            shape.defaults.ask_ahead,
            _confirming(shape.defaults.confirm),
        ),
        body=body,
        source=source,
        directory=directory,
        lines=lines,
    )


def _confirming(shape: ConfirmingModel | Literal["none"] | None) -> Confirming | None:
    if isinstance(shape, str):
        return Confirming(is_off=True)
    return None if shape is None else Confirming(**shape.model_dump())


def _attempt(problems: Problems, path: Path, build: Callable[[], _T]) -> _T | None:
    """Call `build`; note a SpaceError as a problem at a place, and return None."""
    try:
        return build()
    except SpaceError as error:
        problems.add(path, str(error))
        return None


def _component(shape: str | ComponentModel) -> Component:
    return Component(shape) if isinstance(shape, str) else Component(shape.name, shape.options)


def _parameter(
    name: str,
    entry: AnyParameter,
    earlier: list[Declaration],
    fixed: Mapping[str, Value],
    problems: Problems,
) -> Declaration | None:
    path = ("parameters", name)
    domain = _attempt(problems, path, partial(_domain, entry))
    when = None
    if entry.when is not None:
        when = _attempt(problems, (*path, "when"), partial(parse_expression, entry.when))
        for problem in condition_problems(when, earlier, fixed):
            problems.add((*path, "when"), problem)
    if entry.repeat is not None:
        if isinstance(domain, Categorical) and domain.bundles is not None:
            problems.add((*path, "repeat"), "a bundle cannot repeat; its values would overwrite")
        problem_text = repeat_problem(entry.repeat, earlier, fixed)
        if problem_text:
            problems.add((*path, "repeat"), problem_text)
    return None if domain is None else Declaration(name, domain, when, entry.repeat)


def _domain(entry: AnyParameter) -> Domain:
    if isinstance(entry, FloatParameter):
        return Float(float(entry.low), float(entry.high), entry.log, entry.step)
    if isinstance(entry, IntParameter):
        return Int(entry.low, entry.high, entry.log, entry.step)
    assert isinstance(entry, CategoricalParameter)
    if isinstance(entry.choices, dict):
        return Categorical(tuple(entry.choices), entry.choices)
    return Categorical(tuple(entry.choices))


def _baseline(
    label: str,
    params: Mapping[str, Value],
    body: Declared | PythonBody,
    fixed: Mapping[str, Value],
    problems: Problems,
) -> dict[str, Value]:
    """Return the baseline in the order and with the types of a walk."""
    replay = Replay(params)
    try:
        walk = body.run(replay, fixed)
        replay.check_all_used()
    except SpaceError as error:
        name = error.parameter if error.parameter in params else None
        path = ("baselines", label) if name is None else ("baselines", label, name)
        text = str(error)
        problems.add(path, text.removeprefix(f"{name}: ") if name else text)
        return {}
    return walk.params
