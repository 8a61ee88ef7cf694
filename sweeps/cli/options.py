"""Command-line options that several commands share."""

from __future__ import annotations

import functools
import inspect
import os
import re
import shlex
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import typer
import yaml

from sweeps.config.options import (
    ALL_OPTIONS,
    CONFIRM_OPTIONS,
    OPTIONS,
    RunOptions,
    WhatToConfirm,
    default_of,
    option_of,
)
from sweeps.config.policies import DEFAULT_RETRIES
from sweeps.errors import StoreError, UsageError
from sweeps.executors.dask.fleet import check_resources
from sweeps.workspace.addresses import redacted

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.progress import Mode
    from sweeps.records import SweepInfo

_given: ContextVar[Mapping[str, str | None] | None] = ContextVar("_given", default=None)
"""Home, stores and storage that the command was given by options, not by its environment."""
_COMMAND: Final = re.compile(r"`(sweeps (?!run\b(?! smoke`))([a-z-]+)[^`]*)`")
_IN_ENVIRONMENT: Final = {
    "home": "SWEEPS_HOME", "tracking_uri": "MLFLOW_TRACKING_URI", "storage": "SWEEPS_STORAGE",
}  # fmt: skip
PLACES: Final = ("home", "storage")
"""Options of the whole command line, which are given before a command or behind it."""
SENDING: Final = frozenset(
    {"run", "confirm", "retry", "replay", "sync", "doctor", "ui"}
    | {"note", "rename", "archive", "delete", "import"}
)
"""Commands that take the store that a sweep is sent to, so that their hints name it."""


def _complete_space(incomplete: str) -> list[str]:
    from search_spaces.loading import catalogue

    files = (str(path) for path in Path().glob("*.yaml"))
    return [name for name in (*catalogue(), *files) if name.startswith(incomplete)]


def _complete_sweep(context: typer.Context, incomplete: str) -> list[str]:
    from sweeps.home import Home

    try:
        infos = Home.resolve(context.find_root().params.get("home")).sweeps(lambda _line: None)
    except (UsageError, StoreError, OSError):
        return []  # a message would land in the line that is being typed
    return [info.name for info in infos if info.name.startswith(incomplete)]


def _place(name: str, metavar: str, says: str) -> Any:
    variable = _IN_ENVIRONMENT[name]
    return typer.Option(
        f"--{name}",
        metavar=metavar,
        envvar=variable,
        help=says,
        show_default=False,
        show_envvar=False,
    )


def _sweep(says: str, metavar: str | None = None) -> Any:
    """Return an argument that names a sweep, which the shell completes."""
    return typer.Argument(
        help=says, metavar=metavar, autocompletion=_complete_sweep, show_default=False
    )


HomeOption = Annotated[
    str | None, _place("home", "DIR", "Folder of sweeps (default: $SWEEPS_HOME, else mlruns).")
]
StorageOption = Annotated[
    str | None,
    _place("storage", "URL", "Database that homes share (default: $SWEEPS_STORAGE)."),
]
SpaceArgument = Annotated[
    str,
    typer.Argument(
        help="Name in the catalogue, YAML file, or module:function.",
        autocompletion=_complete_space,
    ),
]
SweepArgument = Annotated[str, _sweep("Name or id of the sweep.")]
SweepNamesArgument = Annotated[list[str], _sweep("Names or ids of sweeps.", "NAME...")]
NewestSweepArgument = Annotated[
    str | None, _sweep("Name or id of the sweep (default: that of the newest run).")
]
SweepsArgument = Annotated[str | None, _sweep("Name or id of one sweep (default: all).")]


def find_sweep(home: str | None, name: str) -> tuple[Home, SweepInfo]:
    """Return a home, and the sweep of that name or id in it.

    Raises:
        UsageError: There is no such sweep; see `Home.get`.
    """
    from sweeps.home import Home

    found = Home.resolve(home)
    return found, found.get(name)


QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print failures only.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print a line a trial, and where the time went.")
]
EventsOption = Annotated[bool, typer.Option("--json", help="One JSON object per event.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CsvOption = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="Write the table as CSV to FILE; - for stdout."),
]
"""Every command that prints a table takes both; `sweeps.cli.console.answered` obeys them."""


def asks(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command options of the table; it takes their values as `asked`.

    A command that takes `what`, too, has all options of a confirmation as well.

    Args:
        names: Fields of `RunOptions`; all of them if empty. What has no `space` names it itself.
    """
    chosen = [name for name in OPTIONS if name in (names or OPTIONS) and name not in PLACES]

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(command, include_extras=True)
        taken = inspect.signature(command).parameters
        of_confirmation = list(CONFIRM_OPTIONS) if "what" in taken else []
        own = [p for name, p in taken.items() if name not in {"asked", "what"}]
        own = [p.replace(kind=p.KEYWORD_ONLY, annotation=hints[p.name]) for p in own]
        home = inspect.Parameter("home", inspect.Parameter.KEYWORD_ONLY, default=None)

        @functools.wraps(command)
        def with_options(home: str | None = None, **values: Any) -> Any:
            def read(names: list[str]) -> dict[str, Any]:
                given = {name: values.pop(name) for name in names}
                return {n: _READERS[n](v or []) if n in _READERS else v for n, v in given.items()}

            asked = RunOptions(**{"space": "", **read(chosen)}, home=home)
            if of_confirmation:
                values["what"] = WhatToConfirm(**read(of_confirmation))
            return command(asked=asked, **values)

        parameters = [
            *(p for p in own if p.default is p.empty),
            *map(_parameter, [*of_confirmation, *chosen]),
            *(p for p in own if p.default is not p.empty),
            home,
        ]
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {p.name: p.annotation for p in parameters}
        return with_options

    return decorated


def from_table(name: str) -> Any:
    """Return the annotation of a command's parameter that is an option of the table."""
    return _parameter(name).annotation


def _parameter(name: str) -> inspect.Parameter:
    """Return an option of the table as the parameter of a command."""
    if name == "space":
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=SpaceArgument)
    declared, kind = ALL_OPTIONS[name], ALL_OPTIONS[name].kind
    default = None if kind.is_list else default_of(name)
    is_switch = kind.type is bool and default is None
    flag = option_of(name)
    option = typer.Option(
        *([flag, declared.short] if declared.short else [flag]),
        help=declared.says,
        metavar=declared.metavar,
        envvar=_IN_ENVIRONMENT.get(name),
        show_default=not is_switch,
    )
    if is_switch:
        option.param_decls = (f"{flag}/--no-{flag[2:]}",)
    of_value: Any = list[kind.type] if kind.is_list else kind.type  # type: ignore[name-defined]
    of_value = of_value if default is not None else of_value | None
    annotated: Any = Annotated[of_value, option]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotated
    )


