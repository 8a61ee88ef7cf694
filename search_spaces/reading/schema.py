"""The shape of a space file as pydantic models, and their errors as problems with a place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

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

from search_spaces.errors import Path, Problems, SpaceError, did_you_mean, listing, show
from search_spaces.objectives import MOST
from search_spaces.values.domains import check_scalar

NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
SCRIPT = "script"
"""Prefix of the experiment of a space that has a `command`."""
IMPORT_PATH = (
    r"^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(@folds)?|script:(.|\s)+@folds)$"  # confirmations
)


def _scalar(value: object) -> object:
    try:
        check_scalar(value)
    except SpaceError as error:
        raise PydanticCustomError("scalar", "{text}", {"text": str(error)}) from None
    return value


def _shape_of_choices(value: object) -> str:
    return "as bundles" if isinstance(value, dict) else "as list"


def _shape_of_component(value: object) -> str:
    return "as options" if isinstance(value, dict) else "as name"


Scalar = Annotated[
    Any,
    BeforeValidator(_scalar),
    WithJsonSchema({"type": ["boolean", "number", "string", "null"]}),
]
Name = Annotated[str, Field(pattern=NAME)]
Values = dict[Name, Scalar]


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
        Discriminator(_shape_of_choices),
    ] = Field(description="A list of values, or labels each of which sets several parameters.")


AnyParameter = Annotated[
    FloatParameter | IntParameter | CategoricalParameter, Field(discriminator="type")
]


class ObjectiveModel(Strict):
    """A metric that the sweep optimises."""

    metric: str = Field(description="A headline metric of the experiment.")
    direction: Literal["maximize", "minimize"] = Field(description="Which way is better.")


def _shape_of_objective(value: object) -> str:
    return "as list" if isinstance(value, list | tuple) else "as mapping"


ObjectiveModels = Annotated[
    Annotated[ObjectiveModel, Tag("as mapping")]
    | Annotated[
        list[ObjectiveModel],
        Field(min_length=1, json_schema_extra={"maxItems": MOST}),  # `building` says it better
        Tag("as list"),
    ],
    Discriminator(_shape_of_objective),
]


class ComponentModel(Strict):
    """A sampler or a pruner with options."""

    name: str = Field(description="A built-in name, or an import path.", min_length=1)
    options: dict[str, Any] = Field(
        default_factory=dict, description="Keyword arguments of the sampler or pruner."
    )


Component = Annotated[
    Annotated[Annotated[str, Field(min_length=1)], Tag("as name")]
    | Annotated[ComponentModel, Tag("as options")],
    Discriminator(_shape_of_component),
]


_FORMER: Final[Mapping[Path, str]] = {
    ("defaults", "finalize"): "confirm", ("defaults", "confirm", "blocks"): "folds",
}  # fmt: skip
"""Former names of keys -> their present names."""


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
    sampler: Component = Field("tpe", description="tpe, random, qmc, grid or an import path.")
    pruner: Component = Field("none", description="none, median, hyperband, asha or a path.")
    ask_ahead: int = Field(8, ge=1, description="Most trials in flight at once.")
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

    parameters: dict[Name, AnyParameter] = Field(
        description="Parameters that vary, in the order of sampling.", min_length=1
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a space file, for editors."""
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


# Pydantic's list of errors -> our problems: place, received value, what is allowed.


_TYPES: dict[str, type[BaseModel]] = {
    "float": FloatParameter,
    "int": IntParameter,
    "categorical": CategoricalParameter,
}
_UNION_TAGS = {*_TYPES, "as list", "as mapping", "as bundles", "as options", "as name", "[key]"}
_DIRECTIONS = ("maximize", "minimize")
_OFF = ("none", "a mapping such as {folds: 20}")
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


def explain(
    error: ValidationError, values: Mapping[str, Any], model: type[BaseModel], problems: Problems
) -> None:
    """Add every error of a validation to the problems of the space."""
    for detail in error.errors(include_url=False):
        path, tags = _place(detail["loc"], values)
        problems.add(path, _text(detail, path, tags, model))


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
            if (former := _FORMER.get(path)) is not None:
                return f"is called {former!r} now"
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
            text = f"received {show(received)}; {_pattern_help(context['pattern'])}"
        case "greater_than_equal":
            text = f"received {show(received)}; at least {context['ge']} is needed"
        case "scalar":
            text = str(context["text"])
        case kind:
            text = f"received {show(received)}; {_WANTED.get(kind, detail['msg'])}"
    return text


def _pattern_help(pattern: str) -> str:
    if pattern == IMPORT_PATH:
        return "an import path is needed: `package.module:object`"
    return "a name is letters, digits and _, not starting with a digit"


def _allowed_keys(path: Path, tags: list[str], model: type[BaseModel]) -> list[str]:
    """Return the keys of the model that an unknown key stands in."""
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
