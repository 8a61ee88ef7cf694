"""A record: everything known about one attempt that has ended; and the facts about its sweep."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from search_spaces.objectives import Direction, Objective, is_script
from search_spaces.parameters import Value
from sweeps.experiment import PreparedData, TrialResult, TrialSpec
from sweeps.journal.events import (
    Begun,
    Checked,
    Data,
    Ended,
    Environment,
    Line,
    Trained,
    Unfinished,
    json_text,
    need_lines,
)
from sweeps.journal.state import SweepState
from sweeps.workspace.files import FormatError, parse_json

_Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Generation:
    """One generation: everything that an extension of a sweep may change.

    It is fixed when it begins. Trial numbers count on, so that a number tells which generation
    proposed the trial.

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

    number: int
    first_trial: int
    created_at: int
    fingerprint: _Facts
    space: _Facts
    baselines: tuple[str, ...]
    code: _Facts
    directory: str | None
    unfinished: tuple[Unfinished, ...] = ()


def generation_at(generations: Sequence[Generation], trial: int) -> Generation:
    """Return the generation that proposed a trial.

    Args:
        generations: All of the sweep, the first one first.
        trial: The number of the trial.
    """
    return next(g for g in reversed(generations) if g.first_trial <= trial)


LAST_EPOCH: Final = "max_epochs"
"""Reason of a trial that its last epoch ended."""

Outcome = Literal["complete", "pruned", "diverged", "failed", "interrupted"]


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
        result: History, metrics and arrays; None if the attempt failed. Arrays and weights lie in
            files, and are loaded on request.
        weights_sha256: Digest of the weights file, None if there is none.
        data: Name, digests and facts of the training data.
        origin: `baseline <name>`, `learned from <source>`, `sampled`, `random` (after too many
            duplicates), `grid`.
        environment: Versions, CPU features, host, and the code's commit.
        started_at: Start, milliseconds since the epoch (UTC).
        finished_at: End, milliseconds since the epoch (UTC), never before `started_at`.
        files_sha256: Digest of the archive of files that it wrote, None if it wrote none.
        details_sha256: Digest of the file with its arrays, None if it has none.
        resumed_from: Number of epochs that earlier attempts had trained, from whose checkpoint it
            went on; None if it trained from the beginning.
    """

    spec: TrialSpec
    outcome: Outcome
    reason: str
    ends_trial: bool
    error: str | None
    params: Mapping[str, Value]
    distributions: Mapping[str, str]
    objective: float | None
    result: TrialResult | None
    weights_sha256: str | None
    data: _Facts
    origin: str
    environment: _Facts
    started_at: int
    finished_at: int
    pruner_attrs: Mapping[str, Any] = field(default_factory=dict)
    files_sha256: str | None = None
    details_sha256: str | None = None
    resumed_from: int | None = None

    @property
    def model_info(self) -> dict[str, Any]:
        """The facts from which an experiment rebuilds, serves or exports the model.

        They are those of the data, and those that the result adds, such as a fitted `temperature`.
        """
        added = self.result.info if self.result else {}
        return {**added, **self.data.get("info", {})}

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what tells this training from any other."""
        spec = [self.spec.sweep, self.spec.key, self.spec.seed, sorted(self.spec.config.items())]
        files = [self.weights_sha256, self.details_sha256, self.started_at, self.finished_at]
        return hashlib.sha256(repr([spec, self.objective, files]).encode()).hexdigest()

    @property
    def seconds(self) -> float:
        """Wall time of the attempt in seconds."""
        return (self.finished_at - self.started_at) / 1000


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
    """The facts that are fixed when a sweep is created.

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
        generations: Empty unless the sweep was extended; then all, beginning with the first.
        other_objectives: The objectives after the first; usually none.
        checked: Result of the second training of a trial (in a file beside); None without one.
    """

    id: str
    name: str
    created_at: int
    experiment: str
    experiment_name: str
    metric: str
    direction: Direction
    epoch_metric: str | None
    fingerprint: _Facts
    space: _Facts
    data: _Facts
    baselines: tuple[str, ...]
    code: _Facts
    directory: str | None = None
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
    def unfinished(self) -> tuple[Unfinished, ...]:
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

    def run_by(self, experiment: str) -> SweepInfo:
        """Return the sweep whose script is run by another command now, as its Python has moved."""
        space = {**self.space, "experiment": experiment}
        generations = tuple(
            dataclasses.replace(one, space={**one.space, "experiment": experiment})
            for one in self.generations
        )
        return dataclasses.replace(
            self, experiment=experiment, space=space, generations=generations
        )

    def _with(self, generations: tuple[Generation, ...]) -> SweepInfo:
        return dataclasses.replace(self, **_extended(generations[-1]), generations=generations)


