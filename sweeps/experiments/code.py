"""Finds the code of an experiment: its own files, and the packages that it imports.

Its own files are those beside its space, or under its package, that it imports, at load time or in
a function. The own files of a script are the script, the files that it imports from its folder, and
those that its command names. They are found by reading the imports, so nothing is run.

Of the package that ships an experiment, or the class that it derives from, the modules count that
it imports to train; those that only draw do not. What they are is found likewise, in all modules of
the package. Other installed packages count by their versions.

A recorded trial is rebuilt by the code and the data that trained it, or not at all.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final, cast

from sweeps.capabilities import SupportsExamination, Trained
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.experiments.folds import FoldExperiment
from sweeps.experiments.given import is_given, lives_here, stated
from sweeps.experiments.loading import check_installed, recorded_experiment
from sweeps.experiments.objective import ObjectiveExperiment
from sweeps.experiments.script import ScriptExperiment
from sweeps.records import (
    CodeHistory,
    ExperimentCode,
    Record,
    RecordError,
    RecordStore,
    SweepInfo,
    is_same_data,
    source_of,
)
from sweeps.records.code import SourceFile
from sweeps.workspace.provenance import filter_secret_lines

_FIRST_REVISION: Final = 1
_KEPT_BYTES: Final = 200_000
"""Only the digest is kept of a longer file, such as data that a command names."""
_FRAMEWORK: Final = frozenset({"sweeps", "search_spaces"})
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


class EditedCode(UsageError):  # noqa: N818, the name says what happened
    """The code of an experiment has changed since a trial was trained."""


class RevisedCode(EditedCode):
    """An experiment that ships gives other numbers by now."""


def code_of(path: str, experiment: object) -> ExperimentCode | None:
    """Return the code of a loaded experiment; None if there is no source (as in some notebooks).

    Args:
        path: Its import path, as in its space.
        experiment: The result of `load_experiment`.
    """
    if isinstance(experiment, FoldExperiment):
        experiment = experiment.searched
    if isinstance(experiment, ScriptExperiment):
        return _collected(_Walk.of_script(experiment.files()))
    if isinstance(experiment, ObjectiveExperiment):
        return _code_of_function(path, experiment.function)
    module = path.partition(":")[0]
    code = _own_code(path, module, experiment)
    source = _stating(experiment)
    root = _root_of((source or module).partition(".")[0])
    if root is None or not (source or _INSTALLED & {*root.parts}):
        return code
    files = _followed(source or module, root)
    digests = {name: _sha256(path, path.stat().st_mtime_ns) for name, path in files.items()}
    shipped = {name: SourceFile(digest) for name, digest in digests.items()}
    return code and dataclasses.replace(code, shipped=shipped)


def _code_of_function(path: str, function: Callable[..., Any]) -> ExperimentCode | None:
    """Return the code of an objective function: of its file, or of itself and what it holds."""
    if is_given(function):
        return _stated(stated(path, function))
    module = path.partition(":")[0]
    source = getattr(inspect.getmodule(function), "__file__", None)
    return None if source is None else _collected(_Walk.of_module(module, Path(source), ""))


def _stated(facts: Mapping[str, str], revision: int | None = None) -> ExperimentCode:
    files = {name: _source_file(text.encode()) for name, text in facts.items()}
    return ExperimentCode(files, revision)


def _own_code(path: str, module: str, experiment: object) -> ExperimentCode | None:
    revision = getattr(experiment, "revision", None)
    if lives_here(path):
        return _stated(stated(path, experiment), revision)
    source = getattr(sys.modules.get(module), "__file__", None)
    if source is None or is_shipped(path, experiment):
        return ExperimentCode({}, revision)
    # A package that ships the class is no part of the own files.
    shipped = _stating(experiment).partition(".")[0]
    return _collected(_Walk.of_module(module, Path(source), shipped), revision)


def kept_whole(code: ExperimentCode) -> ExperimentCode:
    """Return a state as it is kept: with the texts of a checkout, or the number of a release.

    `code_of` leaves them out, for they take a fifth of a second and digests are mostly equal.
    """
    if not code.shipped:
        return code
    root = _root_of(code.package)
    if root is None:
        return code
    if _INSTALLED & {*root.parts}:
        found = sorted(_distributions([code.package]))
        release = f"{found[0]} {metadata.version(found[0])}" if found else None
        return dataclasses.replace(code, release=release)
    texts = {name: _source_file((root / name).read_bytes()) for name in code.shipped}
    return dataclasses.replace(code, shipped=texts)


def is_same_code(history: CodeHistory, recorded: str, now: ExperimentCode) -> bool:
    """Whether a state is the recorded one, or counts as the same.

    Args:
        history: The states that were kept.
        recorded: Identity of the recorded one.
        now: The state to compare with it.
    """
    if now.identity in history.same_as(recorded):
        return True
    newest = history.newest(recorded)
    return newest is not None and newest.becomes(kept_whole(now))


def is_shipped(path: str, experiment: object) -> bool:
    """Whether an experiment ships with the class that states its `revision`; a user's own does not.

    Arguments as for `code_of`.
    """
    if isinstance(experiment, FoldExperiment):
        experiment = experiment.searched
    package = path.partition(":")[0].partition(".")[0]
    return package == _stating(experiment).partition(".")[0]


def _stating(experiment: object) -> str:
    """Return the module of the class that states the `revision`; empty if there is none.

    A user's class that derives from such a class inherits the number, but the number does not
    describe the user's code.
    """
    stating = (kind for kind in type(experiment).__mro__ if "revision" in vars(kind))
    kind = next(stating, type(experiment) if hasattr(experiment, "revision") else None)
    return "" if kind is None else kind.__module__


def revised(history: CodeHistory, recorded: str | None, now: ExperimentCode) -> str:
    """Say that an experiment that ships gives other numbers than before; empty if it does not.

    Args:
        history: The states that were kept.
        recorded: Identity of the state that trained; None if it is older than such records. It is
            taken as it was: nobody can declare that it counts as another revision.
        now: The state to compare with it.
    """
    if now.revision is None or now.files:
        return ""
    before = next((code for code in history.all() if code.identity == recorded), None)
    if before is None and (recorded is not None or now.revision == _FIRST_REVISION):
        return ""
    then = "an earlier revision" if before is None else f"revision {before.revision}"
    is_other = before is None or before.revision != now.revision
    return f"{then} of the experiment then, {now.revision} now" if is_other else ""


def load_same(
    store: RecordStore, info: SweepInfo, record: Record, *, to_train: bool = False
) -> Experiment:
    """Load the experiment of a recorded trial, and refuse it if its code has changed since.

    Args:
        store: The records of the sweep that trained it.
        info: That sweep.
        record: The trial.
        to_train: See `check_same_code`.

    Raises:
        UsageError: It cannot be loaded, needs a package that is missing, or its code differs; the
            message has the differences and the ways out.
    """
    experiment = recorded_experiment(info, store.folder.parent)
    check_installed(experiment, info.experiment)
    check_same_code(store, record, info.experiment, experiment, to_train=to_train)
    return experiment


def declare_same(store: RecordStore, info: SweepInfo, record: Record) -> None:
    """Note that the edited experiment counts as the code that trained a trial.

    Arguments as for `load_same`.
    """
    experiment = recorded_experiment(info, store.folder.parent)
    recorded, now = record.environment.get("code"), code_of(info.experiment, experiment)
    history = CodeHistory(store)
    if recorded is not None and now is not None and not is_same_code(history, recorded, now):
        history.keep(dataclasses.replace(kept_whole(now), same_as=recorded))


def check_same_code(
    store: RecordStore, record: Record, path: str, experiment: object, *, to_train: bool = False
) -> None:
    """Refuse an experiment whose code has changed since a trial was trained.

    If the code then or the code now is not known, nothing is compared. A later revision of an
    experiment that ships rebuilds the models of the earlier ones; it only trains otherwise.

    Args:
        store: The records of the sweep that trained the trial.
        record: The trial.
        path: Import path of the experiment.
        experiment: The experiment.
        to_train: Whether the trial is to be trained again; else its model is rebuilt, or shown.

    Raises:
        EditedCode: It has changed; the message has the differences and the ways out.
        RevisedCode: It is to be trained again, and would give other numbers.
    """
    recorded, now = record.environment.get("code"), code_of(path, experiment)
    if now is None:
        return
    history = CodeHistory(store)
    if said := revised(history, recorded, now):
        if not to_train:
            return
        raise RevisedCode(
            f"trial {record.trial} cannot be trained again as it was: {path} gives other numbers "
            f"by now ({said}). Train its configuration in another sweep (`sweeps run` with "
            "--name), or in a new generation of this one (--extend)"
        )
    if recorded is None or is_same_code(history, recorded, now):
        return
    before = history.newest(recorded)
    if before is None:
        raise EditedCode(
            f"trial {record.trial} was trained by other code than {path} is now, and that "
            f"code was not kept (digest {recorded:.12})"
        )
    changes = "\n  ".join(before.changes(kept_whole(now)))
    raise EditedCode(
        f"trial {record.trial} was trained by other code than {path} is now:\n  {changes}\n"
        f"Bring that code back (its text is in {history.path(before)}); or, if trials come "
        "out the same (a comment, a new method such as `folds`), say so once: --same-code"
    )


def unrecorded_package(store: RecordStore, info: SweepInfo, record: Record) -> str:
    """Return the package whose code was not recorded with a trial, so that no edit is noticed.

    It is empty if there is none, or its code was recorded. Arguments as for `load_same`.
    """
    recorded = record.environment.get("code")
    before = CodeHistory(store).newest(recorded) if recorded else None
    now = _code_now(store, info)
    return "" if now is None or before is None or before.shipped else now.package


def edited_files(store: RecordStore, info: SweepInfo, record: Record) -> list[str]:
    """Return the names of an experiment's files that have changed since a trial was trained.

    If there is nothing to compare with, the list is empty. Arguments as for `load_same`.
    """
    recorded, history = record.environment.get("code"), CodeHistory(store)
    if recorded is None or (before := history.newest(recorded)) is None:
        return []
    now = _code_now(store, info)
    if now is None or is_same_code(history, recorded, now):
        return []
    return list(before.edited(now))


def _code_now(store: RecordStore, info: SweepInfo) -> ExperimentCode | None:
    try:
        return code_of(info.experiment, recorded_experiment(info, store.folder.parent))
    except UsageError:  # the experiment is not on this machine
        return None


def _collected(walk: _Walk, revision: int | None = None) -> ExperimentCode:
    files = {name: _source_file(path.read_bytes()) for name, path in sorted(walk.files.items())}
    return ExperimentCode(files, revision, tuple(sorted(_distributions(walk.others))))


def _source_file(content: bytes) -> SourceFile:
    text = None
    if len(content) <= _KEPT_BYTES:
        with suppress(UnicodeDecodeError):
            text = filter_secret_lines(content.decode())
    return SourceFile(hashlib.sha256(content).hexdigest(), text)


def _distributions(modules: Iterable[str]) -> set[str]:
    unknown, found = set(), set()
    for module in modules:
        try:
            found.add(metadata.distribution(module).metadata["Name"])
        except (metadata.PackageNotFoundError, ValueError):
            unknown.add(module)
    if unknown:  # such as sklearn, which the distribution scikit-learn installs
        found |= {name for module in unknown for name in _by_module().get(module, ())}
    return found


@functools.cache
def _by_module() -> Mapping[str, Sequence[str]]:
    """Return the distributions of each top-level module; this takes a fifth of a second."""
    return metadata.packages_distributions()


_PASSED: Final = frozenset({"draw", "examine", "picture", "pages", "show"})
"""Methods of an experiment that only draw: what they alone import trains nothing."""
_STATEMENT: Final = re.compile(
    r"^([ \t]*)(?:def (\w+)"
    r"|(from[ \t]+[\w.]+[ \t]+import[ \t]*(?:\([^)]*\)|[^\n(]*)|import[ \t]+[^\n]+))",
    re.MULTILINE,
)
"""An import, or the head of a function. Thirty modules are searched in 10 ms, and parsed in 100."""


def _root_of(top: str) -> Path | None:
    """Return the folder that a top-level package or module lies in; None without files."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.has_location:
        return None
    return Path(spec.origin).parents[1 if spec.submodule_search_locations else 0]


