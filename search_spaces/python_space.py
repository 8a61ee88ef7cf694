"""`@space(...)`: a space as a Python function from a trial to a configuration.

Functions and experiments are imported by a path, `module:object`. A script that is running is
`__main__` to itself. Here it has the name by which other processes import it, so that they find
what it defines; a notebook has no such name.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import inspect
import itertools
import json
import re
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, TypeVar

from search_spaces.bodies import (
    Answer,
    Row,
    Walk,
    asked,
    every_point,
    finite_size,
    kind,
    naming,
    probes,
)
from search_spaces.errors import SpaceError, did_you_mean, show
from search_spaces.parameters import Value
from search_spaces.values import (
    Categorical,
    Domain,
    Fixed,
    Float,
    Int,
    Request,
    Sampled,
    check_scalar,
    narrow,
    parse_request,
)

MAIN: Final = "__main__"

_under_way: list[str] = []
"""Modules that are being imported for a space or an experiment, the innermost last."""


def import_module(name: str) -> ModuleType:
    """Import a module; meanwhile `being_imported` returns its name."""
    _under_way.append(name)
    try:
        return importlib.import_module(name)
    finally:
        _under_way.pop()


def being_imported() -> str | None:
    """Return the module of a space or an experiment that is being imported now, if one is."""
    return _under_way[-1] if _under_way else None


def import_object(path: str, folders: Iterable[Path] = ()) -> Any:
    """Import an object by its path.

    Args:
        path: `package.module:object`.
        folders: Where modules are looked up, after the installed ones, before the current
            folder. They stay on `sys.path`: what is imported may import its neighbours later.

    Raises:
        SpaceError: No such module or object, or the module fails to import.
    """
    module_name, _, attribute = path.partition(":")
    if "<locals>" in attribute:
        raise SpaceError(
            f"{path}: is defined inside another function, where nobody else finds it; define it at "
            "the top level of its file"
        )
    for folder in (*folders, Path.cwd()):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    importlib.invalidate_caches()
    try:
        module = _running_script(module_name)
        if module is None or not hasattr(module, attribute):
            module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise SpaceError(
                f"{path}: no module {error.name!r}, neither installed nor in the current folder"
            ) from None
        raise SpaceError(f"{path}: importing it failed: {error}") from error
    except Exception as error:
        raise SpaceError(f"{path}: importing it failed: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute) and module_name == MAIN:
        raise SpaceError(
            f"{path}: exists only in the notebook or program that defines it; go on there, or put "
            f"{attribute} into a .py file"
        )
    if not hasattr(module, attribute):
        names = [name for name, item in vars(module).items() if callable(item)]
        raise SpaceError(
            f"{path}: {module_name} has no {attribute!r}{did_you_mean(attribute, names)}"
        )
    return getattr(module, attribute)


def path_of(function: Callable[..., Any]) -> str:
    """Return the import path of a function, `module:function`, as other processes write it.

    What is made from a class, such as `partial`, has the name of that class.
    """
    module_name = getattr(function, "__module__", None) or type(function).__module__
    if module_name == MAIN:
        module_name = script_name() or MAIN
    return f"{module_name}:{getattr(function, '__qualname__', type(function).__qualname__)}"


def is_importable(function: Callable[..., Any]) -> bool:
    """Whether another process can import a function by its path.

    A lambda, an object, or a function that another one or a notebook defines cannot; nor can what
    lies in a script whose running file does something when it is imported: see `is_guarded`.
    """
    path = path_of(function)
    module_name, _, name = path.partition(":")
    if module_name == MAIN or not name.isidentifier():
        return False
    module = _running_script(module_name) or sys.modules.get(module_name)
    is_there = getattr(module, name, None) is function
    if module is not sys.modules[MAIN]:
        return is_there
    return is_there and is_guarded() and not _needs_guarded(function)


def _needs_guarded(function: Callable[..., Any]) -> bool:
    """Whether a function of the running script is, or uses, what its guard defines."""
    code = getattr(function, "__code__", None)
    try:
        tree = ast.parse(Path(sys.modules[MAIN].__file__ or "").read_bytes())
    except (AttributeError, OSError, SyntaxError, ValueError):
        return False
    guards = [n for n in tree.body if isinstance(n, ast.If) and "__name__" in ast.dump(n.test)]
    nodes = [node for guard in guards for node in ast.walk(guard)]
    defined = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defined |= {n.name for n in nodes if isinstance(n, functions)}
    defined |= {
        (one.asname or one.name).partition(".")[0]
        for n in nodes
        if isinstance(n, ast.Import | ast.ImportFrom)
        for one in n.names
    }
    names = set() if code is None else {code.co_name, *_names_in(code)}
    return bool(defined & names)


def _names_in(code: CodeType) -> set[str]:
    inner = (one for one in code.co_consts if isinstance(one, CodeType))
    return {*code.co_names}.union(*map(_names_in, inner))


def takes_fold(path: str, function: Callable[..., Any]) -> bool:
    """Whether an objective function takes the number of a fold beside its trial.

    It does if its second argument has no default, or the name `fold`.

    Raises:
        SpaceError: It takes more, or cannot be called with a trial.
    """
    if inspect.isclass(function):
        raise SpaceError(f"{path}: is a class; give an object of it, which is called with a trial")
    try:
        taken = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False  # of a kind that does not say what it takes
    places = [one for one in taken if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    named = [one for one in taken if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    needed = [one.name for one in named if one.default is one.empty]
    is_called_with_one = bool(places) or len(named) < len(taken)
    if not is_called_with_one or len(needed) > min(2, len(places)):
        raise SpaceError(
            f"{path}: takes {', '.join(needed) or 'nothing'}; an objective function takes a trial, "
            "and a fold if it can be confirmed: objective(trial, fold)"
        )
    return len(needed) == 2 or any(one.name == "fold" for one in places[1:2])


_OF_TEST: Final = re.compile(r"(?<![a-z])test(?:s|ing|set)?(?![a-z])", re.IGNORECASE)
"""A name with this is one of a test set."""


def scored_by(path: str, function: Callable[..., Any]) -> tuple[str, str]:
    """Return what an objective function returns, in its own words, as `clf.score(x_test, y_test)`.

    Returns:
        The expression, and a name in it that says `test` where the function's name does not; each
        empty if there is none, the text cannot be read, or it is long.

    Raises:
        SpaceError: It calls what it returns a score of the test set, by the name of a variable, or
            of an attribute or a metric that it notes; and its own name does not say so.
    """
    node, first_line = _parsed(function)
    if node is None:
        return "", ""
    is_meant = _OF_TEST.search(path.rpartition(":")[2]) is not None
    scores = [node.body] if isinstance(node, ast.Lambda) else []
    noted: dict[str, list[str]] = {}  # by what is noted, its names
    for one in _own_nodes(node):
        if isinstance(one, ast.Return) and one.value is not None:
            scores.append(one.value)
        match one:
            case ast.Call(args=[ast.Constant(value=str(name)), value, *_]):
                noted.setdefault(ast.dump(_bare(value)), []).append(name)
    for score in scores:
        for one in map(_bare, score.elts if isinstance(score, ast.Tuple | ast.List) else [score]):
            names = [*_called(one), *noted.get(ast.dump(one), [])]
            on_test = [name for name in names if _OF_TEST.search(name)]
            if on_test and not is_meant:
                text = ast.unparse(score)
                called = "" if on_test[0] == text else f", which it calls {on_test[0]}"
                raise SpaceError(
                    f"{path}: line {first_line + score.lineno - 1} returns {text}{called}; the "
                    "test set is for the end: return a score of a validation set (if it is one, "
                    "call it so), or say `test` in the name of the function if this is meant"
                )
    text = " or ".join(dict.fromkeys(map(ast.unparse, scores)))
    if len(text) > _SHOWN_CHARACTERS:
        return "", ""
    names = [one.id for score in scores for one in ast.walk(score) if isinstance(one, ast.Name)]
    return text, "" if is_meant else next(filter(_OF_TEST.search, names), "")


_SHOWN_CHARACTERS: Final = 80


def _parsed(
    function: Callable[..., Any],
) -> tuple[ast.FunctionDef | ast.Lambda | None, int]:
    """Return the syntax of a function, and the line where its text begins; None if it has none."""
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__code__") and not inspect.ismethod(function):
        function = type(function).__call__
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return None, 0
    found = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.Lambda)]
    if not found or (isinstance(found[0], ast.Lambda) and len(found) > 1):
        return None, 0
    return found[0], max(first, 1)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a function consists of, but for functions and classes inside it."""
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, inner):
            yield child
            yield from _own_nodes(child)


