"""Studies in files of Optuna: a sweep is written as one, and one of somebody else is read.

Such a file is for other programs, or from them: nothing of a sweep is ever read from the one that
it was written to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, create_trial
from sqlalchemy.pool import NullPool, StaticPool

from search_spaces.errors import did_you_mean, listing
from search_spaces.objectives import Direction
from sweeps.errors import UsageError
from sweeps.records import Record, SweepInfo
from sweeps.study.sampler_view import trial_outcome
from sweeps.wording import first_line
from sweeps.workspace.databases import copied, created_whole, schema_version, sqlite_error


def export_study(info: SweepInfo, records: Sequence[Record], file: Path) -> tuple[int, list[int]]:
    """Write a sweep as an Optuna study of its name into a new SQLite file.

    Trials have their parameters, values, curves of the metric that a pruner watches, and times; as
    user attributes their number in the sweep, origin, attempt, reason and metrics. A parameter has
    one distribution in all of them: of a sweep that was extended, one that holds those of all
    generations. The file appears whole or not at all.

    Returns:
        The number of trials that were written, and the numbers of those that were left out because
        they have no outcome yet.

    Raises:
        UsageError: The file exists or cannot be written, or no trial has an outcome.
    """
    if file.exists():
        raise UsageError(f"{file} exists; give another name, nothing was written")
    ended = {record.trial: record for record in records if record.ends_trial}
    if not ended:
        raise UsageError(f"sweep {info.name!r} has no trial with an outcome: nothing to export")
    numbers = range(max(record.trial for record in records) + 1)
    with closing(sqlite3.connect(":memory:")) as memory:  # a file would be synced with every trial
        study = optuna.create_study(
            storage=RDBStorage("sqlite://", {"poolclass": StaticPool, "creator": lambda: memory}),
            study_name=info.name,
            directions=[one.direction for one in info.objectives],
        )
        if info.has_front:  # of one objective, tables of Optuna would lose their column `value`
            study.set_metric_names([one.metric for one in info.objectives])
        names = {name for record in ended.values() for name in record.params}
        distributions = {name: _distribution(name, ended.values()) for name in names}
        study.add_trials(_trial(info, ended[n], distributions) for n in numbers if n in ended)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with created_whole(file) as new, closing(sqlite3.connect(new)) as target:
                memory.backup(target)
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"{file}: cannot be written ({error}); nothing was written") from None
    return len(ended), [number for number in numbers if number not in ended]


class SweptStudy(optuna.Study):
    """The trials of a sweep as a study of Optuna, for whatever of Optuna's reads one.

    Attributes:
        sweep: The `sweeps.Sweep`: it is reported, confirmed and gone on with.
    """

    sweep: Any

    def optimize(self, *_: Any, **__: Any) -> None:
        """Refuse: trials that are run here would be in no record."""
        raise UsageError(
            "the study shows the trials of a sweep, and takes none: to go on, call `sweeps.run` "
            "again with a larger number of trials; `sweeps.enqueue(study.sweep, {...})` adds one"
        )

    ask = tell = enqueue_trial = optimize  # type: ignore[assignment]  # likewise

    def _repr_html_(self) -> str:
        html: str = self.sweep._repr_html_()
        return html


def study_of(sweep: Any) -> SweptStudy:
    """Return the trials of a `sweeps.Sweep` that have an outcome, as a study in memory."""
    info: SweepInfo = sweep.info
    records = sweep.home.store(info.id).read_all()
    ended = {record.trial: record for record in records if record.ends_trial}
    ways = [one.direction for one in info.objectives]
    kept = optuna.create_study(study_name=info.name, directions=ways)
    study = SweptStudy(study_name=info.name, storage=kept._storage)
    study.sweep = sweep
    for number in sorted(ended):
        own = {n: json_to_distribution(d) for n, d in ended[number].distributions.items()}
        study.add_trial(_trial(info, ended[number], own, is_open=True))
    return study


def _trial(
    info: SweepInfo,
    record: Record,
    distributions: dict[str, BaseDistribution],
    *,
    is_open: bool = False,
) -> FrozenTrial:
    outcome = trial_outcome(record, info.objectives, info.epoch_metric)
    metrics = record.trained.metrics if record.trained else {}
    facts = {
        "trial": record.trial, "origin": record.origin, "attempt": record.attempt,
        "reason": record.reason,
    }  # fmt: skip
    # As in the table of trials, a metric of such a name becomes `metric.<name>`.
    named = {f"metric.{name}" if name in facts else name: metrics[name] for name in metrics}
    attributes: dict[str, Any] = {**facts, **named}
    if is_open:
        attributes = dict(record.trained.info.get("user_attrs", {})) if record.trained else {}
    trial = create_trial(
        state=outcome.state,
        values=outcome.values,
        params=dict(record.params),
        distributions={name: distributions[name] for name in record.params},
        user_attrs=attributes,
        intermediate_values=dict(outcome.intermediate),
        system_attrs={} if is_open else outcome.constraint,
    )
    trial.datetime_start, trial.datetime_complete = (
        datetime.fromtimestamp(moment / 1000) for moment in (record.started_at, record.finished_at)
    )
    return trial


def _distribution(name: str, records: Iterable[Record]) -> BaseDistribution:
    """Return a distribution of a parameter that holds those of all records, and its values.

    Optuna refuses a trial whose parameter is of another kind or scale, or has other choices, than
    in the trials before it, and leaves a parameter whose range changes out of its importances.
    """
    values = [record.params[name] for record in records if name in record.params]
    texts = dict.fromkeys(r.distributions[name] for r in records if name in r.distributions)
    found = [json_to_distribution(text) for text in texts]
    if len(found) == 1:
        return found[0]
    categorical = [one for one in found if isinstance(one, CategoricalDistribution)]
    ranges = [one for one in found if isinstance(one, FloatDistribution | IntDistribution)]
    if categorical or not ranges:
        choices = [choice for one in categorical for choice in one.choices]
        once = {(type(choice), choice): choice for choice in (*choices, *values)}
        return CategoricalDistribution(tuple(once.values()))
    low, high = min(one.low for one in ranges), max(one.high for one in ranges)
    log = all(one.log for one in ranges)
    if any(isinstance(one, FloatDistribution) for one in ranges):
        return FloatDistribution(low, high, log=log)
    return IntDistribution(int(low), int(high), log=log)


def read_other_study(
    database: Path, name: str | None, most: int
) -> tuple[str, list[Direction], list[FrozenTrial]]:
    """Return the name, the directions and the trials of a study in a file that is none of ours.

    Args:
        database: A SQLite file of this Optuna or of an older one; it stays as it is.
        name: Name of the study; None if the file holds only one.
        most: A study with more trials is refused.

    Raises:
        UsageError: There is no such file or study, it is no file of Optuna, holds several and none
            is named, or is too large.
    """
    with copied(database) as copy:
        if schema_version(copy, "version_info") is None:
            raise UsageError(f"{database} holds no study of Optuna")
        try:
            return _study(copy, name, most)
        except Exception as error:  # of a file that was made to mislead: of any kind
            is_ours = isinstance(error, UsageError)
            message = str(error) if is_ours else first_line(str(sqlite_error(error) or error))
            raise UsageError(f"{database}: {message}") from None


def _study(
    copy: Path, name: str | None, most: int
) -> tuple[str, list[Direction], list[FrozenTrial]]:
    with closing(sqlite3.connect(copy)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'trigger'").fetchone():
            raise UsageError("it holds a trigger, which an upgrade would run; refused")
    storage = RDBStorage(
        f"sqlite:///{copy}",
        {"poolclass": NullPool},
        skip_compatibility_check=True,
        skip_table_creation=True,
    )
    version = storage.get_current_version()
    if version not in storage.get_all_versions():
        raise UsageError(f"it holds studies of a newer Optuna ({version})")
    if version != storage.get_head_version():
        storage.upgrade()
    names = optuna.get_all_study_names(storage)
    if name is None and len(names) == 1:
        (name,) = names
    if name is None:
        raise UsageError(f"it holds {listing(names) or 'no study'}; name one (--study)")
    if name not in names:
        raise UsageError(
            f"there is no study {name!r}{did_you_mean(name, names)}; there is {listing(names)}"
        )
    study = optuna.load_study(study_name=name, storage=storage)
    trials = study.get_trials(deepcopy=False)
    if len(trials) > most:
        raise UsageError(f"study {name!r} has more than {most} trials; refused")
    return name, [cast(Direction, one.name.lower()) for one in study.directions], trials