@functools.cache
def _followed(module: str, root: Path) -> Mapping[str, Path]:
    """Return the modules of a package that one of them imports to train, itself among them."""
    top = module.partition(".")[0]
    walk = _Walk([(root, top)], frozenset(), read=_scanned)
    if top not in _FRAMEWORK:
        walk._visit(module)
    return walk.files


@functools.lru_cache(maxsize=1000)
def _sha256(path: Path, mtime: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _scanned(path: Path) -> ast.Module:
    """Return the imports of a file, without those of methods that only draw."""
    found, method = ast.Module([], []), ""
    for match in _STATEMENT.finditer(path.read_text(encoding="utf-8", errors="replace")):
        indent, name, statement = match.groups()
        if name:
            method = name
        elif not (indent and method in _PASSED):
            with suppress(SyntaxError, ValueError):  # a line of a text
                found.body += ast.parse(statement.strip()).body
    return found


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # written for another Python version, or half edited
        return ast.Module([], [])


@dataclass
class _Walk:
    """Follows the imports from file to file.

    Attributes:
        roots: Folders of own modules, each with the only top-level name that is looked up there, or
            with None for any name.
        left_out: Top-level names of modules that are not followed.
        read: Returns the statements of a file that hold its imports.
        files: Own files found so far, by their name below the root.
        others: Top-level names of modules that are not own.
    """

    roots: Sequence[tuple[Path, str | None]]
    left_out: frozenset[str] = _FRAMEWORK
    read: Callable[[Path], ast.Module] = _parsed
    files: dict[str, Path] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    @classmethod
    def of_module(cls, module: str, source: Path, shipped: str) -> _Walk:
        """Return the walk from the module of an experiment."""
        top, *rest = module.split(".")
        is_package = source.name == "__init__.py"
        root = source.parents[len(rest) + is_package]
        if _INSTALLED & {*root.parts}:
            return cls((), others={top})
        # For a single file, the modules beside it are own; for a package, those within it.
        walk = cls([(root, top if rest or is_package else None)], _FRAMEWORK | {shipped})
        walk._visit(module)
        return walk

    @classmethod
    def of_script(cls, files: Sequence[Path]) -> _Walk:
        """Return the walk from the files that a command names."""
        walk = cls([(path.parent, None) for path in files if path.suffix == ".py"])
        for path in files:
            if path.name not in walk.files:
                walk._add(path.name, path, package="")
        return walk

    def _visit(self, module: str) -> bool:
        """Add a module and the packages around it; return False if it is not an own module."""
        parts = module.split(".")
        if parts[0] in self.left_out:
            return True
        if (place := self._place(parts)) is None:
            return False
        root, path = place
        for count in range(1, len(parts)):  # an import of the module runs these first
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
        for module in _imported(self.read(path), package):
            own = self._visit(module)
            top = module.partition(".")[0]
            if not own and self._place([top]) is None and top not in sys.stdlib_module_names:
                self.others.add(top)


def _imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield all modules that a file imports; for `from a import b`, both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above: list[Any] = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)


