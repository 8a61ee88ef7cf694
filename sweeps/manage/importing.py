"""`sweeps import --space`: results found elsewhere become what the sampler of a new sweep knows.

They come from a CSV file or an Optuna study; values are mapped to the space by name. Those that lie
in the space teach the sampler from the first trial on, pruned ones too, and are listed. No trial
number, no record, no run belongs to them: nobody can check that the same was measured there. The
best are tried anew, before anything is sampled, and are trials of the sweep then, which can win.
Nothing is unpickled, and sizes are bounded.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
from optuna.distributions import distribution_to_json

from search_spaces.errors import SpaceError, did_you_mean, listing, show
from search_spaces.mapping import point_found
from search_spaces.objectives import Objective
from search_spaces.values import is_number, parse_scalar
from sweeps.config.options import RunOptions
from sweeps.config.resolving import resolve
from sweeps.config.sweep import SweepConfig
from sweeps.errors import UsageError
from sweeps.journal.events import Imported, ImportedTrial
from sweeps.records import SweepInfo
from sweeps.records.ranking import front_of
from sweeps.runner.opening import open_sweep, refuse_existing
from sweeps.study.exchange import read_other_study
from sweeps.study.samplers import LEARN_NOTHING
from sweeps.tracking.address import sqlite_path
from sweeps.wording import counted, first_line, printable
from sweeps.workspace.addresses import SQLITE, redacted
from sweeps.workspace.clock import now_ms
from sweeps.workspace.files import FormatError, NoFileError, read_file
from sweeps.workspace.provenance import code_state

MOST_RESULTS: Final = 100_000
"""A source with more results is refused."""
_MOST_BYTES: Final = 64 * 2**20
"""A larger CSV file is refused."""
_STATES: Final[Mapping[str, Literal["COMPLETE", "PRUNED", "FAILED"]]] = {
    "": "COMPLETE", "COMPLETE": "COMPLETE", "PRUNED": "PRUNED", "FAIL": "FAILED",
    "FAILED": "FAILED",
}  # fmt: skip
"""States of trials that have ended, in the tables of `sweeps trials` and of Optuna."""
_PREFIXES: Final = ("params_", "params.", "metrics.")
"""What Optuna's and MLflow's tables put before a name."""


class Result(NamedTuple):
    """One result found elsewhere.

    Attributes:
        source: Its place there: `line 7`, `trial 12`.
        cells: Parameters and metrics by name; a text stands for what is written in it.
        problem: The reason why it is no result; empty if it is one.
        state: Its state there.
        reached: See `ImportedTrial`, also for `distributions`.
    """

    source: str
    cells: Mapping[str, Any]
    problem: str = ""
    state: str = ""
    reached: tuple[int, float] | None = None
    distributions: Mapping[str, str] = {}


class FoundResults(NamedTuple):
    """The results of a source, in order.

    Attributes:
        source: The source, for people.
        results: The results.
        directions: `maximize` or `minimize` for each objective; None if the source does not say.
    """

    source: str
    results: Sequence[Result]
    directions: Sequence[str] | None = None


def import_results(
    options: RunOptions,
    source: str,
    *,
    study: str | None = None,
    renamed: Sequence[str] = (),
    again: int = 0,
) -> tuple[SweepInfo, Imported, list[str], list[str]]:
    """Begin a sweep whose sampler knows results found elsewhere; no trial is run.

    Args:
        options: Space, name and whatever decides the trials of the sweep.
        source: A CSV file, or a SQLite file of Optuna.
        study: Name of the study in that file; None if it holds only one.
        renamed: `THEIRS=OURS` texts: names there, and what they are called in the space.
        again: So many of the best are tried anew.

    Returns:
        The sweep; what was imported; a line for each other result, with the reason; the
        names in the source that are no parameter and no objective of the space.

    Raises:
        UsageError: The source cannot be read, none of its results lies in the space, the sweep
            exists, or an option is wrong; nothing was created.
    """
    config = resolve(options)
    refuse_existing(config)
    if config.sampler.name in LEARN_NOTHING:
        raise UsageError(
            f"sampler {config.sampler.name!r} learns nothing from results; give another one, such "
            "as --sampler tpe"
        )
    found = read_results(source, study)
    directions = [one.direction for one in config.space.objectives]
    if found.directions not in (None, directions):
        raise UsageError(
            f"{found.source} has the directions {', '.join(found.directions)}; the space has "
            f"{', '.join(directions)}"
        )
    ours = _names(found, renamed, config)
    trials: list[ImportedTrial] = []
    left_out = []
    for result in found.results:
        try:
            cells = {ours[name]: cell for name, cell in result.cells.items()}
            own = {ours[name]: text for name, text in result.distributions.items()}
            result = result._replace(distributions=own)  # noqa: PLW2901 - under our names
            trials.append(_trial(result, cells, config))
        except (SpaceError, ValueError) as error:
            left_out.append(f"{result.source}: {error}")
    if not any(trial.state == "COMPLETE" for trial in trials):
        needed = [one.metric for one in config.space.objectives]
        walk = next(iter(config.space.samples(1)))
        raise UsageError(
            f"none of {counted(len(found.results), 'result')} of {found.source} is complete and "
            f"lies in the space{f'; the first: {first_line(left_out[0])}' if left_out else ''}. It "
            f"has {listing(ours.values())}; needed are {listing([*needed, *walk.params])} (--map "
            "THEIRS=OURS renames); nothing was created"
        )
    best = _best(trials, config.space.objectives, again)
    trials = [msgspec.structs.replace(one, again=one.source in best) for one in trials]
    imported = Imported(source=found.source, imported_at=now_ms(), trials=tuple(trials))
    info = open_sweep(config, code_state(Path.cwd()), imported)
    known = {one.metric for one in config.space.objectives}
    # The names that points of the space have, and those that the experiment receives of them.
    known |= {n for walk in config.space.samples(64) for n in (*walk.params, *walk.config)}
    known |= {name for trial in trials for name in trial.distributions}
    return info, imported, left_out, [name for name in ours.values() if name not in known]


def read_results(source: str, study: str | None) -> FoundResults:
    """Read what a source holds; arguments as for `import_results`.

    Raises:
        UsageError: It cannot be read, holds nothing, or too much.
    """
    file = Path(source)
    if "://" in source or is_database(file):
        found = _of_study(source, study)
    elif study is not None and file.exists():
        raise UsageError(f"{file}: no database, so no study {study!r} can be in it")
    else:
        found = FoundResults(printable(file.name), list(_of_csv(file)))
    if not found.results:
        raise UsageError(f"{found.source} holds no results")
    return found


def is_database(file: Path) -> bool:
    """Whether a file is one of SQLite, by its first bytes."""
    with suppress(OSError), file.open("rb") as opened:
        return opened.read(16) == b"SQLite format 3\0"
    return False


def _of_csv(file: Path) -> Iterator[Result]:
    try:
        text = read_file(file, _MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{file}: there is no such file") from None
    except (FormatError, NoFileError) as error:
        raise UsageError(f"{file}: no CSV file can be read ({error})") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no CSV file: it is not written in UTF-8") from None
    separator = max(",;\t", key=text.partition("\n")[0].count)
    try:
        table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        columns = [name.strip() for name in next(table, [])]
        if "\0" in text or len(columns) < 2:
            raise UsageError(
                f"{file} is no CSV file of results: a first line with the names of parameters and "
                "of the objective is needed, then a line for each result"
            )
        if len(columns) != len(set(columns)):
            twice = next(name for name in columns if columns.count(name) > 1)
            raise UsageError(f"{file}: two columns are called {twice!r}; rename one")
        for number, cells in enumerate((row for row in table if row), 1):
            if number > MOST_RESULTS:
                raise UsageError(
                    f"{file} holds more than {MOST_RESULTS} results; import a part of them"
                )
            filled = {n: c for n, c in zip(columns, cells, strict=False) if c.strip()}
            state, problem = filled.pop("state", ""), ""
            if len(cells) != len(columns):
                problem = f"it has {len(cells)} cells, the first line {len(columns)}"
            yield Result(f"line {table.line_num}", filled, problem, state)
    except csv.Error as error:
        raise UsageError(f"{file}: line {table.line_num}: {error}") from None


def _of_study(source: str, name: str | None) -> FoundResults:
    database = sqlite_path(source) if "://" in source else Path(source)
    if database is None:
        raise UsageError(
            f"{redacted(source)}: a study is read from a file, {SQLITE}PATH. Of another store, "
            "write `study.trials_dataframe().to_csv(...)` and import that file"
        )
    name, directions, trials = read_other_study(database, name, MOST_RESULTS)
    names = _value_names(len(directions))
    results = []
    for trial in trials:
        cells = {**trial.params, **dict(zip(names, trial.values or [], strict=False))}
        last = max(trial.intermediate_values.items(), default=(0, math.nan))
        reached = last if math.isfinite(last[1]) else None
        own = {name: distribution_to_json(one) for name, one in trial.distributions.items()}
        place, state = f"trial {trial.number}", trial.state.name
        results.append(Result(place, cells, "", state, reached, own))
    return FoundResults(printable(f"study {name!r} of {database.name}"), results, directions)


def _names(found: FoundResults, renamed: Sequence[str], config: SweepConfig) -> dict[str, str]:
    """Return the name that everything in the results has in the space, by its name there."""
    objectives = config.space.objectives
    names, ours = list(dict.fromkeys(n for one in found.results for n in one.cells)), {}
    for text in renamed:
        theirs, equals, own = (part.strip() for part in text.partition("="))
        if not (theirs and equals and own):
            raise UsageError(f"--map {text}: write it as THEIRS=OURS, such as lr=learning_rate")
        if theirs not in names:
            raise UsageError(
                f"--map {text}: {found.source} has no {theirs!r}{did_you_mean(theirs, names)}; it "
                f"has {listing(names)}"
            )
        ours[theirs] = own
    for name in names:
        prefix = next((p for p in _PREFIXES if name.startswith(p)), "")
        if name not in ours and prefix and name.removeprefix(prefix) not in names:
            ours[name] = name.removeprefix(prefix)
    called = {ours.get(name, name) for name in names}
    for theirs, objective in zip(_value_names(len(objectives)), objectives, strict=True):
        if theirs in names and theirs not in ours and objective.metric not in called:
            ours[theirs] = objective.metric
    ours = {name: ours.get(name, name) for name in names}
    if len({*ours.values()}) < len(ours):
        twice, _ = Counter(ours.values()).most_common(1)[0]
        both = " and ".join(name for name, own in ours.items() if own == twice)
        raise UsageError(f"{found.source}: {both} are both {twice!r}; --map one away")
    return ours


def _value_names(count: int) -> list[str]:
    """Return what Optuna calls the values of so many objectives."""
    return ["value"] if count == 1 else [f"values_{number}" for number in range(count)]


def _trial(result: Result, cells: Mapping[str, Any], config: SweepConfig) -> ImportedTrial:
    """Return a result as a trial of the space; `cells` have the names of the space."""
    if result.problem:
        raise SpaceError(result.problem)
    state, objectives = _STATES.get(result.state), config.space.objectives
    if state is None:
        raise SpaceError(f"its state is {result.state}")
    values = tuple(_value(cells, one.metric) for one in objectives if state == "COMPLETE")
    own: dict[str, str] = {}
    if config.space.is_open:
        own = dict(result.distributions)
        if own.keys() != cells.keys() - {one.metric for one in objectives}:
            raise SpaceError("its ranges, which an objective function says, are in a study only")
        params = {name: cells[name] for name in own}
    else:
        params = point_found(config.space, cells, config.experiment.metrics)
    if broken := config.violations(params):
        raise SpaceError(f"breaks a constraint: {'; '.join(broken)}")
    reached = result.reached if state == "PRUNED" else None
    return ImportedTrial(result.source, params, values, state, reached, own)


def _best(trials: Sequence[ImportedTrial], objectives: Sequence[Objective], count: int) -> set[str]:
    """Return the sources of the best distinct points: the front, then by the first objective."""
    complete = [one for one in trials if one.state == "COMPLETE"]
    front = front_of(complete, lambda one: one.values, objectives)
    others = sorted(complete, key=lambda one: objectives[0].gain(one.values[0]), reverse=True)
    points: dict[str, str] = {}
    for one in (*front, *others):
        points.setdefault(json.dumps(one.params, sort_keys=True), one.source)
    return {*list(points.values())[:count]}


def _value(cells: Mapping[str, Any], metric: str) -> float:
    if metric not in cells:
        raise SpaceError(f"has no {metric}")
    found = value = cells[metric]
    if isinstance(found, str):
        with suppress(SpaceError):  # it is not finite
            value = parse_scalar(found.strip())
    if not is_number(value):
        raise SpaceError(f"{metric}: received {show(found)}; a finite number is needed")
    return float(value)
