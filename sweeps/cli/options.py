"""Command-line options that several commands share."""

from __future__ import annotations

import dataclasses
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

from sweeps.config.options import RunOptions
from sweeps.config.policies import DEFAULT_RETRIES
from sweeps.errors import StoreError, UsageError
from sweeps.executors.dask.fleet import check_resources
from sweeps.workspace.addresses import redacted
from sweeps.workspace.clock import seconds_of

if TYPE_CHECKING:
    from sweeps.home import Home
    from sweeps.progress import Mode
    from sweeps.records import SweepInfo

_given: ContextVar[Mapping[str, str | None] | None] = ContextVar("_given", default=None)
"""Home, stores and storage that the command was given by options, not by its environment."""
_COMMAND: Final = re.compile(r"`(sweeps (?!run\b(?! smoke`))([a-z-]+)[^`]*)`")
_IN_ENVIRONMENT: Final = (
    ("home", "SWEEPS_HOME"), ("tracking_uri", "MLFLOW_TRACKING_URI"), ("storage", "SWEEPS_STORAGE"),
)  # fmt: skip
SENDING: Final = frozenset(
    {"run", "confirm", "check", "next", "retry", "replay", "sync", "doctor", "ui"}
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
        return []  # a message would land in the line that is being typed
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


def find_sweep(home: str | None, name: str) -> tuple[Home, SweepInfo]:
    """Return a home, and the sweep of that name or id in it.

    Raises:
        UsageError: There is no such sweep; see `Home.get`.
    """
    from sweeps.home import Home

    found = Home.resolve(home)
    return found, found.get(name)


def duration(text: str) -> float:
    """Return the seconds that a text stands for; see `seconds_of`."""
    try:
        return seconds_of(text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


SameCodeOption = Annotated[
    bool,
    typer.Option(
        "--same-code",
        help="Go on with edited code that gives the same numbers (a comment, a new method).",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print failures only.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print a line a trial, and where the time went.")
]
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
CsvOption = Annotated[
    Path | None,
    typer.Option("--csv", metavar="FILE", help="Write the table as CSV to FILE; - for stdout."),
]
"""Every command that prints a table takes both; `sweeps.cli.console.answered` obeys them."""


TrustOption = Annotated[
    bool,
    typer.Option("--trust-cluster", help="Send pickles over a network without encryption."),
]
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


_RUN_OPTIONS: Final[Mapping[str, Any]] = {
    "space": SpaceArgument,
    "trials": Annotated[
        int | None,
        typer.Option("--trials", "-n", help="Trials with an outcome, in total over all starts."),
    ],
    "name": Annotated[str | None, typer.Option(help="Its name (default: the space's).")],
    "extend": Annotated[
        bool,
        typer.Option(
            "--extend", help="Let an existing sweep go on in another space or with another sampler."
        ),
    ],
    "same_code": SameCodeOption,
    "seed": Annotated[int, typer.Option(help="Decides every trial.")],
    "overrides": Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Fix or narrow: learning_rate=1e-3, units_1=16..64, batch_size=16,32.",
        ),
    ],
    "sampler": Annotated[
        str | None,
        typer.Option(help="tpe, gp, cmaes, random, qmc, grid, auto or an import path."),
    ],
    "sampler_options": Annotated[
        list[str] | None,
        typer.Option("--sampler-option", metavar="NAME=VALUE", help="Option of the sampler."),
    ],
    "pruner": Annotated[
        str | None, typer.Option(help="none, median, hyperband, asha or an import path.")
    ],
    "pruner_options": Annotated[
        list[str] | None,
        typer.Option("--pruner-option", metavar="NAME=VALUE", help="Option of the pruner."),
    ],
    "timeout": Annotated[
        float | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="Begin no trial after this time (90, 3m, 1h30m), start-up included.",
        ),
    ],
    "target": Annotated[
        float | None, typer.Option(help="End when the objective reaches this value.")
    ],
    "stop_after": Annotated[
        int | None, typer.Option(metavar="N", help="End after N trials without improvement.")
    ],
    "stop": Annotated[
        str | None,
        typer.Option(metavar="auto", help="End once 45 trials are complete, 16 since the best."),
    ],
    "budget": Annotated[
        float | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="Time of all starts together (3m, 1h30m), start-up and confirmation included. It "
            "decides how many trials there are, never which.",
        ),
    ],
    "budget_epochs": Annotated[
        int | None,
        typer.Option(metavar="N", help="Begin no trial once those before it have N epochs."),
    ],
    "price": Annotated[
        str | None,
        typer.Option(
            metavar="PRICE/h", help="Price of one worker for an hour (0.35/h): what trials cost."
        ),
    ],
    "trial_timeout": Annotated[
        float | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="End a trial that takes longer (90, 3m, 1h30m); needs workers.",
        ),
    ],
    "retries": Annotated[
        list[str] | None,
        typer.Option(
            metavar="REASON=N,...",
            help="Try failed trials again, by reason (default "
            "crash=2,oom=1,timeout=1,error=1,invalid=0).",
        ),
    ],
    "max_failures_in_row": Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Stop after N failed trials in a row (default 5; 0: never)."
        ),
    ],
    "learn_from": Annotated[
        str | None,
        typer.Option(
            metavar="NAME|home|shipped|FILE",
            help="Try points first that were good on other data: of a sweep, of all here that are "
            "alike, of those that ship with the space, or of a file; kept with a new sweep.",
        ),
    ],
    "more_epochs": Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Train the best trial with N epochs more, as a trial of its own, if its last "
            "epoch ended it.",
        ),
    ],
    "checkpoint_every": Annotated[
        float | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="Save the state of a long trial so often, for its next attempt after a kill "
            "(default 30; 0: each epoch).",
        ),
    ],
    "data": Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Name or path (default: the experiment's).")
    ],
    "ask_ahead": Annotated[
        int | None,
        typer.Option(
            help="Trials in flight at most; part of the sweep (default 4; 8 if the sampler learns "
            "nothing). More workers need more."
        ),
    ],
    "order": Annotated[
        str, typer.Option(help="number: of the trials, reproducible; free: as trials finish.")
    ],
    "workers": Annotated[
        int | None,
        typer.Option(help="Worker processes (default: one a core); 0 trains in this process."),
    ],
    "executor": Annotated[
        str | None,
        typer.Option(metavar="URI", help="A Dask cluster: dask://HOST:8786, dask+tls://HOST:8786."),
    ],
    "trust_cluster": TrustOption,
    "resources": Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=AMOUNT,...", help="What a trial takes of a Dask worker, such as GPU=0.5."
        ),
    ],
    "check_determinism": Annotated[
        bool | None,
        typer.Option(
            "--check-determinism/--no-check-determinism",
            help="Train the first complete trial a second time, on an idle worker or after the "
            "last trial, and say if it comes out differently (default: of your own experiment, if "
            "it took less than 10 s; not of scripts, on clusters or with --workers 0).",
            show_default=False,
        ),
    ],
    "home": HomeOption,
    "tracking_uri": TrackingOption,
    "fail_under": Annotated[
        float | None,
        typer.Option(
            metavar="VALUE",
            help="Exit 1 if the best value of the space's objective is worse than this: below it "
            "where the objective is maximised, above it where it is minimised.",
        ),
    ],
}
"""The fields of `RunOptions` as options of a command, in the order of their help."""