def _extended(of: SweepInfo | Generation) -> dict[str, Any]:
    """Return what an extension may change, by name."""
    names = ("fingerprint", "space", "baselines", "code", "directory")
    return {name: getattr(of, name) for name in names}


class History(Mapping[str, list[float]]):
    """The per-epoch metrics of an attempt: parsed when they are asked for, as most never are.

    Attributes:
        epochs: How many epochs they have.
    """

    def __init__(self, text: msgspec.Raw, epochs: int) -> None:
        self._text, self.epochs = text, epochs
        self._curves: dict[str, list[float]] | None = None

    @property
    def _parsed(self) -> dict[str, list[float]]:
        if self._curves is None:
            self._curves = curves_in(bytes(self._text))
        return self._curves

    def __getitem__(self, name: str) -> list[float]:
        return self._parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed)

    def __len__(self) -> int:
        return len(self._parsed)

    def __repr__(self) -> str:
        return repr(self._parsed)


def epochs_of(history: Mapping[str, list[float]]) -> int:
    """Return how many epochs the per-epoch metrics of an attempt have."""
    if isinstance(history, History):
        return history.epochs
    return max(map(len, history.values()), default=0)


def curves_in(text: bytes) -> dict[str, list[float]]:
    """Return per-epoch metrics by name.

    Raises:
        ValueError: The text holds something else.
    """
    kind = dict[Line, list[float]]
    try:
        curves = msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:  # numbers that are not finite, or lone surrogates
        curves = msgspec.convert(parse_json(text), kind)
    need_lines(*curves)
    return curves


def record_of(event: Ended, sweep: str, *, ends_trial: bool) -> Record:
    """Return the record of an attempt, without its arrays.

    Args:
        event: Its end.
        sweep: Id of its sweep.
        ends_trial: Whether it still does what it did at its end: `sweeps retry` may have undone it.
    """
    trained = event.trained
    result = None
    if trained is not None:
        members: dict[str, Any] = {
            name: getattr(trained, name) for name in trained.__struct_fields__
        }
        result = TrialResult(history=History(event.history, event.epochs), **members)
    return Record(
        spec=TrialSpec(sweep, event.trial, event.attempt, event.seed, event.config),
        outcome=event.outcome,
        reason=event.reason,
        ends_trial=ends_trial,
        error=event.error,
        params=event.params,
        distributions=_shared(bytes(event.distributions), dict[str, str]),
        objective=event.objective,
        result=result,
        weights_sha256=event.weights,
        data=_shared(bytes(event.data), Data),
        origin=event.origin,
        environment=_shared(bytes(event.environment), Environment),
        started_at=event.started_at,
        finished_at=event.finished_at,
        pruner_attrs=event.pruner_attrs,
        files_sha256=event.files,
        details_sha256=event.details,
        resumed_from=event.resumed_from,
    )


@lru_cache(maxsize=1024)
def _shared(text: bytes, kind: Any) -> dict[str, Any]:
    """Return facts that many attempts have in common; nothing if they are of another form."""
    try:
        found: dict[str, Any] = parse_json(text)
        msgspec.convert(found, kind)
    except (FormatError, ValueError):
        return {}
    return found


