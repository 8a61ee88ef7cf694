"""The options of a sweep, each declared once: flag, help, check, and whether it is of the sweep.

Commands (`sweeps.cli.options.asks`), the functions of Python, the reference and the checks take
them from `RunOptions`, those of a confirmation from `WhatToConfirm`. Messages name the options;
under `python_words` they name the arguments instead. `resolving.py` makes a validated sweep from
them.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

from search_spaces.errors import did_you_mean
from sweeps.errors import StoreError, TrialsError, UsageError, WorkersError
from sweeps.workspace.clock import seconds_of
from sweeps.workspace.names import check_text

if TYPE_CHECKING:
    from search_spaces.loading import SpaceSource


@dataclass(frozen=True)
class Kind:
    """What values an option takes.

    Attributes:
        type: The type of a value in a command.
        check: Refuses a value that is not None by a `UsageError`; it gets the option's name, too.
            By itself it refuses nothing: the value is checked where it is used.
        is_list: Whether a command takes several texts, of which the value is made.
    """

    type: Any
    check: Callable[[str, Any], Any] = lambda option, value: None
    is_list: bool = False


def whole(least: int) -> Kind:
    """Return the kind of whole numbers from `least` on."""

    def check(option: str, value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UsageError(f"{option} {value!r}: give a whole number from {least} on")

    return Kind(int, check)


def _number(option: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        raise UsageError(f"{option} {value!r}: give a number")


def seconds(option: str, duration: float | str, *, least: float | None = None) -> float:
    """Return a duration in seconds.

    Args:
        option: Name of the option.
        duration: Seconds, or a text such as `90`, `3m`, `1h30m`.
        least: The least of them; None: above 0.

    Raises:
        UsageError: It is no duration, or too short, or not finite.
    """
    try:
        found = seconds_of(duration)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None
    if not (found > 0 if least is None else found >= least) or found == math.inf:
        allowed = "above 0" if least is None else f"from {least:g} on"
        raise UsageError(f"{option} {duration}: give seconds {allowed}")
    return found


def _of_type(kind: Any, described: str) -> Callable[[str, object], None]:
    def check(option: str, value: object) -> None:
        if not isinstance(value, kind):
            raise UsageError(f"{argument_of(option)}={value!r}: give {described}")
        if option != "--home" and isinstance(value, str | PathLike):
            check_text(argument_of(option), str(value))

    return check


def _texts(option: str, value: object) -> None:
    items = value if isinstance(value, Sequence) else [None]
    if isinstance(value, str) or not all(isinstance(one, str) for one in items):
        raise UsageError(f"{argument_of(option)}={value!r}: give a list of name=value texts")


def _order(option: str, value: object) -> None:
    if value not in {"number", "free"}:
        raise UsageError(f"{option} {value!r}: allowed are 'number' and 'free'")


def _direction(option: str, value: object) -> None:
    ways = value.split(",") if isinstance(value, str) else value
    if not isinstance(ways, Sequence) or not {*ways} <= {"minimize", "maximize"} or not ways:
        raise UsageError(f"{option} {value!r}: give minimize or maximize, for each value")


def _folds(option: str, value: object) -> None:
    if not isinstance(value, int) or value < 8 or value % 4:
        raise UsageError(
            f"{option} {value!r}: give a multiple of four, 8 or more, so that all samples count"
        )


_DURATION: Final = Kind(str, seconds)
_DURATION_FROM_ZERO: Final = Kind(str, partial(seconds, least=0))
_NUMBER: Final = Kind(float, _number)
_TEXT: Final = Kind(str, _of_type(str, "a text"))
_PATH: Final = Kind(str, _of_type(str | PathLike, "a text"))
_FOLDER: Final = Kind(str, _of_type(str | PathLike, "the path of a folder"))
_FLAG: Final = Kind(bool, _of_type(bool, "True or False"))
_PAIRS: Final = Kind(str, _of_type(Mapping, "a dict"), is_list=True)
_TEXTS: Final = Kind(str, _texts, is_list=True)
_ORDER: Final = Kind(str, _order)
_CHECKED_LATER: Final = Kind(str)
_DIRECTION: Final = Kind(str, _direction)


@dataclass(frozen=True)
class Option:
    """One option, as all who ask for it know it.

    Attributes:
        says: Its help.
        more: Sentences that only a caller from Python needs.
        kind: What values it takes.
        flag: Its name in a command; empty: as that of the argument.
        short: A letter for it.
        metavar: What the help of a command shows for its value.
        goes_on: Whether the command that goes on with a sweep repeats it: it is part of the sweep,
            or of how it is run.
    """

    kind: Kind
    says: str
    more: str = ""
    flag: str = ""
    short: str = ""
    metavar: str | None = None
    goes_on: bool = True


@dataclass(frozen=True)
class Limits:
    """The limits that end a sweep.

    Attributes:
        trials: Trials with an outcome, in total over all starts.
        timeout_seconds: Time after which no trial is begun in this start.
        target: Objective value that is good enough.
        stop_after: Trials in a row without improvement of the best, or of the Pareto front.
        budget_seconds: Time of all starts together, a confirmation that follows included.
    """

    trials: int
    timeout_seconds: float | None = None
    target: float | None = None
    stop_after: int | None = None
    budget_seconds: float | None = None


@dataclass(frozen=True)
class RunOptions:
    """The options that a user gives, from Python or by a command; None means the default below.

    Nothing is checked here: `sweeps.run` and `sweeps.plan` refuse wrong options by a `UsageError`,
    before anything is created. A duration is a number of seconds, or a text such as `90`, `3m`,
    `1h30m` or `1.5h`.
    """

    space: Annotated[
        SpaceSource,
        Option(
            _CHECKED_LATER,
            "Name in the catalogue, YAML file, module:function, or file.py:objective.",
            "Or a function, or a `Space`. An error has a line per mistake.",
            goes_on=False,
        ),
    ]
    trials: Annotated[
        int | None,
        Option(
            whole(1),
            "Trials with an outcome, in total over all starts.",
            "None: as the space says, else 20; with a budget, as many as it pays for.",
            short="-n",
            goes_on=False,
        ),
    ] = None
    name: Annotated[
        str | None,
        Option(
            _TEXT,
            "Its name (default: the space's).",
            "1 to 80 letters, digits, `.`, `_`, `-`. A sweep that exists goes on; if it was made "
            "with other options, it is refused.",
        ),
    ] = None
    direction: Annotated[
        str | Sequence[str] | None,
        Option(
            _DIRECTION,
            "Of an objective function: minimize (the default) or maximize; of one that returns "
            "several values a list: minimize,maximize.",
            metavar="WAY[,WAY...]",
        ),
    ] = None
    extend: Annotated[
        bool,
        Option(
            _FLAG,
            "Let an existing sweep go on in another space or with another sampler.",
            "Or pruner, `ask_ahead`, edited code; its trials stay. Refused if there is no such "
            "sweep.",
            goes_on=False,
        ),
    ] = False
    same_code: Annotated[
        bool,
        Option(
            _FLAG,
            "Go on with edited code that gives the same numbers (a comment, a new method).",
            goes_on=False,
        ),
    ] = False
    seed: Annotated[
        int,
        Option(
            whole(0),
            "Decides every trial.",
            "From 0.",
        ),
    ] = 0
    overrides: Annotated[
        Sequence[str],
        Option(
            _TEXTS,
            "Fix or narrow: learning_rate=1e-3, units_1=16..64, batch_size=16,32.",
            flag="--set",
            metavar="NAME=VALUE",
        ),
    ] = ()
    sampler: Annotated[
        str | None,
        Option(
            _TEXT,
            "tpe, gp, cmaes, random, qmc, grid, auto or an import path.",
            "`auto` chooses `grid`, `gp` or `tpe` by the number of trials and the space; `cmaes` "
            "needs the package cmaes. None: as the space says, else `tpe`.",
        ),
    ] = None
    sampler_options: Annotated[
        Mapping[str, Any],
        Option(
            _PAIRS,
            "Option of the sampler.",
            "By name: plain numbers, texts, truth values.",
            flag="--sampler-option",
            metavar="NAME=VALUE",
        ),
    ] = field(default_factory=dict)
    pruner: Annotated[
        str | None,
        Option(
            _TEXT,
            "none, median, hyperband, asha or an import path.",
            "Refused if there are several objectives, or the objective has no value per epoch. "
            "None: as the space says, else `none`.",
        ),
    ] = None
    pruner_options: Annotated[
        Mapping[str, Any],
        Option(
            _PAIRS,
            "Option of the pruner.",
            "By name.",
            flag="--pruner-option",
            metavar="NAME=VALUE",
        ),
    ] = field(default_factory=dict)
    timeout: Annotated[
        float | str | None,
        Option(
            _DURATION,
            "Begin no trial after this time (90, 3m, 1h30m), start-up included.",
            metavar="TIME",
            goes_on=False,
        ),
    ] = None
    target: Annotated[
        float | None,
        Option(
            _NUMBER,
            "End when the objective reaches this value.",
            "One objective only.",
            goes_on=False,
        ),
    ] = None
    stop_after: Annotated[
        int | None,
        Option(
            whole(1),
            "End after N trials without improvement.",
            "Of the best, or of the Pareto front.",
            metavar="N",
            goes_on=False,
        ),
    ] = None
    budget: Annotated[
        float | str | None,
        Option(
            _DURATION,
            "Time of all starts together (3m, 1h30m), start-up and confirmation included. It "
            "decides how many trials there are, never which.",
            metavar="TIME",
            goes_on=False,
        ),
    ] = None
    trial_timeout: Annotated[
        float | str | None,
        Option(
            _DURATION,
            "End a trial that takes longer (90, 3m, 1h30m); needs workers.",
            metavar="TIME",
        ),
    ] = None
    retries: Annotated[
        Mapping[str, int],
        Option(
            _PAIRS,
            "Try failed trials again, by reason (default "
            "crash=2,oom=1,timeout=1,error=1,invalid=0).",
            "A kill from outside uses up none.",
            metavar="REASON=N,...",
        ),
    ] = field(default_factory=dict)
    max_failures_in_row: Annotated[
        int | None,
        Option(
            whole(0),
            "Stop after N failed trials in a row (default 5; 0: never).",
            metavar="N",
        ),
    ] = None
    learn_from: Annotated[
        str | None,
        Option(
            _TEXT,
            "Try points first that were good on other data: of a sweep, of all here that are "
            "alike, of those that ship with the space, or of a file; kept with a new sweep.",
            metavar="NAME|home|shipped|FILE",
        ),
    ] = None
    more_epochs: Annotated[
        int | None,
        Option(
            whole(1),
            "Train the best trial with N epochs more, as a trial of its own, if its last epoch "
            "ended it.",
            "See `sweeps.enqueue`.",
            metavar="N",
            goes_on=False,
        ),
    ] = None
    checkpoint_every: Annotated[
        float | str | None,
        Option(
            _DURATION_FROM_ZERO,
            "Save the state of a long trial so often, for its next attempt after a kill (default "
            "30; 0: each epoch).",
            metavar="TIME",
        ),
    ] = None
    data: Annotated[
        str | Path | None,
        Option(
            _PATH,
            "Name or path (default: the experiment's).",
            "As the experiment understands it.",
            metavar="SOURCE",
        ),
    ] = None
    ask_ahead: Annotated[
        int | None,
        Option(
            whole(1),
            "Trials in flight at most; part of the sweep (default 4; 8 if the sampler learns "
            "nothing). More workers need more.",
            "It decides which outcomes a proposal knows.",
        ),
    ] = None
    order: Annotated[
        str,
        Option(
            _ORDER,
            "number: of the trials, reproducible; free: as trials finish.",
            "So the sampler learns outcomes.",
        ),
    ] = "number"
    workers: Annotated[
        int | None,
        Option(
            whole(0),
            "Worker processes (default: one a core); 0 trains in this process.",
            "What a notebook or a closure defines, workers get by value.",
        ),
    ] = None
    executor: Annotated[
        str | None,
        Option(
            _TEXT,
            "A Dask cluster: dask://HOST:8786, dask+tls://HOST:8786.",
            metavar="URI",
        ),
    ] = None
    trust_cluster: Annotated[
        bool,
        Option(
            _FLAG,
            "Send pickles over a network without encryption.",
        ),
    ] = False
    resources: Annotated[
        Mapping[str, float],
        Option(
            _PAIRS,
            "What a trial takes of a Dask worker, such as GPU=0.5.",
            "Needs `executor`.",
            metavar="NAME=AMOUNT,...",
        ),
    ] = field(default_factory=dict)
    check_determinism: Annotated[
        bool | None,
        Option(
            _FLAG,
            "Train the first complete trial a second time, on an idle worker or after the last "
            "trial, and say if it comes out differently (default: of your own experiment, if it "
            "took less than 10 s; not of scripts, on clusters or with --workers 0).",
        ),
    ] = None
    fail_under: Annotated[
        float | None,
        Option(
            _NUMBER,
            "Exit 1 if the best value of the space's objective is worse than this: below it where "
            "the objective is maximised, above it where it is minimised.",
            "`sweeps.run` returns either way.",
            metavar="VALUE",
            goes_on=False,
        ),
    ] = None
    home: Annotated[
        str | Path | None,
        Option(
            _FOLDER,
            "Folder with records and MLflow store.",
            "None: `SWEEPS_HOME`, else `mlruns`.",
            metavar="DIR",
            goes_on=False,
        ),
    ] = None
    tracking_uri: Annotated[
        str | None,
        Option(
            _TEXT,
            "MLflow store (default: in the home).",
            "None: `MLFLOW_TRACKING_URI` first.",
        ),
    ] = None
    storage: Annotated[
        str | None,
        Option(
            _TEXT,
            "PostgreSQL database that homes of several hosts share.",
            "None: `SWEEPS_STORAGE`.",
            metavar="URL",
            goes_on=False,
        ),
    ] = field(default=None, repr=False)  # a password may stand in it

    @property
    def directions(self) -> tuple[Any, ...] | None:
        """The directions, one by one; None if none were given."""
        given = self.direction
        if given is None:
            return None
        return tuple(given.split(",") if isinstance(given, str) else given)

    @property
    def source(self) -> str | None:
        """The name or path of the data as a text, as the experiment receives it."""
        return None if self.data is None else str(self.data)


@dataclass(frozen=True)
class WhatToConfirm:
    """The options of a confirmation that a user gives; None means the default below.

    As before is as in the last confirmation of the sweep, so that its trainings are used again.
    Without one the space's `confirm` counts, and then the numbers below.
    """

    top: Annotated[
        int | None,
        Option(
            whole(1),
            "Number of best distinct configurations (default: as before, at first 5).",
            metavar="K",
        ),
    ] = None
    folds: Annotated[
        int | None,
        Option(
            Kind(int, _folds),
            "Fresh folds, a multiple of four, 8 or more (default: as before, at first 20).",
            metavar="S",
        ),
    ] = None
    quick: Annotated[
        bool,
        Option(
            _FLAG,
            "Let all finalists be trained on 4 folds first, and only the best two and the best "
            "baseline on the others (default: as before, at first 8 folds).",
        ),
    ] = False
    every: Annotated[
        bool,
        Option(
            _FLAG,
            "Let all finalists be trained on all folds: it says of each how it stands.",
            flag="--all",
        ),
    ] = False
    margin: Annotated[
        float | None,
        Option(
            _NUMBER,
            "A difference that does not matter, such as 0.005 (default: as before, at first a "
            "tenth of the best baseline's distance from perfect).",
            metavar="SHARE",
        ),
    ] = None
    fresh: Annotated[
        int | None,
        Option(
            whole(0),
            "Draw other folds and seeds of the same samples, for each number others (default: "
            "as before, at first 0). Only new data renew what the samples have judged.",
            metavar="N",
        ),
    ] = None
    control: Annotated[
        int | None,
        Option(
            whole(0),
            "Also run N random trials, and confirm their best (default: as before, at first 0).",
            metavar="N",
        ),
    ] = None
    refit: Annotated[
        bool,
        Option(_FLAG, "Register the champion trained on all but the test set."),
    ] = False
    leave_out: Annotated[
        Sequence[int] | None,
        Option(
            Kind(int, is_list=True),
            "A finalist that takes no part, such as one whose trainings fail; may be repeated "
            "(default: as before, unless --top is given).",
            metavar="TRIAL",
        ),
    ] = None
    replace: Annotated[
        bool,
        Option(_FLAG, "Take its champion also in place of one from more folds or finalists."),
    ] = False


RETRY_OPTIONS: Final = (
    *("workers", "executor", "trust_cluster", "resources", "trial_timeout", "retries"),
    *("max_failures_in_row", "checkpoint_every", "data", "same_code", "tracking_uri"),
)
"""Options of `retry`: those that decide how trials are run; the sweep has all others."""


def _declared_in(table: type) -> dict[str, Option]:
    """Return the options of a class, and describe them in its docstring."""
    hints = get_type_hints(table, localns={"SpaceSource": Any}, include_extras=True)
    declared: dict[str, Option] = {name: hint.__metadata__[0] for name, hint in hints.items()}
    described = [
        textwrap.fill(
            f"{name}: {one.says} {one.more}".strip(), 100, initial_indent=" " * 8,
            subsequent_indent=" " * 12, break_long_words=False, break_on_hyphens=False,
        )
        for name, one in declared.items()
    ]  # fmt: skip
    table.__doc__ = "\n".join([f"{table.__doc__}", "    Attributes:", *described, "    "])
    return declared


OPTIONS: Final[Mapping[str, Option]] = _declared_in(RunOptions)
"""The options of a sweep by the name of their field, in the order of a command's help."""
CONFIRM_OPTIONS: Final[Mapping[str, Option]] = _declared_in(WhatToConfirm)
"""Those of a confirmation."""
ALL_OPTIONS: Final[Mapping[str, Option]] = {**OPTIONS, **CONFIRM_OPTIONS}


