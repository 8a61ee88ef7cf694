"""A record: everything known about one attempt that has ended; all else is rebuilt from records."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from search_spaces.objectives import Direction, Objective, is_script
from search_spaces.parameters import Value
from sweeps.experiment import PreparedData, TrialResult, TrialSpec
from sweeps.records.schema import Count, Digest, Former, Line, Members, Moment, SweepKey, SweepName

_Facts = Mapping[str, Any]
_Choice = Annotated[_Facts, Members({"name": str, "options": _Facts})]
Fingerprint = Annotated[
    _Facts,
    Members(
        {
            "code": str | None, "sampler": _Choice, "pruner": _Choice, "seed": int,
            "learn_from": Annotated[
                _Facts, Members({"name": Line, "digest": Digest}, needed=("name", "digest"))
            ],
            "order": Annotated[str, Former({"slots": "number"})],
        }
    ),
]  # fmt: skip
_Parameter = Annotated[_Facts, Members({"name": str}, needed=("name",))]
StoredSpace = Annotated[
    _Facts,
    Members(
        {
            "name": str, "experiment": str, "fixed": _Facts,
            "defaults": Annotated[
                _Facts, Members({"confirm": _Facts | None}, former={"finalize": "confirm"})
            ],
            "body": Annotated[_Facts, Members({"parameters": tuple[_Parameter, ...]})],
        }
    ),
]  # fmt: skip
"""The part of a space that is read without its experiment; `Space.from_dict` checks the rest."""
StoredCode = Annotated[_Facts, Members({"commit": str | None, "dirty": bool, "diff": str | None})]


@dataclass(frozen=True)
class UnfinishedTrial:
    """A trial that had no outcome when the next generation began; it is still to be trained.

    Its space is that of an earlier generation, so this keeps all that its next attempt needs.

    Attributes:
        trial: Its number.
        attempts: Number of the last attempt that was begun.
        origin: Where its parameters came from, as in its records.
        params: The sampled parameters.
        distributions: Optuna distribution of each sampled parameter, as its JSON text.
        config: The configuration that the experiment receives.
    """

    trial: Count
    attempts: Count
    origin: Line
    params: Mapping[Line, Value]
    distributions: Mapping[Line, str]
    config: Mapping[Line, Value]


@dataclass(frozen=True)
class Generation:
    """One generation: everything that an extension of a sweep may change.

    It is fixed when it begins, in a file of its own; `sweep.json` holds the first. Trial numbers
    count on, so that a number tells which generation proposed the trial.

    Attributes:
        number: Its number, from 1.
        first_trial: Number of the first trial that it proposed, or would have proposed; 0 for the
            first generation.
        created_at: Milliseconds since the epoch (UTC).
        fingerprint: See `SweepInfo`, also for the next four.
        space: Its resolved search space.
        baselines: Names of the baselines of its space.
        code: State of the code.
        directory: Folder of the space file.
        unfinished: Trials of earlier generations that had no outcome when it began.
    """

    number: Count
    first_trial: Count
    created_at: Moment
    fingerprint: Fingerprint
    space: StoredSpace
    baselines: tuple[Line, ...]
    code: StoredCode
    directory: str | None
    unfinished: tuple[UnfinishedTrial, ...] = ()


def generation_at(generations: Sequence[Generation], trial: int) -> Generation:
    """Return the generation that proposed a trial.

    Args:
        generations: All of the sweep, the first one first.
        trial: The number of the trial.
    """
    return next(g for g in reversed(generations) if g.first_trial <= trial)


VERSION: Final = 2
LAST_EPOCH: Final = "max_epochs"
"""Reason of a trial that its last epoch ended."""
"""Version of `sweep.json`. Version 1, which called a trial a slot, is read as well."""

Outcome = Literal["complete", "pruned", "diverged", "failed", "interrupted"]

_Cpu = Annotated[_Facts, Members({"features": tuple[str, ...]})]
_ENVIRONMENT: Final = Members(
    {
        "python": str, "packages": Mapping[str, str], "cpu": _Cpu, "coordinator_cpu": _Cpu,
        "code": str | None, "diff": str | None,
    }
)  # fmt: skip
_DATA: Final = Members(
    {
        "name": str, "digest": str, "split_digest": str,
        "info": Annotated[_Facts, Members({"split_seed": Count})], "irreproducible": str | None,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One attempt at one trial.

    Attributes:
        spec: Its input: sweep id, trial, attempt, seed and full configuration.
        outcome: How the attempt ended.
        reason: Why, in one word: `early_stopping`, `max_epochs`, `pruned`, `diverged`, `error`,
            `crash`, `oom`, `killed`, `timeout`, `interrupt`, ...
        ends_trial: Whether the trial has its outcome now; False if the trial is to be run again,
            after an interruption or a failure.
        error: Message and end of the traceback of a failed attempt, else None.
        params: The sampled parameters, in the order of the space; `spec.config` has the fixed ones
            as well.
        distributions: Optuna distribution of each sampled parameter, as its JSON text.
        objective: Value of the (first) objective metric; None unless complete. If the sweep has
            several objectives, the values of the others are in `result.metrics`.
        result: History, metrics and arrays; None if the attempt failed. `result.weights` is None
            when read back: weights lie beside the record and are loaded on request.
        weights_sha256: Digest of the weights file, None if there is none.
        data: Name, digests and facts of the training data.
        origin: `baseline <name>`, `learned from <source>`, `sampled`, `random` (after too many
            duplicates), `grid`.
        environment: Versions, CPU features, host, and the code's commit.
        started_at: Start, milliseconds since the epoch (UTC).
        finished_at: End, milliseconds since the epoch (UTC), never before `started_at`.
        files_sha256: Digest of the archive of files that it wrote, None if it wrote none.
        resumed_from: Number of epochs that earlier attempts had trained, from whose checkpoint it
            went on; None if it trained from the beginning.
    """

    spec: TrialSpec
    outcome: Outcome
    reason: str
    ends_trial: bool
    error: str | None
    params: Mapping[Line, Value]
    distributions: Mapping[Line, str]
    objective: float | None
    result: TrialResult | None
    weights_sha256: Digest | None
    data: Annotated[_Facts, _DATA]
    origin: Line
    environment: Annotated[_Facts, _ENVIRONMENT]
    started_at: Moment
    finished_at: Moment
    pruner_attrs: Mapping[str, Any] = field(default_factory=dict)
    files_sha256: Digest | None = None
    resumed_from: Count | None = None

    @property
    def model_info(self) -> dict[str, Any]:
        """The facts from which an experiment rebuilds, serves or exports the model.

        They are those of the data, and those that the result adds, such as a fitted `temperature`.
        """
        added = self.result.info if self.result else {}
        return {**added, **self.data.get("info", {})}

    @property
    def seconds(self) -> float:
        """Wall time of the attempt in seconds."""
        return (self.finished_at - self.started_at) / 1000


