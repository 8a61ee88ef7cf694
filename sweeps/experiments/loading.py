"""Imports an experiment by the path in a space; a mistake in the path becomes one message.

A sweep remembers the folder of its experiment. `recorded_experiment` finds the experiment of a
recorded sweep there, or in the place that the folder was moved to.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, cast

from search_spaces.errors import SpaceError, did_you_mean
from search_spaces.objectives import ObjectiveFunction, Script, is_function, is_script
from search_spaces.python_space import import_module, import_object, script_name
from search_spaces.space import Space
from sweeps import capabilities
from sweeps.errors import ExperimentError, UntrustedError, UsageError
from sweeps.experiment import Experiment
from sweeps.experiments.folds import ON_FOLDS, FoldExperiment
from sweeps.experiments.given import given
from sweeps.experiments.objective import ObjectiveExperiment
from sweeps.experiments.script import ScriptCommand, ScriptExperiment
from sweeps.journal.events import Received
from sweeps.records import RecordStore, SweepInfo, confirmed_by, heard
from sweeps.wording import how_to_install

SHIPPED: Final = frozenset(f"digitexp.experiment:experiment{end}" for end in ("", ON_FOLDS))
"""The experiments that are installed with this package."""
_MEMBERS = ("name", "parameters", "metrics", "measures", "check", "prepare", "measure", "plan")
_CALLED_IN_A_TRIAL = ("warm_up", "train", "draw", "load_model")

_TOGETHER = (("validation_labels", "picture"), ("signature", "predict"))
"""Members that make a capability together; one without the other is a mistake."""
_CAPABILITIES = (
    getattr(capabilities, name) for name in capabilities.__all__ if name.startswith("Supports")
)
_CAPABLE: Final = frozenset(
    member
    for capability in _CAPABILITIES
    for member in {*vars(capability), *capability.__annotations__}
    if not member.startswith("_")
)
"""The members of all capabilities."""
_OF_A_SEARCH: Final = "sweeps.estimators.searching"
_SHOWN: Final = 300
"""Characters of a command that a message shows."""
_MISSPELT: Final = 0.9
"""So alike, from 0 to 1, a member and that of a capability are taken for the same word."""

P = ParamSpec("P")
T = TypeVar("T")


def load_experiment(path: str, directory: Path | None) -> Experiment:
    """Import an experiment.

    Args:
        path: `package.module:object`, or the recorded name of a `Script` or an
            `ObjectiveFunction`. With `@folds` at its
            end it is the experiment that trains on folds, see `FoldExperiment`.
        directory: Folder of the space file. Modules are looked up there first, so that a space and
            its experiment can lie side by side anywhere.

    Raises:
        UsageError: The path is malformed, cannot be imported, or names no experiment.
    """
    if path.endswith(ON_FOLDS):
        return FoldExperiment(load_experiment(path.removesuffix(ON_FOLDS), directory), path)
    if is_script(path):
        script = script_of(path)
        try:
            return ScriptExperiment(script, directory)
        except ValueError as error:
            raise UsageError(str(error)) from None
    if is_function(path):
        function = ObjectiveFunction.from_experiment(path)
        return ObjectiveExperiment(function, _function(function.path, directory))
    module_name, colon, attribute = path.partition(":")
    if not (module_name and colon and attribute):
        raise UsageError(f"experiment {path!r}: write it as package.module:object")
    if (found := given(path)) is not None:
        _check_members(path, found)
        return cast(Experiment, found)
    if module_name == _OF_A_SEARCH:
        raise UsageError(
            f"experiment {path!r} exists only where its search was called (sweeps.search, or "
            "SweepSearchCV); call it again there with the same name and home, or put a "
            "SklearnExperiment into a file"
        )
    module = _imported(path, module_name, directory)
    if not hasattr(module, attribute):
        hint = did_you_mean(attribute, vars(module))
        raise UsageError(f"experiment {path!r}: {module_name} has no {attribute!r}{hint}")
    found = getattr(module, attribute)
    _check_members(path, found)
    return cast(Experiment, found)


def _function(path: str, directory: Path | None) -> Callable[..., Any]:
    found, module = given(path), path.partition(":")[0]
    if found is None and directory is not None and module != script_name():
        _look_first_in(directory, module.partition(".")[0])
    try:
        found = found or import_object(path, [directory] if directory else [])
    except SpaceError as error:
        raise UsageError(str(error)) from None
    if not callable(found):
        raise UsageError(f"{path}: is {type(found).__name__}, not a function of a trial")
    return cast(Callable[..., Any], found)


def _check_members(path: str, found: Any) -> None:
    """Refuse an experiment that lacks members, or has some under a name that nothing asks for."""
    missing = [m for m in (*_MEMBERS, *_CALLED_IN_A_TRIAL) if not hasattr(found, m)]
    if missing:
        raise UsageError(
            f"experiment {path!r} lacks {', '.join(missing)}; see sweeps/experiment.py for what an "
            "experiment has"
        )
    for first, second in _TOGETHER:
        for has, lacks in ((first, second), (second, first)):
            if hasattr(found, has) and not hasattr(found, lacks):
                raise UsageError(
                    f"experiment {path!r} has `{has}` without `{lacks}`, which belongs to it"
                    f"{did_you_mean(lacks, dir(found))}; see sweeps/capabilities.py"
                )
    for name in dir(found):
        meant = get_close_matches(name, _CAPABLE, n=1, cutoff=_MISSPELT)
        if name not in _CAPABLE and meant and not hasattr(found, meant[0]):
            raise UsageError(
                f"experiment {path!r} has `{name}`, which nothing asks for: if {meant[0]!r} is "
                f"meant, call it so (see sweeps/capabilities.py), else for example `_{name}`"
            )


def _imported(path: str, module_name: str, directory: Path | None) -> Any:
    if directory is not None:
        _look_first_in(directory, module_name.partition(".")[0])
    try:
        return import_module(module_name)
    except ImportError as error:
        where = f" (looked in {directory} first)" if directory else ""
        if directory is not None and not directory.is_dir():
            where = (
                f" (looked in {directory}, which is not there any more; run the command in the "
                "folder where it lies now)"
            )
        how = how_to_install([error.name or ""])
        raise UsageError(f"experiment {path!r} cannot be imported{where}: {error}{how}") from None
    except Exception as error:
        raise UsageError(
            f"experiment {path!r}: importing it failed: {type(error).__name__}: {error}"
        ) from error


def check_installed(experiment: object, path: str) -> None:
    """Refuse an experiment whose trainings need a package that is not installed.

    Args:
        experiment: The experiment; see `SupportsRequirements` in sweeps/capabilities.py.
        path: Its import path.

    Raises:
        UsageError: A package is missing; the message says how to install it.
    """
    missing = []
    for name in getattr(experiment, "requires", ()):
        try:
            is_there = importlib.util.find_spec(name) is not None
        except (ImportError, ValueError):  # a package around it is missing; or it is half imported
            is_there = name in sys.modules
        if not is_there:
            missing.append(name)
    if missing:
        names, verb = " and ".join(missing), "is" if len(missing) == 1 else "are"
        raise UsageError(
            f"experiment {path!r} needs {names}, which {verb} not installed"
            f"{how_to_install(missing) or f'; install what {sys.executable} lacks'}"
        )


def recorded_experiment(info: SweepInfo, records: Path) -> Experiment:
    """Import the experiment of a recorded sweep; arguments as for `experiment_folder`."""
    return load_experiment(info.experiment, experiment_folder(info, records))


def recorded_space(info: SweepInfo, records: Path) -> Space:
    """Return the space of a recorded sweep; arguments as for `experiment_folder`.

    Raises:
        UsageError: It cannot be made, as that of a function that is gone.
    """
    try:
        return Space.from_dict(info.space, directory=experiment_folder(info, records))
    except SpaceError as error:
        raise UsageError(f"sweep {info.name!r}: {error}") from error


def experiment_folder(info: SweepInfo, records: Path) -> Path | None:
    """Return the folder in which the experiment of a recorded sweep is looked up first.

    It is the folder that the sweep remembers; for a confirmation, that of the confirmed sweep. If
    the experiment is neither there nor installed, because folders were moved, it is looked for
    beside the home, then in the current folder.

    Args:
        info: The sweep.
        records: Folder of the home's records, where it lies now.

    Returns:
        The folder. If the experiment is found nowhere, it is the remembered one. None if there is
        none, or if the experiment of an imported sweep is installed.

    Raises:
        UntrustedError: See `check_trust`.
    """
    foreign = check_trust(info, records)
    if foreign is not None:
        return Path(foreign.folder) if foreign.folder else None
    remembered = _remembered_folder(info, records)
    if remembered is not None and lies_in(remembered, info.experiment):
        return remembered
    if _is_installed(info.experiment):
        return remembered
    project = records.parent.parent  # the project around the home may have been moved
    parts = () if remembered is None else remembered.parts
    places = [*(project.joinpath(*parts[n:]) for n in range(1, len(parts))), project, Path.cwd()]
    return next((place for place in places if lies_in(place, info.experiment)), remembered)


def folder_of(directory: Path | None, records: Path) -> Path | None:
    """Return the folder in which the experiment of a space is looked up first.

    Args:
        directory: The folder of the space; that of a confirmation lies among the records, and its
            experiment is that of the search.
        records: Folder of the home's records.

    Raises:
        UntrustedError: See `check_trust`.
    """
    searched = confirmed_by(directory)
    info = None if searched is None else RecordStore(records / searched).info()
    return directory if info is None else experiment_folder(info, records)


def check_trust(info: SweepInfo, records: Path) -> Received | None:
    """Refuse a sweep whose experiment may not be run; return its source, None if made here.

    An experiment that ships here may be run, whoever recorded the sweep.

    Raises:
        UntrustedError: It was imported, and nobody has said yet that its experiment may be run.
    """
    foreign = RecordStore(records / info.id).state().received
    searched = confirmed_by(info.directory)
    if foreign is None and searched is not None:  # a confirmation, made here, of an imported one
        foreign = RecordStore(records / searched).state().received
    if foreign is None or foreign.trusted or not (named := what_runs(info)):
        return foreign
    raise UntrustedError(
        f"sweep {info.name!r} came with {foreign.file}, and this would run {named}; nothing was "
        f"run. If you trust it: `sweeps trust {info.name} FOLDER`, where FOLDER has its code"
    )


def what_runs(info: SweepInfo) -> str:
    """Return in words the code that a sweep's experiment and space run; empty if both ship here.

    A forged record may name another experiment in its space than beside it, and a space may be a
    function of any module.
    """
    named = {info.experiment, str(info.space.get("experiment", info.experiment))} - SHIPPED
    parts = [
        f"the command  {script_of(path).command}" if is_script(path) else f"the code of {path}"
        for path in sorted(named)
    ]
    body = info.space.get("body")
    if isinstance(body, Mapping) and "function" in body:
        parts.append(f"the function {body['function']}")
    return " and ".join(parts)


def _remembered_folder(info: SweepInfo, records: Path) -> Path | None:
    searched = confirmed_by(info.directory)
    if searched is None:
        return Path(info.directory) if info.directory else None
    confirmed = heard(RecordStore(records / searched).info, lambda damage: None)
    return (
        Path(info.directory or "") if confirmed is None else _remembered_folder(confirmed, records)
    )


def lies_in(folder: Path, experiment: str) -> bool:
    """Whether the code of an experiment, or the files that its command names, lie in a folder."""
    if is_script(experiment):
        files = ScriptCommand(script_of(experiment).command).scripts()
        return folder.is_dir() and all((folder / file).exists() for file in files)
    module = experiment.partition(":")[0].partition(".")[0]
    return (folder / f"{module}.py").exists() or (folder / module).is_dir()


def _is_installed(experiment: str) -> bool:
    """Whether an experiment can be imported without its folder."""
    module = experiment.partition(":")[0].partition(".")[0]
    if is_script(experiment):
        return False
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # `__main__`, which has no spec
        return True


def _look_first_in(directory: Path, module: str) -> None:
    """Make a module beside the space be found first, even if another one of its name is loaded."""
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    places = (directory / f"{module}.py", directory / module / "__init__.py")
    own = next((place for place in places if place.exists()), None)
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if own is not None and loaded is not None and Path(loaded).resolve() != own.resolve():
        for name in [n for n in sys.modules if n == module or n.startswith(f"{module}.")]:
            del sys.modules[name]
        sys.path.remove(str(directory))
        sys.path.insert(0, str(directory))
        importlib.invalidate_caches()


def script_of(path: str) -> Script:
    """Return the script of a recorded name.

    Raises:
        UsageError: The name, of a forged or damaged record, was not made from a space.
    """
    try:
        return Script.from_experiment(path.removesuffix(ON_FOLDS))
    except ValueError as error:
        raise UsageError(str(error)) from None


def is_same_experiment(one: str, other: str) -> bool:
    """Whether two paths name the same experiment; which Python runs a script makes no other one."""
    if one == other or not (is_script(one) and is_script(other)):
        return one == other
    try:
        first, second = script_of(one), script_of(other)
    except UsageError:  # of a forged or damaged record
        return False
    if one.endswith(ON_FOLDS) is not other.endswith(ON_FOLDS):
        return False
    is_alike = replace(first, command="") == replace(second, command="")
    return is_alike and ScriptCommand(first.command).is_same(ScriptCommand(second.command))


def script_facts(path: str) -> dict[str, str]:
    """Return what a script's path holds, in words by the key of the space; empty for any other."""
    if not is_script(path):
        return {}
    try:
        script = script_of(path)
    except UsageError:  # of a forged or damaged record
        return {}
    patterns = "; ".join(f"{name} '{pattern}'" for name, pattern in script.patterns.items())
    facts = {"command": script.command, "metrics": patterns, "result": script.result}
    return {key: fact for key, fact in {**facts, "final": script.final}.items() if fact}