def asks(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of these fields of `RunOptions`; it takes them as `asked`.

    Args:
        names: All of them if empty. What has no `space` names it itself.
    """
    fields = {one.name: one for one in dataclasses.fields(RunOptions)}
    chosen = [name for name in _RUN_OPTIONS if name in (names or _RUN_OPTIONS)]

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(command, include_extras=True)
        own = inspect.signature(command).parameters
        arguments = [p for name, p in own.items() if name != "asked" and p.default is p.empty]
        others = [p for name, p in own.items() if name != "asked" and p.default is not p.empty]

        @functools.wraps(command)
        def with_options(**values: Any) -> Any:
            given = {name: values.pop(name) for name in chosen}
            read = {n: _READERS[n](v or []) if n in _READERS else v for n, v in given.items()}
            return command(asked=RunOptions(**{"space": "", **read}), **values)

        def parameter(name: str) -> inspect.Parameter:
            default = fields[name].default
            if name == "space":
                default = inspect.Parameter.empty
            elif default is dataclasses.MISSING or name in _READERS:
                default = None
            kind = inspect.Parameter.KEYWORD_ONLY
            return inspect.Parameter(name, kind, default=default, annotation=_RUN_OPTIONS[name])

        own_first = [p.replace(kind=p.KEYWORD_ONLY, annotation=hints[p.name]) for p in arguments]
        own_last = [p.replace(kind=p.KEYWORD_ONLY, annotation=hints[p.name]) for p in others]
        parameters = [*own_first, *map(parameter, chosen), *own_last]
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {p.name: p.annotation for p in parameters}
        return with_options

    return decorated


def with_storage(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option `--storage` to a command that works on a home.

    Its value goes into the environment, where a home looks for it anyway.
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
    """Return `--storage ...` to be pasted, its password hidden; empty if it was not given.

    A value from the environment is left out, since the next command finds it there.
    """
    given = (_given.get() or {}).get("storage")
    if not given:
        return ""
    from sweeps.shared.server import parse_storage, shown

    return shlex.join(["--storage", shown(parse_storage(given))])


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


def place_options() -> str:
    """Return `--home` and `--storage` as they are to be pasted, as far as they were given."""
    home = (_given.get() or {}).get("home")
    words = shlex.join(["--home", home]) if home else ""
    return " ".join(option for option in (words, storage_option()) if option)


def how_to_go_on(home: Home, sweep_id: str, otherwise: str) -> str:
    """Return the `sweeps run` that goes on with a sweep, in backticks; else the other words."""
    command = command_to_go_on(home, sweep_id)
    return f"`{command}`" if command else otherwise


def command_to_go_on(home: Home, sweep_id: str) -> str:
    """Return the `sweeps run` that goes on with a sweep, to be pasted; empty if not known."""
    from sweeps.records import Starts

    store = home.store(sweep_id)
    known, trials = Starts(store.folder).command(), store.asked()
    if known is None or not Path(known[1]).is_dir():  # of Python, or of another host
        return ""
    command, folder = known
    line = f"{command} --trials {trials}" if trials else command
    if Path(folder) == Path.cwd():
        return f"{line} {place_options()}".strip()
    place = f"--home {shlex.quote(str(home.path.absolute()))} {storage_option()}"
    return f"cd {shlex.quote(folder)} && {line} {place}".strip()


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


def parse_resources(texts: list[str]) -> dict[str, float]:
    """Return `GPU=0.5,SSD=1` texts as amounts by name.

    Raises:
        UsageError: One is not written like that, or its amount is no number above 0.
    """
    parts = [part for text in texts for part in text.split(",")]
    return check_resources(parse_options(parts, "--resources"))


_READERS: Final[Mapping[str, Callable[[list[str]], Any]]] = {
    "overrides": tuple,
    "sampler_options": functools.partial(parse_options, option="--sampler-option"),
    "pruner_options": functools.partial(parse_options, option="--pruner-option"),
    "retries": parse_retries,
    "resources": parse_resources,
}
"""What makes of the texts of an option what `RunOptions` has."""
