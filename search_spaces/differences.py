"""What differs between two spaces, in words; from their stored forms, so that both need not exist.

A Python function that has changed cannot be imported as it was; its stored description still says
what it asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from search_spaces.objectives import in_words, objectives_from
from search_spaces.values.domains import domain_from_dict

_NAMELESS = ("name", "description", "defaults")  # as in Space.digest: they decide no point


def space_differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    """Yield one phrase a difference between two results of `Space.to_dict()`.

    Args:
        there: The space that exists.
        asked: The space that is wanted instead.
    """
    for part in sorted((there.keys() | asked.keys()) - {*_NAMELESS, "body"}):
        old, new = _by_name(there.get(part)), _by_name(asked.get(part))
        if part == "objective" and list in (type(old), type(new)):
            old, new = (in_words(objectives_from(stored)) for stored in (old, new))
        if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
            if old != new:
                yield f"{part}: {old} there, {new} asked"
            continue
        names = [n for n in {**old, **new} if old.get(n) != new.get(n)]
        if names:
            yield f"{part}: {', '.join(names)}"
        elif part == "baselines" and list(old) != list(new):
            yield f"{part}: their order"
    yield from _body_differences(there["body"], asked["body"])


def _body_differences(there: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    old, new = ({p["name"]: p for p in body["parameters"]} for body in (there, asked))
    found = False
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            found = True
            yield f"{name}: {_text(old.get(name))} there, {_text(new.get(name))} asked"
    if not found and list(old) != list(new):
        yield "the order of the parameters"
    elif not found and there != asked:
        yield f"the code of {asked.get('function') or there.get('function')}"


def _text(parameter: Mapping[str, Any] | None) -> str:
    if parameter is None:
        return "none"
    domains = parameter.get("domains") or [parameter["domain"]]
    text = " | ".join(domain_from_dict(domain).text for domain in domains)
    layers = parameter.get("layers") or {}
    changed = [f"{index}: {domain_from_dict(domain).text}" for index, domain in layers.items()]
    extras = [f"{key} {parameter[key]}" for key in ("when", "repeat") if parameter.get(key)]
    return " ".join([text, *(f"({extra})" for extra in (*changed, *extras))])


def _by_name(value: Any) -> Any:
    """Return baselines, which are stored as a list to keep their order, by name."""
    if isinstance(value, list) and all(
        isinstance(item, Mapping) and "name" in item for item in value
    ):
        return {item["name"]: dict(item["params"]) for item in value}
    return value
