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
from typing import Annotated, Any, Final, get_type_hints

import typer
import yaml

from sweeps.config.policies import DEFAULT_RETRIES
from sweeps.errors import StoreError, UsageError
from sweeps.workspace.addresses import redacted
from sweeps.workspace.clock import seconds_of

_given: ContextVar[Mapping[str, str | None] | None] = ContextVar("_given", default=None)
"""Home, stores and storage that the command was given by options, not by its environment."""
_COMMAND: Final = re.compile(r"`(sweeps (?!run\b(?! smoke\b))([a-z-]+)[^`]*)`")
_IN_ENVIRONMENT: Final = (
    ("home", "SWEEPS_HOME"), ("tracking_uri", "MLFLOW_TRACKING_URI"), ("storage", "SWEEPS_STORAGE"),
)  # fmt: skip
SENDING: Final = frozenset(
    {"run", "finalize", "retry", "replay", "sync", "doctor", "ui"}
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
        infos = Home.resolve(context.params.get("home")).sweeps(lambda _line: None)
    except (UsageError, StoreError, OSError):
        return []  # what is wrong would be said into the line that is being typed
    return [info.name for info in infos if info.name.startswith(incomplete)]


HomeOption = Annotated[
    str | None,
    typer.Option(
        "--home",
        metavar="DIR",
        envvar="SWEEPS_HOME",
        help="Folder with records, study and MLflow store.",
        show_default="mlruns",
    ),
]
SpaceArgument = Annotated[
    str,
    typer.Argument(
        help="Name in the catalogue, YAML file, or module:function.",
        autocompletion=_complete_space,
    ),
]
SweepArgument = Annotated[
    str, typer.Argument(help="Name or id of the sweep.", autocompletion=_complete_sweep)
]


def duration(text: str) -> float:
    """Return the seconds that a text stands for; see `seconds_of`."""
    try:
        return seconds_of(text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


TrialTimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--trial-timeout",
        parser=duration,
        metavar="TIME",
        help="End a trial that takes longer (90, 3m, 1h30m); needs workers.",
    ),
]
ExtendOption = Annotated[
    bool,
    typer.Option(
        "--extend", help="Let an existing sweep go on in another space or with another sampler."
    ),
]
SameCodeOption = Annotated[
    bool,
    typer.Option(
        "--same-code",
        help="The experiment's code was edited and is still the same (a comment): go on.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Worker processes (default: one a core); 0 trains in this process."
    ),
]
MaxFailuresOption = Annotated[
    int | None,
    typer.Option(
        "--max-failures-in-row",
        metavar="N",
        help="Stop after N failed trials in a row (default 5; 0: never).",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say failures only.")]
EventsOption = Annotated[bool, typer.Option("--json", help="One JSON object per event.")]
SweepNamesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...", help="Names or ids of sweeps.", autocompletion=_complete_sweep
    ),
]

NewestSweepArgument = Annotated[
    str | None,
    typer.Argument(
        help="Name or id of the sweep (default: that of the newest run).",
        autocompletion=_complete_sweep,
        show_default=False,
    ),
]
SweepsArgument = Annotated[
    str | None,
    typer.Argument(
        help="Name or id of one sweep (default: all).",
        autocompletion=_complete_sweep,
        show_default=False,
    ),
]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow store (default: in the home)."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        envvar="SWEEPS_STORAGE",
        help="PostgreSQL database that homes of several hosts share.",
        show_default=False,
    ),
]


def with_storage(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that works on a home the option of what the home shares.

    Whoever resolves a home finds it in the environment, where it is looked for anyway.
    """
    signature = inspect.signature(command)
    if "home" not in signature.parameters:
        return command
    hints = get_type_hints(command, include_extras=True)

    @functools.wraps(command)
    def with_option(*args: Any, storage: str | None = None, **values: Any) -> Any:
        found = {**values, "storage": storage}
        given = {n: found.get(n) for n, v in _IN_ENVIRONMENT if found.get(n) != os.environ.get(v)}
        _given.set(given)
        if storage is not None:
            os.environ["SWEEPS_STORAGE"] = storage
        return command(*args, **values)

    option = inspect.Parameter(
        "storage", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=StorageOption
    )
    own = [p.replace(annotation=hints[name]) for name, p in signature.parameters.items()]
    extended = signature.replace(parameters=[*own, option])
    with_option.__signature__ = extended  # type: ignore[attr-defined]
    with_option.__annotations__ = {**hints, "storage": StorageOption}
    return with_option


def storage_option() -> str:
    """Return `--storage ...` as it is to be pasted, its password hidden; empty if it was not given.

    Where it is in the environment, the next command finds it there.
    """
    given = (_given.get() or {}).get("storage")
    if not given:
        return ""
    from sweeps.shared.server import parse_storage, shown

    return shlex.join(["--storage", shown(parse_storage(given))])


def pasteable(text: str) -> str:
    """Return a text whose commands, in backticks, find what this command was given.

    Messages know sweeps, not where they lie. `sweeps run` stays as it is, but for a first sweep:
    its options are the sweep's own.
    """
    return _COMMAND.sub(_completed, text)


def _completed(found: re.Match[str]) -> str:
    store = (_given.get() or {}).get("tracking_uri")
    is_named = store and found[2] in SENDING and "--to " not in found[1]
    named = shlex.join(["--tracking-uri", redacted(store)]) if store and is_named else ""
    return f"`{' '.join(words for words in (found[1], place_options(), named) if words)}`"


def place_options() -> str:
    """Return `--home` and `--storage` as they are to be pasted, as far as they were given."""
    home = (_given.get() or {}).get("home")
    words = shlex.join(["--home", home]) if home else ""
    return " ".join(option for option in (words, storage_option()) if option)


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
        except yaml.YAMLError:
            raise UsageError(f"{option} {text!r}: {value!r} is no plain value") from None
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