def check_options(options: RunOptions | WhatToConfirm) -> None:
    """Refuse values that no sweep, or no confirmation, can have.

    Raises:
        UsageError: There is one; the message names the option, the value and what is allowed.
    """
    table = OPTIONS if isinstance(options, RunOptions) else CONFIRM_OPTIONS
    for name, declared in table.items():
        if (value := getattr(options, name)) is not None:
            declared.kind.check(option_of(name), value)


def default_of(name: str) -> Any:
    """Return the default of an option; `MISSING` if it has none."""
    known = [*fields(RunOptions), *fields(WhatToConfirm)]
    found = next(one for one in known if one.name == name)
    return found.default if found.default_factory is MISSING else found.default_factory()


_OTHERS: Final = ("ensemble", "from_sweep", "like", "restore", "study", "trial")
"""Arguments of Python functions that are no options of a table."""
_OPTION: Final = re.compile(
    r"`[^`]*`"  # a command in backticks stays as it is
    r"|--(?P<text>name|pruner) (?P<word>[A-Za-z0-9](?:[\w.-]*\w)?)(?=[.,:;]?(?:\s|$))"
    r"|--(?P<option>[a-z]+(?:-[a-z]+)*)"
    r"(?: (?P<value>-?\d+(?:\.\d+)?(?:e-?\d+)?|nan|inf|None|True|False|'[^']*'))?(?![\w-])"
)