def at_home(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the `home` of the command line; see `SweepsCommands.parse_args`."""
    signature = inspect.signature(command)
    if "home" not in signature.parameters:
        return command
    hints = get_type_hints(command, include_extras=True)

    @functools.wraps(command)
    def with_home(*args: Any, context: typer.Context, **values: Any) -> Any:
        above = context.find_root().params
        found = {**values, **{name: above.get(name) for name in PLACES}}
        _given.set({
            name: found.get(name)
            for name, variable in _IN_ENVIRONMENT.items()
            if found.get(name) != os.environ.get(variable)
        })  # fmt: skip
        if found["storage"] is not None:
            os.environ["SWEEPS_STORAGE"] = found["storage"]
        return command(*args, **values, home=found["home"])

    own = [
        p.replace(annotation=hints.get(name, p.annotation))
        for name, p in signature.parameters.items()
        if name != "home"
    ]
    own.append(
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    )
    with_home.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    with_home.__annotations__ = {p.name: p.annotation for p in own}
    return with_home


def pasteable(text: str) -> str:
    """Return a message whose commands, in backticks, have the home and stores of this command.

    Messages name sweeps, but not where they lie. `sweeps run` stays as it is, but for a first
    sweep: its options are the sweep's own.
    """
    return _COMMAND.sub(_completed, text)


def _completed(found: re.Match[str]) -> str:
    store = (_given.get() or {}).get("tracking_uri")
    is_named = store and found[2] in SENDING and "--to " not in found[1]
    named = shlex.join(["--tracking-uri", redacted(store)]) if store and is_named else ""
    return f"`{' '.join(words for words in (found[1], place_options(), named) if words)}`"


def place_options(home: Path | None = None) -> str:
    """Return `--home` and `--storage` to be pasted, as far as they were given; no password.

    A value from the environment is left out, since the next command finds it there.

    Args:
        home: A home that is named whether or not it was given.
    """
    given = _given.get() or {}
    words = []
    if folder := home or given.get("home"):
        words += ["--home", str(folder)]
    if storage := given.get("storage"):
        from sweeps.shared.server import parse_storage, shown

        words += ["--storage", shown(parse_storage(storage))]
    return shlex.join(words)


def how_to_go_on(home: Home, sweep_id: str, otherwise: str) -> str:
    """Return the `sweeps run` that goes on with a sweep, in backticks; else the other words."""
    command = command_to_go_on(home, sweep_id)
    return f"`{command}`" if command else otherwise


def command_to_go_on(home: Home, sweep_id: str) -> str:
    """Return the `sweeps run` that goes on with a sweep, to be pasted; empty if not known."""
    state = home.store(sweep_id).state()
    runs = [(one.command, one.folder) for one in state.starts if one.command and one.folder]
    command, folder = runs[-1] if runs else ("", "")
    if not folder or not Path(folder).is_dir():  # of Python, or of another host
        return ""
    trials = state.requested
    line = f"{command} --trials {trials}" if trials else command
    if Path(folder) == Path.cwd():
        return f"{line} {place_options()}".strip()
    return f"cd {shlex.quote(folder)} && {line} {place_options(home.path.absolute())}"


def mode_of(*, quiet: bool, as_json: bool, verbose: bool = False) -> Mode:
    """Return how a command shows what goes on."""
    return "json" if as_json else "quiet" if quiet else "verbose" if verbose else "auto"


def parse_options(texts: list[str], option: str) -> dict[str, Any]:
    """Return `name=value` texts as a mapping; values are read as YAML scalars.

    Raises:
        UsageError: A text has no `=`, or its value is no plain value.
    """
    parsed: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.strip()):
            raise UsageError(f"{option} {text!r}: write it as name=value")
        try:
            parsed[name.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):  # a date that is none, 3000 brackets
            raise UsageError(f"{option} {name}={value:.40}: that is no plain value") from None
    return parsed


def parse_retries(texts: list[str]) -> dict[str, Any]:
    """Return `crash=3,error=0` texts as numbers by reason; `3` alone stands for every reason."""
    parts = [part for text in texts for part in text.split(",")]
    retries: dict[str, Any] = {}
    for part in parts:
        if part.strip().isdecimal():
            retries |= dict.fromkeys(DEFAULT_RETRIES, int(part))
        else:
            retries |= parse_options([part], "--retries")
    return retries


_READERS: Final[Mapping[str, Callable[[list[str]], Any]]] = {
    "overrides": tuple,
    "sampler_options": functools.partial(parse_options, option="--sampler-option"),
    "pruner_options": functools.partial(parse_options, option="--pruner-option"),
    "retries": parse_retries,
    "resources": lambda texts: check_resources(
        parse_options([part for text in texts for part in text.split(",")], "--resources")
    ),
    "leave_out": lambda numbers: numbers or None,
}
"""What makes of the values of a repeated option what the table has."""
DataOption = from_table("data")
TrackingOption = from_table("tracking_uri")