def script_differences(there: str, asked: str) -> Iterator[str]:
    """Yield a line for each difference of two script paths, but for the Python that runs it."""
    one, other = script_facts(there) or {"experiment": there}, script_facts(asked)
    for key in dict.fromkeys([*one, *other]):
        before, now = one.get(key, "none"), other.get(key, "none")
        is_command = key == "command" and "command" in one
        is_same = ScriptCommand(before).is_same(ScriptCommand(now)) if is_command else before == now
        if not is_same:
            yield f"{key}: {before[:_SHOWN]} there, {now[:_SHOWN]} asked"


def experiment_in_words(path: str) -> str:
    """Return the import path of an experiment, or the command that stands for it."""
    facts = script_facts(path)
    return f"the command `{facts['command']}`" if facts else path


def asking(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call an experiment's function before any trial; an error there is a mistake of the user.

    Raises:
        UsageError: The function raised ValueError or OSError; the message is the same.
    """
    try:
        return function(*args, **kwargs)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def ask(experiment: Experiment, ability: str, *arguments: Any) -> Any:
    """Call a capability of an experiment, by the name of its method.

    Raises:
        ExperimentError: The method raised; the message has the error and its line.
    """
    try:
        return getattr(experiment, ability)(*arguments)
    except Exception as error:
        raise failed(experiment, ability, error) from error


def failed(experiment: Experiment, ability: str, error: Exception) -> ExperimentError:
    """Return the error for a capability that raised, or whose answer cannot be used."""
    return ExperimentError.at(experiment.name, ability, error)
