"""Objects that this process was given in place of an import path: of a notebook, a closure.

No other process can import them, so workers get them by value, as they get their data. They are
never written to a file that has a name, and no other command finds them: a sweep of such an object
goes on where it is given again. What it is made of, its source text and the values that it
holds, is the code of the sweep.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import pickle
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

import numpy as np

from search_spaces.python_space import MAIN, is_importable
from sweeps.errors import UsageError

UNCOUNTED: Final = ": does not count"
"""End of the text of a value whose change would not be noticed."""
_given: dict[str, Any] = {}
_stated: dict[str, Mapping[str, str]] = {}
"""By path, of what another process has packed, its facts there: here there may be no text of it."""
_LONGEST: Final = 200
"""Characters of a value that are shown; of a longer one its digest counts."""
_DEEPEST: Final = 20
_OURS: Final = frozenset({"sweeps", "search_spaces", "digitexp"})
"""Packages whose code counts as that of an experiment that ships."""


def lives_here(path: str) -> bool:
    """Whether an experiment exists in this process only: no server can import it later."""
    path = path.partition("@")[0]
    return path in _given or path.startswith(f"{MAIN}:")


def give(path: str, found: Callable[..., Any]) -> None:
    """Have an object found at a path, unless other processes can import it there."""
    _stated.pop(path, None)
    if is_importable(found):
        _given.pop(path, None)
    else:
        _given[path] = found


def lend(path: str, found: object) -> None:
    """Have an object found at a path at which nothing can be imported."""
    _stated.pop(path, None)
    _given[path] = found


def given(path: str) -> Any:
    """Return the object that was given for a path, or lies in a notebook; None without one."""
    if path in _given or not path.startswith(f"{MAIN}:"):
        return _given.get(path)
    return getattr(sys.modules[MAIN], path.partition(":")[2], None)


def is_given(found: object) -> bool:
    """Whether an object was given."""
    return any(one is found for one in _given.values())


def packed(experiment: str) -> bytes:
    """Return, for another process, what was given for an experiment; empty without.

    Raises:
        UsageError: It holds what no other process can have, such as an open file.
    """
    if not lives_here(experiment):
        return b""
    path = experiment.partition("@")[0]
    try:
        return by_value((path, given(path), stated(path, given(path))))
    except Exception as error:  # of any object that it holds
        raise UsageError(
            f"{path}: cannot be handed over to worker processes ({type(error).__name__}: {error}); "
            "give workers=0 to train in this process, or define it in a file"
        ) from None


def by_value(found: object) -> bytes:
    """Return a pickle that needs no module of this process to be importable elsewhere."""
    import cloudpickle

    pickled: bytes = cloudpickle.dumps(found, pickle.HIGHEST_PROTOCOL)
    return pickled


def unpack(content: bytes) -> None:
    """Take what another process of ours has packed."""
    if content:
        path, found, facts = pickle.loads(content)  # noqa: S301 - from our own coordinator
        _given[path], _stated[path] = found, facts


def stated(path: str, found: object) -> Mapping[str, str]:
    """Return the facts of what was given for a path: of a function, or of an experiment."""
    path = path.partition("@")[0]
    if path in _stated:
        return _stated[path]
    if not hasattr(found, "train"):
        return facts_of_function(found)
    own: Mapping[str, str] = getattr(found, "identity", dict)()
    return {**facts_of_experiment(found), **own}


def facts_of_function(found: object) -> dict[str, str]:
    """Return, as texts by name, what a function is made of: its source, and the values it holds.

    Values are those that it takes from around it, or the attributes of an object that is called.
    """
    return dict(_facts("(objective)", found, {}, 0))


def facts_of_experiment(found: object) -> dict[str, str]:
    """Return likewise the functions that an experiment holds, such as `build`, and its class.

    Of an experiment of a class that ships also its settings, such as class weights. Those of a
    class of the user's may change while it trains.
    """
    seen: dict[int, None] = {}
    facts: dict[str, str] = {}
    for name, value in {"": type(found), **vars(found)}.items():
        is_code = isinstance(value, FunctionType | MethodType | functools.partial | type)
        if is_code or (_is_installed(type(found)) and _is_setting(value)):
            facts |= _fact(f"(notebook) {name}".strip(), value, seen, 0)
    return facts


def _is_setting(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _facts(
    name: str, found: object, seen: dict[int, None], depth: int
) -> Iterator[tuple[str, str]]:
    if id(found) in seen or depth > _DEEPEST:
        return
    seen[id(found)] = None
    if isinstance(found, functools.partial):
        yield from _facts(name, found.func, seen, depth + 1)
        places = {str(place): one for place, one in enumerate(found.args)}
        held: Mapping[str, object] = {**places, **found.keywords}
    elif isinstance(found, MethodType):
        yield from _facts(name, found.__func__, seen, depth + 1)
        held = {"self": found.__self__}
    elif isinstance(found, FunctionType):
        yield name, _source(found)
        around = _around(found)
        defaults = inspect.signature(found).parameters.values()
        held = {
            **around.globals,
            **around.nonlocals,
            **{one.name: one.default for one in defaults if one.default is not one.empty},
        }
    elif isinstance(found, type):
        yield name, _source(found)
        own = [one for one in vars(found).values() if isinstance(one, FunctionType)]
        held = {}
        for around in map(_around, own):
            held = {**held, **around.globals, **around.nonlocals}
    elif isinstance(found, ModuleType):
        yield name, _source(found)
        held = {key: one for key, one in vars(found).items() if isinstance(one, ModuleType)}
    else:  # an object that is called
        yield from _facts(name, type(found), seen, depth + 1)
        held = vars(found) if hasattr(found, "__dict__") else {}
    for key, value in held.items():
        yield from _fact(f"{name} {key}", value, seen, depth)


def _fact(name: str, value: object, seen: dict[int, None], depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, BuiltinFunctionType):
        return
    if isinstance(value, FunctionType | MethodType | functools.partial | type | ModuleType):
        if not _is_installed(value):
            yield from _facts(name, value, seen, depth + 1)
        return
    if depth < _DEEPEST and hasattr(value, "__dict__") and not _is_installed(type(value)):
        yield from _facts(name, value, seen, depth + 1)  # a pickle of it may differ by chance
        return
    text, is_whole = _said(value)
    # With its name: by that a line with a password is known, and its text is not kept.
    yield name, f"{name.rpartition(' ')[2]} = {text}{'' if is_whole else UNCOUNTED}"


def _around(function: FunctionType) -> inspect.ClosureVars:
    """Return what a function takes from around it; a name without a value yet is none of it."""
    try:
        return inspect.getclosurevars(function)
    except ValueError:  # a cell is empty, as of the name that `run` returns to
        names = {n: function.__globals__[n] for n in function.__code__.co_names
                 if n in function.__globals__}  # fmt: skip
        return inspect.ClosureVars({}, names, {}, set())


def _is_installed(found: object) -> bool:
    """Whether code is of an installed package: that counts by its version."""
    module = inspect.getmodule(found)
    if module is None or module.__name__ == MAIN:
        return False
    if module.__name__.partition(".")[0] in _OURS:
        return True
    file = getattr(module, "__file__", None)
    places = (sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib"))
    return file is None or any(Path(file).is_relative_to(place) for place in places)


def _said(value: object) -> tuple[str, bool]:
    """Return a value as text, and whether equal texts mean equal values."""
    if isinstance(value, str | int | float | bool | bytes | None | complex):
        return _short(repr(value)), True
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array {value.dtype} {value.shape} {digest}", True
    if isinstance(value, list | tuple | set | frozenset):
        parts = [_said(one) for one in value]
        texts = [text for text, _ in parts]
        if isinstance(value, set | frozenset):
            texts.sort()
        return _short(f"{type(value).__name__} [{', '.join(texts)}]"), all(w for _, w in parts)
    if isinstance(value, dict):
        parts = [_said(one) for pair in value.items() for one in pair]
        return _short(f"dict [{', '.join(text for text, _ in parts)}]"), all(w for _, w in parts)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    try:
        content = pickle.dumps(value, protocol=4)
    except Exception:  # of any object
        return kind, False
    return f"{kind} {hashlib.sha256(content).hexdigest()}", True


def _short(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}... {hashlib.sha256(text.encode()).hexdigest()}"


def _source(found: Any) -> str:
    """Return the source text of a function, class or module; without one, what its code does."""
    code = getattr(found, "__code__", None)
    is_lambda = getattr(found, "__name__", "") == "<lambda>"  # its line may have several
    try:
        text = textwrap.dedent(inspect.getsource(found))
        return f"{text}{_of_code(code)}" if is_lambda and code is not None else text
    except (OSError, TypeError):
        return found.__qualname__ if code is None else _of_code(code)


def _of_code(code: CodeType) -> str:
    constants = [_of_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} [{', '.join(constants)}]"