@dataclass(frozen=True)
class Checked:
    """The check whether the seed of a trial decides its result: it was trained a second time.

    Attributes:
        trial: The number of the trial.
        found: The differences in words; None if the results were equal to the bit.
    """

    trial: Count
    found: str | None = None

    @property
    def differs(self) -> str | None:
        """Why the sweep is not reproducible, in one line; None if nothing speaks against it."""
        if self.found is None:
            return None
        return (
            f"trial {self.trial}, trained a second time with the same seed, came out differently: "
            f"{self.found}; some of its random numbers do not follow from the seed of the trial"
        )


def is_same_data(
    one: PreparedData | Mapping[str, Any], other: PreparedData | Mapping[str, Any]
) -> bool:
    """Whether data, prepared or as records name them, are the same, split alike: by digests."""
    return _digests(one) == _digests(other)


_FOLD: Final = re.compile(r"(?<!\{)\{\??\s*fold\b")
_VALIDATION: Final = re.compile(r"(?<![a-z])(val|valid|validation|dev)(?![a-z])", re.IGNORECASE)
SOURCE: Final = "source"
"""Name, in the facts about data, of the source that was given; None: the experiment's own."""


def is_unseen(experiment: str, data: Mapping[str, Any]) -> bool:
    """Whether it is a script that finds its data by itself, so that nothing is known of them."""
    return is_script(experiment) and source_of(data) is None


def has_folds(experiment: str) -> bool:
    """Whether an experiment may have fresh folds: not a script whose command has no `{fold}`."""
    return not is_script(experiment) or _FOLD.search(experiment) is not None


def scored_on(info: SweepInfo) -> str:
    """Return in words what scored the trials: the validation set, where it is known to be one."""
    # Without `{fold}` a script may have none: then the name of its metric says so, or nothing does.
    is_known = has_folds(info.experiment) or _VALIDATION.search(info.metric)
    return "on the validation set" if is_known else "in the search"


def data_in_words(experiment: str, data: Mapping[str, Any], characters: int = 8) -> str:
    """Return name and digest of an experiment's data, the digest cut to so many characters."""
    if is_unseen(experiment, data):
        return f"what {data.get('name')} reads by itself"
    return f"{data.get('name')} (SHA-256 {str(data.get('digest', ''))[:characters]})"


def source_of(data: Mapping[str, Any]) -> str | None:
    """Return the source by which recorded data can be named again, if their experiment noted it."""
    source = data.get("info", {}).get(SOURCE)
    return source if isinstance(source, str) else None