def event_of(record: Record) -> Ended:
    """Return the end of an attempt as an event; `record_of` is the way back."""
    result, spec = record.result, record.spec
    trained = None
    if result is not None:
        members = {name: getattr(result, name) for name in Trained.__struct_fields__}
        mappings = {name: dict(members[name]) for name in ("metrics", "timings", "info")}
        trained = Trained(**{**members, **mappings})

    def raw(facts: _Facts) -> msgspec.Raw:
        return msgspec.Raw(json_text(facts).encode())

    return Ended(
        trial=spec.trial,
        attempt=spec.attempt,
        seed=spec.seed,
        config=dict(spec.config),
        outcome=record.outcome,
        reason=record.reason,
        ends_trial=record.ends_trial,
        origin=record.origin,
        params=dict(record.params),
        distributions=raw(record.distributions),
        data=raw(record.data),
        environment=raw(record.environment),
        started_at=record.started_at,
        finished_at=record.finished_at,
        objective=record.objective,
        error=record.error,
        trained=trained,
        history=raw(dict(result.history) if result is not None else {}),
        epochs=epochs_of(result.history) if result is not None else 0,
        pruner_attrs=dict(record.pruner_attrs),
        resumed_from=record.resumed_from,
        details=record.details_sha256,
        weights=record.weights_sha256,
        files=record.files_sha256,
    )


def info_of(state: SweepState, text: Callable[[str], str | None]) -> SweepInfo | None:
    """Return the facts about a sweep, as its newest generation has them; None without one.

    Args:
        state: What its events say.
        text: Returns a text by its digest; None if it is lost.

    Raises:
        LookupError: A generation is lost; the message says which.
    """
    if not state.generations:
        return None
    newest = max(state.generations)
    if lost := [n for n in range(1, newest) if n not in state.generations]:
        raise LookupError(f"what generation {lost[0]} of the sweep is, is lost")
    generations = [_generation(state, number, text) for number in range(1, newest + 1)]
    begun = state.generations[newest]
    return SweepInfo(
        id=begun.sweep,
        name=state.name or begun.name,
        created_at=begun.created_at,
        experiment=begun.experiment,
        experiment_name=begun.experiment_name,
        metric=begun.metric,
        direction=begun.direction,
        epoch_metric=begun.epoch_metric,
        data=begun.data,
        other_objectives=begun.other_objectives,
        generations=tuple(generations) if newest > 1 else (),
        checked=state.checked,
        **_extended(generations[-1]),
    )


def _generation(state: SweepState, number: int, text: Callable[[str], str | None]) -> Generation:
    begun = state.generations[number]
    unfinished = [one for (of, _), one in sorted(state.unfinished.items()) if of == number]
    return Generation(
        number=number,
        first_trial=begun.first_trial,
        created_at=begun.began_at,
        fingerprint=begun.fingerprint,
        space=begun.space,
        baselines=begun.baselines,
        code={**begun.code, "diff": text(begun.diff)} if begun.diff else begun.code,
        directory=begun.directory,
        unfinished=tuple(unfinished),
    )


def events_of(info: SweepInfo, keep: Callable[[str], str]) -> list[Begun]:
    """Return the events that say what a sweep is; `info_of` is the way back.

    Args:
        info: The sweep.
        keep: Keeps a text, and returns its digest.
    """
    first = Generation(number=1, first_trial=0, created_at=info.created_at, **_extended(info))
    return [
        Begun(
            generation=one.number,
            first_trial=one.first_trial,
            began_at=one.created_at,
            sweep=info.id,
            name=info.name,
            created_at=info.created_at,
            experiment=info.experiment,
            experiment_name=info.experiment_name,
            metric=info.metric,
            direction=info.direction,
            epoch_metric=info.epoch_metric,
            other_objectives=info.other_objectives,
            data=dict(info.data),
            fingerprint=dict(one.fingerprint),
            space=dict(one.space),
            baselines=tuple(one.baselines),
            code={name: value for name, value in one.code.items() if name != "diff" or not value},
            diff=keep(one.code["diff"]) if one.code.get("diff") else None,
            directory=one.directory,
        )
        for one in info.generations or (first,)
    ]