def _bare(value: ast.expr) -> ast.expr:
    """Return x of `-x`, `float(x)`, `round(x, 3)` and `x.item()`."""
    match value:
        case ast.UnaryOp(operand=inner):
            return _bare(inner)
        case ast.Call(func=ast.Name(id="float" | "round"), args=[inner, *_]):
            return _bare(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr="item"), args=[]):
            return _bare(inner)
    return value


def _called(value: ast.expr) -> list[str]:
    """Return the name by which a function knows a value, if it has one."""
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return [name]
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return [name]
    return []


def is_guarded() -> bool:
    """Whether what runs of the script now stands under `if __name__ == "__main__":`.

    Else whoever imports it would run it again.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == MAIN:
            try:
                tree = ast.parse(Path(frame.f_code.co_filename).read_bytes())
            except (OSError, SyntaxError, ValueError):
                return False
            running = [n for n in tree.body if n.lineno <= frame.f_lineno <= (n.end_lineno or 0)]
            return any(isinstance(n, ast.If) and "__name__" in ast.dump(n.test) for n in running)
        frame = frame.f_back
    return True


def script_name() -> str | None:
    """Return the name by which the script that is running can be imported; None if it has none."""
    main = sys.modules[MAIN]
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m package.module
        return str(spec.name)
    file = Path(getattr(main, "__file__", None) or "")
    return file.stem if file.suffix == ".py" and file.stem.isidentifier() else None


def _running_script(module_name: str) -> ModuleType | None:
    """Return the script that is running if it is the module; importing it would run it again."""
    is_running = module_name == script_name() and module_name not in sys.modules
    return sys.modules[MAIN] if is_running else None


def folder_of(module_name: str) -> Path | None:
    """Return the folder from which an imported module can be imported again.

    None for an installed one, which is found from everywhere; of a notebook the current folder.
    """
    module = _running_script(module_name) or sys.modules.get(module_name)
    file = getattr(module, "__file__", None)
    if file is None:
        return Path.cwd()
    package = getattr(module, "__package__", None) or ""
    levels = len(package.split(".")) if package else 0
    folder = Path(file).resolve().parents[levels]
    installed = {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")}
    return None if any(folder.is_relative_to(Path(p).resolve()) for p in installed) else folder


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
    experiment: object,
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
        experiment: Import path of the experiment, `package.module:object`; or the object itself, if
            it has a name at the top level of the module, or the notebook, that decorates.
        objective: `{"metric": ..., "direction": "maximize" or "minimize"}`, or a list of them.
        defaults: trials, sampler, pruner, ask_ahead, confirm.
        baselines: Points to try first, by name: values of the parameters the function samples.
        constraints: Such as `"parameters <= 20000"`.
        fixed: Values that every configuration gets, unless the function returns the name itself.
    """
    if not isinstance(experiment, str):
        experiment = _name_of(experiment, sys._getframe(1).f_globals)
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