def _digests(data: PreparedData | Mapping[str, Any]) -> tuple[object, object]:
    if isinstance(data, PreparedData):
        return data.digest, data.split_digest
    return data.get("digest"), data.get("split_digest")


@dataclass(frozen=True)
class SweepInfo:
    """The facts that are fixed when a sweep is created; one `sweep.json` per sweep.

    After an extension, everything that an extension may change is that of the newest generation;
    `at` returns an earlier state.

    Attributes:
        id: Its id, which never changes; folders, locks and tags carry it.
        name: Its name for people; unique within a home.
        created_at: Milliseconds since the epoch (UTC).
        experiment: Import path of the experiment (`package.module:object`).
        experiment_name: Short name of the experiment, such as `digits`.
        metric: Name of the objective metric; of the first one, if there are several.
        direction: Which way is better.
        epoch_metric: Per-epoch metric a pruner watches, None if there is none.
        fingerprint: Everything that decides the trials, by name, so that a message can name a
            difference: space, data and split digests, seed, sampler, pruner, ask_ahead, order; and
            learn_from, if points were learned.
        space: The resolved search space, JSON-compatible.
        data: Name, digests and facts of the data.
        baselines: Names of the baselines, in trial order.
        code: Commit, `dirty` flag and the filtered diff of the code that created the sweep.
        directory: Folder of the space file, where its experiment is looked up first.
        version: Version of this format.
        generations: Empty unless the sweep was extended; then all, beginning with the first.
        other_objectives: The objectives after the first; usually none.
        checked: Result of the second training of a trial (in a file beside); None without one.
    """

    id: SweepKey
    name: SweepName
    created_at: Moment
    experiment: str
    experiment_name: Line
    metric: Line
    direction: Direction
    epoch_metric: Line | None
    fingerprint: Fingerprint
    space: StoredSpace
    data: Annotated[_Facts, _DATA]
    baselines: tuple[Line, ...]
    code: StoredCode
    directory: str | None = None
    version: int = VERSION
    generations: tuple[Generation, ...] = ()
    other_objectives: tuple[Objective, ...] = ()
    checked: Checked | None = None

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All objectives, the first one first."""
        return (Objective(self.metric, self.direction), *self.other_objectives)

    @property
    def has_front(self) -> bool:
        """Whether there are several objectives, so a Pareto front instead of a best trial."""
        return bool(self.other_objectives)

    @property
    def is_reproducible(self) -> bool:
        """Whether the same seed gives the same trials.

        It does not if a clock decides their order or measures an objective, if the data may come
        out differently (see `sweeps.experiment.PreparedData`), or if the second training of a trial
        came out differently.
        """
        in_order = self.fingerprint.get("order", "number") != "free"
        by_clock = any(one.is_measured_by_clock for one in self.objectives)
        return in_order and not by_clock and not self.irreproducible

    @property
    def irreproducible(self) -> str | None:
        """Why the same seed may give another trial, in one line; usually None."""
        why: str | None = self.data.get("irreproducible")
        return why or (self.checked.differs if self.checked else None)

    @property
    def generation(self) -> int:
        """Number of the newest generation, from 1."""
        return len(self.generations) or 1

    @property
    def first_trial(self) -> int:
        """Number of the first trial of the newest generation."""
        return self.generations[-1].first_trial if self.generations else 0

    @property
    def unfinished(self) -> tuple[UnfinishedTrial, ...]:
        """Trials of earlier generations that had no outcome when the newest began."""
        return self.generations[-1].unfinished if self.generations else ()

    @property
    def learned_from(self) -> str | None:
        """What it was asked to learn from when it was created; None as a rule."""
        learned = self.fingerprint.get("learn_from")
        return None if learned is None else str(learned["name"])

    def at(self, trial: int) -> SweepInfo:
        """Return the sweep as it was in the generation that proposed a trial."""
        if trial >= self.first_trial:
            return self
        proposing = generation_at(self.generations, trial)
        return self._with(self.generations[: proposing.number])

    def extended(self, generation: Generation) -> SweepInfo:
        """Return the sweep with one more generation, which is then the newest."""
        first = Generation(number=1, first_trial=0, created_at=self.created_at, **_extended(self))
        return self._with((*(self.generations or (first,)), generation))

    def _with(self, generations: tuple[Generation, ...]) -> SweepInfo:
        return dataclasses.replace(self, **_extended(generations[-1]), generations=generations)


def _extended(of: SweepInfo | Generation) -> dict[str, Any]:
    """Return what an extension may change, by name."""
    names = ("fingerprint", "space", "baselines", "code", "directory")
    return {name: getattr(of, name) for name in names}
