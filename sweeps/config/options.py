"""The options of a sweep as a user gives them; `sweep.py` makes a validated sweep from them.

Each is both an option of a command and an argument of a Python function. Messages name the options;
under `python_words` they name the arguments instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search_spaces.errors import did_you_mean
from sweeps.errors import StoreError, TrialsError, UsageError, WorkersError

if TYPE_CHECKING:
    from search_spaces.loading import SpaceSource


@dataclass(frozen=True)
class Limits:
    """The limits that end a sweep.

    Attributes:
        trials: Trials with an outcome, in total over all starts.
        timeout_seconds: Time after which no trial is begun in this start.
        target: Objective value that is good enough.
        stop_after: Trials in a row without improvement of the best, or of the Pareto front.
        budget_seconds: Time of all starts together, a confirmation that follows included.
        budget_epochs: Epochs of all trials together after which none begins.
        stops_itself: Whether the sweep ends once its best trial has stood for long.
    """

    trials: int
    timeout_seconds: float | None = None
    target: float | None = None
    stop_after: int | None = None
    budget_seconds: float | None = None
    budget_epochs: int | None = None
    stops_itself: bool = False


@dataclass(frozen=True)
class RunOptions:
    """The options that a user gives, from Python or by a command; None means the default below.

    Nothing is checked here: `sweeps.run` and `sweeps.plan` refuse wrong options by a `UsageError`,
    before anything is created. A duration is a number of seconds, or a text such as `90`, `3m`,
    `1h30m` or `1.5h`.

    Attributes:
        space: The search space: a name of the catalogue, the path of a YAML file, a decorated
            function or its `module:function`, or a `Space`. An error has a line per mistake.
        trials: How many trials have an outcome when the sweep is done, in total over all starts;
            from 1. None: as the space says, else 20; with a budget, as many as it pays for.
        name: Name of the sweep: 1 to 80 letters, digits, `.`, `_`, `-`. None: the space's. A
            sweep that exists goes on; if it was made with other options, it is refused.
        extend: Whether the sweep of that name may go on in another space, with another sampler,
            pruner, `ask_ahead` or edited code; its trials stay. Refused if there is no such sweep.
        same_code: Whether edited code of the experiment is declared to be the same code.
        check_determinism: Whether the first complete trial is trained a second time, on a worker,
            and a difference is reported. None: only for an experiment that does not ship here, and
            if the trial takes less than 10 s.
        seed: Decides every trial; from 0.
        sampler: `tpe`, `gp`, `cmaes` (needs the package cmaes), `random`, `qmc`, `grid`, or the
            import path of one of Optuna's or another sampler; `auto` chooses `grid`, `gp` or `tpe`
            by the number of trials and the space. None: as the space says, else `tpe`.
        sampler_options: Options of the sampler by name: plain numbers, texts, truth values.
        pruner: `none`, `median`, `hyperband`, `asha` or an import path; refused if there are
            several objectives, or the objective has no value per epoch. None: as the space says,
            else `none`.
        pruner_options: Options of the pruner by name.
        timeout: Duration above 0 after which no trial is begun in this start, start-up included.
            None: no limit.
        target: Value of the objective at which the sweep ends; one objective only. None: no end.
        stop_after: Trials in a row without improvement of the best, or of the Pareto front, after
            which the sweep ends; from 1. None: no end.
        stop: `auto`: end the sweep when it is enough, by a rule that waits for enough complete
            trials and then for the best to stand long enough (`sweeps.runner.loop.is_enough`);
            one objective only. None: no end.
        budget: Duration above 0 that all starts take together, start-up included, and with the
            command its confirmation. It decides how many trials there are, never which. None: no
            limit.
        budget_epochs: Number of epochs from 1; no trial begins once the trials before it have as
            many. A trial without a value per epoch counts as one. None: no limit.
        price: Price of one worker for an hour, above 0: a number, or a text such as `0.35/h`. Each
            trial costs its seconds times that. None: as at the last start that had one.
        fail_under: The exit code of the command is 1 if the best value of the objective is worse
            than this: below it where it is maximised, above it where it is minimised; `sweeps.run`
            returns either way.
        retries: How often a trial is tried again, from 0, by the reason of its failure: `crash`
            (default 2), `oom` (1), `timeout` (1), `error` (1), `invalid` (0). A kill from outside
            uses up none.
        trial_timeout: Duration above 0 after which an attempt is ended; needs workers. None: no
            limit.
        max_failures_in_row: Number of failed trials in a row that ends the sweep; 0 for no limit.
            None: 5.
        learn_from: Points that were good on other data are tried first: those of a sweep of this
            home (its name or id), of `home`, that is of all sweeps with the same experiment,
            parameters and objective, of `shipped`, the portfolio that ships with the space, or of a
            portfolio file (.json, .yaml). They are chosen when the sweep is created, and kept with
            it. None: no such points.
        more_epochs: Number of epochs from 1: the best trial of the sweep, which must exist, is
            trained with so many more, as a trial of its own; see `sweeps.enqueue`. Refused unless
            its last epoch ended it. None: no such trial.
        checkpoint_every: Shortest time between two checkpoints of a long trial, from which its next
            attempt goes on after a kill; 0: after each epoch. None: 30 s.
        data: Name or path of the data, as the experiment understands it. None: the experiment's.
        ask_ahead: How many trials are in flight at most, from 1. It is part of the sweep, because
            it decides which outcomes a proposal knows. None: as the space says, else 4, or 8 for a
            sampler that learns nothing from outcomes. More workers than that have no work.
        order: `number`: the sampler learns outcomes in the order of the trials, which makes the
            sweep reproducible; `free`: it learns them as trials finish.
        workers: Number of worker processes; 0 trains in the calling process. None: one per core,
            but 0 for an experiment that a notebook or a script defines. Refused if workers cannot
            import the experiment.
        executor: Address of a Dask cluster, `dask://HOST:8786`, in place of workers.
        trust_cluster: Whether that address may be on another host without TLS.
        resources: Resources of a Dask worker that a trial takes, by name, above 0; needs
            `executor`.
        overrides: `name=value` texts: `learning_rate=1e-3` fixes a parameter, `units_1=16..64` or
            `batch_size=16,32` narrow it.
        home: Folder of records and databases. None: `SWEEPS_HOME`, else `mlruns`.
        tracking_uri: Store of MLflow. None: `MLFLOW_TRACKING_URI`, else in the home.
        storage: PostgreSQL database that homes of several hosts share. None: `SWEEPS_STORAGE`.
    """

    space: SpaceSource
    trials: int | None = None
    name: str | None = None
    extend: bool = False
    same_code: bool = False
    check_determinism: bool | None = None
    seed: int = 0
    sampler: str | None = None
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    pruner: str | None = None
    pruner_options: Mapping[str, Any] = field(default_factory=dict)
    timeout: float | str | None = None
    target: float | None = None
    stop_after: int | None = None
    stop: str | None = None
    budget: float | str | None = None
    budget_epochs: int | None = None
    price: float | str | None = None
    fail_under: float | None = None
    retries: Mapping[str, int] = field(default_factory=dict)
    trial_timeout: float | str | None = None
    max_failures_in_row: int | None = None
    learn_from: str | None = None
    more_epochs: int | None = None
    checkpoint_every: float | str | None = None
    data: str | Path | None = None
    ask_ahead: int | None = None
    order: str = "number"
    workers: int | None = None
    executor: str | None = None
    trust_cluster: bool = False
    resources: Mapping[str, float] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    home: str | Path | None = None
    tracking_uri: str | None = None
    storage: str | None = field(default=None, repr=False)  # a password may stand in it

    @property
    def source(self) -> str | None:
        """The name or path of the data as a text, as the experiment receives it."""
        return None if self.data is None else str(self.data)


_OPTIONS: Final = {
    "overrides": "--set",
    "sampler_options": "--sampler-option",
    "pruner_options": "--pruner-option",
    "from_sweep": "--from",
}
_FLAGS: Final = frozenset({"extend", "same_code", "trust_cluster", "restore"})
_OTHERS: Final = ("folds", "control", "from_sweep", "like", "restore", "top", "trial")
"""Arguments of Python functions beyond the fields of `RunOptions`."""
_OPTION: Final = re.compile(
    r"`[^`]*`"  # a command in backticks stays as it is
    r"|--(?P<text>name|pruner) (?P<word>[A-Za-z0-9](?:[\w.-]*\w)?)(?=[.,:;]?(?:\s|$))"
    r"|--(?P<option>[a-z]+(?:-[a-z]+)*)"
    r"(?: (?P<value>-?\d+(?:\.\d+)?(?:e-?\d+)?|nan|inf|None|True|False|'[^']*'))?(?![\w-])"
)


def option_of(argument: str) -> str:
    """Return the command's option for an argument of a Python function."""
    return _OPTIONS.get(argument, "--" + argument.replace("_", "-"))


def options_of(
    space: SpaceSource, arguments: Mapping[str, Any], names: Sequence[str] = ()
) -> RunOptions:
    """Return the options for the arguments of a Python function.

    Args:
        space: The search space of the sweep.
        arguments: The arguments by name.
        names: Arguments that the function has; every field of `RunOptions` if empty.

    Raises:
        TypeError: There is no such argument.
    """
    names = names or [one.name for one in fields(RunOptions) if one.name != "space"]
    for name in arguments.keys() - set(names):
        raise TypeError(
            f"no argument {name!r}{did_you_mean(name, names)}; known: {', '.join(names)} (see "
            "sweeps.config.options.RunOptions)"
        )
    return RunOptions(space, **arguments)


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
    names = [*(one.name for one in fields(RunOptions)), *_OTHERS]
    arguments = {option_of(name): name for name in names}

    def argument(found: re.Match[str]) -> str:
        if found["text"] is not None:
            return f"{found['text']}={found['word']!r}"
        name = arguments.get(f"--{found['option']}")
        if name is None:
            return found[0]
        value = "True" if name in _FLAGS else found["value"]
        return name if value is None else f"{name}={value}"

    return _OPTION.sub(argument, message)