def _name_of(found: object, names: Mapping[str, Any]) -> str:
    """Return the import path of an object by the names of a module."""
    name = next((name for name, one in names.items() if one is found), None)
    if name is None or not name.isidentifier():
        raise SpaceError(
            f"space(experiment={show(found)}): has no name at the top level here; assign it to one "
            "first, or give its import path, module:object"
        )
    module: str = names["__name__"]
    return f"{script_name() or MAIN if module == MAIN else module}:{name}"


MAX_COUNTED = 10_000
"""A Python space must be walked to be counted; counting stops here."""

Function = Callable[[Any], Mapping[str, Value]]


class FixedTrial:
    """The trial that a space function asks; it hands each question on, as a domain."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> Any:
        """Answer for a number from `low` to `high`."""
        return self._ask(name, lambda: Float(low, high, log, step))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> Any:
        """Answer for a whole number from `low` to `high`."""
        return self._ask(name, lambda: Int(low, high, log, step))

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Any:
        """Answer for one of the choices."""
        return self._ask(name, lambda: Categorical(tuple(choices)))

    def _ask(self, name: str, build: Callable[[], Sampled]) -> object:
        with naming(name):
            return self._answer(name, build())


@dataclass(frozen=True)
class PythonBody:
    """A space function, and the overrides put around it.

    Attributes:
        path: `module:function`.
        function: The function itself.
        requests: Overrides (`--set`) of parameters that the function samples, by name.
        replaced: Values that overrides put in place of those the function returns, by name.
    """

    path: str
    function: Function = field(repr=False)
    requests: Mapping[str, Request] = field(default_factory=dict)
    replaced: Mapping[str, Value] = field(default_factory=dict)

    def run(self, answer: Answer, fixed: Mapping[str, Value]) -> Walk:
        """Call the function with a trial and return what was sampled and what it returned."""
        walk, returned, _ = self._call(answer)
        walk.config.update({**fixed, **returned, **self.replaced})
        return walk

    def _call(
        self, answer: Answer
    ) -> tuple[Walk, Mapping[str, Value], dict[str, tuple[Sampled, Domain, Value]]]:
        walk = Walk()
        known: dict[str, tuple[Sampled, Domain, Value]] = {}

        def of_narrowed(name: str, domain: Sampled) -> Value:
            if name in known:
                first, _, value = known[name]
                if first != domain:
                    raise SpaceError(f"is asked for twice, with {first.text} and {domain.text}")
                return value
            left = narrow(domain, self.requests[name]) if name in self.requests else domain
            if isinstance(left, Fixed):
                value = walk.held[name] = left.value
            else:
                value = walk.params[name] = asked(answer, name, left)
            known[name] = (domain, left, value)
            return value

        returned = self.function(FixedTrial(of_narrowed))
        if not isinstance(returned, Mapping):
            raise SpaceError(f"the function returned {show(returned)}; a dict of values is needed")
        for name, value in returned.items():
            if not isinstance(name, str):
                raise SpaceError(f"the function returned a key {show(name)}; a name is needed")
            try:
                check_scalar(value)
            except SpaceError as error:
                raise SpaceError(f"{name}: {error}", parameter=name) from None
        return walk, returned, known

    def size(self, fixed: Mapping[str, Value]) -> int | None:
        """Return the number of points; None if there are infinitely many or too many to count."""
        try:
            count = sum(1 for _ in itertools.islice(self.points(fixed), MAX_COUNTED + 1))
        except SpaceError:
            return None
        return count if count <= MAX_COUNTED else None

    def points(self, fixed: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
        """Return an iterator over every point; see `every_point` for the order."""
        for name, domains in self.domains.items():
            for domain in domains:
                finite_size(name, domain)
        return every_point(lambda answer: self.run(answer, fixed))

    @cached_property
    def domains(self) -> dict[str, tuple[Domain, ...]]:
        """The domains with which each parameter was asked for, at the corners and 64 random points.

        Raises:
            SpaceError: The function failed, or returned something that is no configuration.
        """
        found: dict[str, dict[str, Domain]] = {}

        def noting(answer: Answer) -> Walk:
            walk, _, known = self._call(answer)
            for name, (_, left, _) in known.items():
                found.setdefault(name, {})[repr(left)] = left
            return walk

        try:
            for _ in probes(noting):
                pass
        except SpaceError as error:
            raise SpaceError(f"{self.path}: {error}") from None
        except Exception as error:
            raise SpaceError(
                f"{self.path}: the function raised {type(error).__name__}: {error}; it may call "
                "trial.suggest_float, suggest_int and suggest_categorical and return a dict"
            ) from error
        return {name: tuple(domains.values()) for name, domains in found.items()}

    @property
    def conditional(self) -> bool:
        """Whether probing met points with different parameters."""
        seen = {tuple(walk.params) for walk in probes(lambda answer: self.run(answer, {}))}
        return len(seen) > 1

    def rows(self, _fixed: Mapping[str, Value]) -> list[Row]:
        """Return one row per parameter that probing met."""
        rows = []
        for name, domains in self.domains.items():
            ranges = " | ".join(domain.text for domain in domains)
            rows.append(Row(name, kind(domains[0]), ranges, ""))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical, JSON-compatible form: path, digests, domains and overrides."""
        try:
            source = textwrap.dedent(inspect.getsource(self.function))
        except OSError:
            raise SpaceError(
                f"{self.path}: its source text cannot be read; define it in a .py file"
            ) from None
        # Its source does not show the constants and functions of the module that it uses.
        walks = probes(lambda answer: self.run(answer, {}))
        answers = json.dumps([walk.config for walk in walks], sort_keys=True)
        return {
            "function": self.path,
            "source_sha256": hashlib.sha256(source.encode()).hexdigest(),
            "answers_sha256": hashlib.sha256(answers.encode()).hexdigest(),
            "parameters": [
                {"name": name, "domains": [domain.to_dict() for domain in domains]}
                for name, domains in self.domains.items()
            ],
            "set": {name: str(request) for name, request in self.requests.items()},
            "replaced": dict(self.replaced),
        }

    @staticmethod
    def from_dict(stored: Mapping[str, Any], directory: Path | None) -> PythonBody:
        """Import the function again and put the stored overrides around it."""
        folders: Sequence[Path] = [] if directory is None else [directory]
        return PythonBody(
            stored["function"],
            import_object(stored["function"], folders),
            {name: parse_request(text) for name, text in stored["set"].items()},
            dict(stored["replaced"]),
        )