def option_of(argument: str) -> str:
    """Return the command's option for an argument of a Python function."""
    if argument == "from_sweep":
        return "--from"
    declared = ALL_OPTIONS.get(argument)
    return (declared.flag if declared else "") or "--" + argument.replace("_", "-")


def argument_of(option: str) -> str:
    """Return the name of the argument that is an option of a command."""
    return next((name for name in ALL_OPTIONS if option_of(name) == option), option)


def check_arguments(arguments: Mapping[str, Any], names: Sequence[str] = ()) -> None:
    """Refuse arguments that a Python function does not have.

    Args:
        arguments: The arguments by name.
        names: Those that it has; every option of a sweep if empty.

    Raises:
        TypeError: There is no such argument.
    """
    names = names or [name for name in OPTIONS if name != "space"]
    for name in arguments.keys() - set(names):
        raise TypeError(
            f"no argument {name!r}{did_you_mean(name, names)}; known: {', '.join(names)} (see "
            "sweeps.config.options)"
        )


@contextmanager
def python_words() -> Iterator[None]:
    """Make errors of a Python function name its arguments in place of a command's options."""
    try:
        yield
    except (StoreError, TrialsError, UsageError, WorkersError) as error:
        error.args = (in_arguments(str(error)),)
        raise


def in_arguments(message: str) -> str:
    """Return a message with `trials=0` for `--trials 0`; commands in backticks stay."""
    arguments = {option_of(name): name for name in (*ALL_OPTIONS, *_OTHERS)}
    switches = {"ensemble", "restore", *(name for name in ALL_OPTIONS if default_of(name) is False)}

    def argument(found: re.Match[str]) -> str:
        if found["text"] is not None:
            return f"{found['text']}={found['word']!r}"
        name = arguments.get(f"--{found['option']}")
        if name is None:
            return found[0]
        value = "True" if name in switches else found["value"]
        return name if value is None else f"{name}={value}"

    return _OPTION.sub(argument, message)