class PreparedAgain:
    """An experiment and its data; each is loaded when it is first asked for."""

    def __init__(
        self,
        load: Callable[[], Experiment],
        data: PreparedData | None = None,
        source: str | None = None,
    ) -> None:
        """Remember how to load the experiment, and its data, unless they are prepared already.

        Without a `source` they are the experiment's own.
        """
        self.load, self.source = functools.cache(load), source
        self._data = data

    def of(self, record: Record) -> PreparedData:
        """Return the data that a trial was trained on.

        Raises:
            UsageError: The data cannot be loaded, or their digests differ from the recorded ones.
        """
        recorded = record.data
        if self._data is None:
            seed = int(recorded.get("info", {}).get("split_seed", 0))
            try:
                self._data = self.load().prepare(self.source or source_of(recorded), seed)
            except (ValueError, OSError) as error:
                raise UsageError(f"its data: {error}") from None
        data = self._data
        if not is_same_data(data, recorded):
            raise UsageError(
                f"trial {record.trial} was trained on other data ({recorded.get('name')}, "
                f"digest {recorded.get('digest')!s:.12}) than {data.name} ({data.digest:.12}); "
                "name them by --data"
            )
        return data

    def examine(self, record: Record) -> Mapping[str, bytes]:
        """Return the mistakes of a trial with a result as files by name: `SupportsExamination`.

        Raises:
            UsageError: The record holds too little (`TooLittleKept`), or the data are not those
                that the trial was trained on.
        """
        experiment, data = cast(SupportsExamination, self.load()), self.of(record)
        assert record.result is not None
        try:
            return experiment.examine(record.config, data, record.result)
        except ValueError as error:
            trial = record.trial
            raise TooLittleKept(f"trial {trial} cannot be examined: {error}") from None


class TooLittleKept(UsageError):  # noqa: N818, the name says what is wrong
    """A trial can never be examined, because its record holds too little for its experiment."""


def trained_of(store: RecordStore, info: SweepInfo, record: Record) -> Trained:
    """Return a recorded training with its result, arrays and weights (None if not kept).

    Raises:
        UsageError: It failed, so there is no result.
    """
    whole = store.read(record.key)
    if whole.result is None:
        raise UsageError(f"trial {record.trial} {record.outcome}: it has no result")
    try:
        weights = store.weights(record)
    except (UsageError, RecordError):
        weights = None
    name = f"{info.name}, trial {record.trial}"
    return Trained(name, record.config, whole.result, weights)
