"""Finds the code that an experiment consists of: its own files, and the packages it imports.

Its own are the files beside its space, or under its package, that it imports at once or later, in
a function; a script's are itself, what it imports from its folder, and the files that its command
names. They are found by reading the imports, so that nothing is run for it. What is installed
counts by its version. What is shipped here counts by a number, `revision`.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import inspect
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from sweeps.errors import UsageError
from sweeps.experiment import Experiment
from sweeps.experiments.loading import recorded_experiment
from sweeps.experiments.script import ScriptExperiment
from sweeps.records import CodeHistory, ExperimentCode, Record, RecordStore, SourceFile, SweepInfo
from sweeps.workspace.provenance import filter_secret_lines

_KEPT_BYTES: Final = 200_000
"""Of a longer file, such as data that a command names, only the digest is kept."""
_FRAMEWORK: Final = frozenset({"sweeps", "search_spaces"})
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


class EditedCode(UsageError):  # noqa: N818, what happened is the name of it
    """An experiment is other code than when a trial was trained."""


def code_of(path: str, experiment: object) -> ExperimentCode | None:
    """Return the code of a loaded experiment; None if its source cannot be had (a notebook's).

    Args:
        path: Its import path, as in its space.
        experiment: What `load_experiment` returned.
    """
    if isinstance(experiment, ScriptExperiment):
        return _collected(_Walk.of_script(experiment.files()))
    revision = getattr(experiment, "revision", None)
    module = path.partition(":")[0]
    if module == "__main__":
        return _of_notebook(experiment, revision)
    # Of one that is made by a class shipped here, only what is beyond that class is its own.
    shipped = _who_ships(experiment)
    source = getattr(sys.modules.get(module), "__file__", None)
    if source is None or is_shipped(path, experiment):
        return ExperimentCode({}, revision)
    return _collected(_Walk.of_module(module, Path(source), shipped), revision)


def is_shipped(path: str, experiment: object) -> bool:
    """Whether an experiment is one of those that count by a `revision`, and nobody's own.

    Args:
        path: Its import path, as in its space.
        experiment: What `load_experiment` returned.
    """
    return path.partition(":")[0].partition(".")[0] == _who_ships(experiment)


def _who_ships(experiment: object) -> str:
    """Return the package whose class states the `revision`; empty if there is none.

    A class of somebody's own that builds upon it inherits the number, and is not meant by it.
    """
    stating = (kind for kind in type(experiment).__mro__ if "revision" in vars(kind))
    kind = next(stating, type(experiment) if hasattr(experiment, "revision") else None)
    return "" if kind is None else kind.__module__.partition(".")[0]


def load_same(store: RecordStore, info: SweepInfo, record: Record) -> Experiment:
    """Load the experiment of a recorded trial, and refuse it if its code has changed since.

    Args:
        store: The records of the sweep it was trained in.
        info: That sweep.
        record: The trial.

    Raises:
        UsageError: It cannot be loaded, or is other code; says what differs and the ways out.
    """
    experiment = recorded_experiment(info, store.folder.parent)
    check_same_code(store, record, info.experiment, experiment)
    return experiment


def declare_same(store: RecordStore, info: SweepInfo, record: Record) -> None:
    """Note that the experiment is the code that a trial was trained by, though it was edited.

    Args:
        store: The records of the sweep.
        info: The sweep.
        record: The trial.
    """
    experiment = recorded_experiment(info, store.folder.parent)
    recorded, now = record.environment.get("code"), code_of(info.experiment, experiment)
    history = CodeHistory(store.folder)
    if recorded is not None and now is not None and now.digest not in history.same_as(recorded):
        history.keep(dataclasses.replace(now, same_as=recorded))


def check_same_code(store: RecordStore, record: Record, path: str, experiment: object) -> None:
    """Refuse an experiment whose code is another one now than when a trial was trained.

    Nothing is compared if one of both is not known.

    Args:
        store: The records of the sweep it was trained in.
        record: The trial.
        path: Import path of the experiment.
        experiment: As it is now.

    Raises:
        EditedCode: It is another one; says what differs and the ways out.
    """
    recorded, now = record.environment.get("code"), code_of(path, experiment)
    if recorded is None or now is None:
        return
    history = CodeHistory(store.folder)
    if now.digest in history.same_as(recorded):
        return
    before = history.find(recorded)
    if before is None:
        raise EditedCode(
            f"trial {record.spec.trial} was trained by other code than {path} is now, and that "
            f"code was not kept (digest {recorded:.12})"
        )
    changes = "\n  ".join(before.changes(now))
    raise EditedCode(
        f"trial {record.spec.trial} was trained by other code than {path} is now:\n  {changes}\n"
        f"Bring that code back (its text is in {history.path(before)}); or, if only comments "
        "differ, say so once: sweeps run ... --same-code"
    )


def edited_files(store: RecordStore, info: SweepInfo, record: Record) -> list[str]:
    """Return the files by which an experiment is other code now than when a trial was trained.

    Nothing is named where nothing can be compared.

    Args:
        store: The records of the sweep.
        info: The sweep.
        record: The trial.
    """
    recorded = record.environment.get("code")
    if recorded is None:
        return []
    try:
        now = code_of(info.experiment, recorded_experiment(info, store.folder.parent))
    except UsageError:  # it is not here
        return []
    history = CodeHistory(store.folder)
    before = history.find(recorded)
    if now is None or before is None or now.digest in history.same_as(recorded):
        return []
    names = sorted({*before.files, *now.files})
    return [name for name in names if before.files.get(name) != now.files.get(name)]


def _of_notebook(experiment: object, revision: int | None) -> ExperimentCode | None:
    try:
        text = inspect.getsource(type(experiment))
    except (OSError, TypeError):
        return None
    return ExperimentCode({"(notebook)": _source_file(text.encode())}, revision)


def _collected(walk: _Walk, revision: int | None = None) -> ExperimentCode:
    files = {name: _source_file(path.read_bytes()) for name, path in sorted(walk.files.items())}
    return ExperimentCode(files, revision, tuple(sorted(_distributions(walk.others))))


def _source_file(content: bytes) -> SourceFile:
    digest = hashlib.sha256(content).hexdigest()
    if len(content) > _KEPT_BYTES:
        return SourceFile(digest)
    try:
        return SourceFile(digest, filter_secret_lines(content.decode()))
    except UnicodeDecodeError:
        return SourceFile(digest)


def _distributions(modules: Iterable[str]) -> set[str]:
    """Return the installed distributions that top-level modules come from."""
    unknown, found = set(), set()
    for module in modules:
        try:
            found.add(metadata.distribution(module).metadata["Name"])
        except (metadata.PackageNotFoundError, ValueError):
            unknown.add(module)
    if unknown:  # such as sklearn, which scikit-learn brings
        found |= {name for module in unknown for name in _by_module().get(module, ())}
    return found


@functools.cache
def _by_module() -> Mapping[str, Sequence[str]]:
    """Return the distributions that bring each top-level module; takes a fifth of a second."""
    return metadata.packages_distributions()


@dataclass
class _Walk:
    """From file to file along their imports.

    Attributes:
        roots: Folders in which own modules are found, each with the only top-level name that is
            looked for there; None for any.
        files: Own files found so far, by their name below the root.
        others: Top-level names of modules that are not own.
    """

    roots: Sequence[tuple[Path, str | None]]
    left_out: frozenset[str] = _FRAMEWORK
    files: dict[str, Path] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    @classmethod
    def of_module(cls, module: str, source: Path, shipped: str) -> _Walk:
        """Begin with the module of an experiment."""
        top, *rest = module.split(".")
        is_package = source.name == "__init__.py"
        root = source.parents[len(rest) + is_package]
        if _INSTALLED & {*root.parts}:
            return cls((), others={top})
        # A single file's own are those beside it; a package's those within it.
        walk = cls([(root, top if rest or is_package else None)], _FRAMEWORK | {shipped})
        walk._visit(module)
        return walk

    @classmethod
    def of_script(cls, files: Sequence[Path]) -> _Walk:
        """Begin with the files that a command names."""
        walk = cls([(path.parent, None) for path in files if path.suffix == ".py"])
        for path in files:
            if path.name not in walk.files:
                walk._add(path.name, path, package="")
        return walk

    def _visit(self, module: str) -> bool:
        """Take a module and those it is inside of; False if it is none of ours."""
        parts = module.split(".")
        if parts[0] in self.left_out:
            return True
        if (place := self._place(parts)) is None:
            return False
        root, path = place
        for count in range(1, len(parts)):  # importing it runs these first
            above = root.joinpath(*parts[:count], "__init__.py")
            if above.exists():
                self._add(str(above.relative_to(root)), above, ".".join(parts[:count]))
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        self._add(str(path.relative_to(root)), path, package)
        return True

    def _place(self, parts: Sequence[str]) -> tuple[Path, Path] | None:
        for root, only in self.roots:
            if only in (None, parts[0]):
                base = root.joinpath(*parts)
                for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
                    if path.is_file():
                        return root, path
        return None

    def _add(self, name: str, path: Path, package: str) -> None:
        if name in self.files:
            return
        self.files[name.replace(os.sep, "/")] = path
        if path.suffix != ".py":
            return
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # a script of another Python, or in the midst of an edit
            return
        for module in _imported(tree, package):
            own = self._visit(module)
            top = module.partition(".")[0]
            if not own and self._place([top]) is None and top not in sys.stdlib_module_names:
                self.others.add(top)


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules that a file imports anywhere; of `from a import b`, both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above: list[Any] = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)
