"""Pydantic's list of errors -> our problems: place, received value, what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from search_spaces.errors import Path, Problems, did_you_mean, listing, show
from search_spaces.reading import schema

_TYPES: dict[str, type[BaseModel]] = {
    "float": schema.FloatParameter,
    "int": schema.IntParameter,
    "categorical": schema.CategoricalParameter,
}
_UNION_TAGS = {*_TYPES, "as list", "as mapping", "as bundles", "as options", "as name", "[key]"}
_DIRECTIONS = ("maximize", "minimize")
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
            keys = _allowed_keys(path, tags, model)
            text = f"unknown key {path[-1]!r}; allowed: {listing(keys)}"
            text += did_you_mean(path[-1], keys)
        case "missing":
            text = "is missing"
        case "literal_error":
            text = f"received {show(received)}; allowed: {listing(_DIRECTIONS)}"
            text += did_you_mean(received, _DIRECTIONS)
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
    if pattern == schema.IMPORT_PATH:
        return "an import path is needed: `package.module:object`"
    return "a name is letters, digits and _, not starting with a digit"


def _allowed_keys(path: Path, tags: list[str], model: type[BaseModel]) -> list[str]:
    """Return the keys of the model that an unknown key stands in."""
    parent = path[:-1]
    if parent and parent[0] == "parameters":
        model = _TYPES[tags[0]]
    elif parent and parent[0] == "objective":
        model = schema.ObjectiveModel
    elif parent == ("defaults",):
        model = schema.DefaultsModel
    elif parent:
        model = schema.ComponentModel
    return list(model.model_fields)
