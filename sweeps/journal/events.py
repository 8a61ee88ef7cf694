"""The events of a sweep: each kind is a struct, with the version of its form in its tag.

A text of a line is short and can be printed; what is longer lies in a file, which the event names
by its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import Annotated, Any, Final, Literal, Union

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field
from msgspec.structs import force_setattr

from search_spaces.objectives import Direction, Objective
from search_spaces.parameters import Value
from sweeps.errors import UsageError
from sweeps.experiment import MetricInfo, TrialResult, TrialSpec
from sweeps.workspace.files import DEEPEST, FormatError, is_deep, parse_json

BY: Final = version("digit-sweeps")
MOST_BYTES: Final = 64 * 1024
"""A longer line is not written; what is large lies in a file beside the journal."""
MOST_NAMES: Final = 10_000
"""Most parameters, and metrics of one kind, that an attempt may have: of more, tables, reports and
MLflow take minutes and gigabytes."""
LONGEST_TEXT: Final = 4 * 2**20
"""Most characters of a text that an attempt leaves."""

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))

Count = Annotated[int, Meta(ge=0, lt=2**31)]
Moment = Annotated[int, Meta(ge=0, lt=253_402_300_800_000)]  # in milliseconds since 1970
Line = Annotated[str, Meta(max_length=1000)]  # `need_lines` refuses what cannot be printed
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]  # SHA-256 in hexadecimal
AttemptKey = Annotated[str, Meta(pattern=r"^[0-9]{4,9}-[0-9]{1,9}\Z")]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")]
Values = Annotated[dict[Line, Value], Meta(max_length=MOST_NAMES)]
Numbers = Annotated[dict[Line, float], Meta(max_length=MOST_NAMES)]
Facts = dict[str, Any]


def need_lines(*texts: str | None) -> None:
    """Refuse texts that are to be one line that can be shown."""
    for text in texts:
        if text and not (len(text) <= 1000 and text.isprintable()):
            raise ValueError(f"{text[:40]!r} is not one line that can be shown")


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Something that happened to a sweep.

    Attributes:
        number: Its number, from 1 without a gap; given by the journal.
        at: When it was written, in milliseconds since the epoch (UTC); given by the journal.
        host: By which host; given by the journal.
        by: By which version of the program.
    """

    number: Count = 0
    at: int = 0
    host: str = ""
    by: str = BY


def check_facts(facts: Facts, kind: type[Struct]) -> None:
    """Refuse facts whose known members are of another form.

    Raises:
        ValueError: They are.
    """
    text = json_text(facts)
    if text.count("[") + text.count("{") > DEEPEST:
        parse_json(text.encode())  # refuses what is nested deeper
    try:
        msgspec.convert(facts, kind)
    except UnicodeEncodeError:  # half characters, which msgspec does not compare
        whole = json.dumps(facts, ensure_ascii=False).encode("utf-8", "replace")
        msgspec.convert(json.loads(whole), kind)


class Begun(Event, frozen=True, kw_only=True, tag="begun 1"):
    """A generation of the sweep begins; each start repeats those of all generations.

    So no single line is the sweep. The first generation creates it, each other is an extension.

    Attributes:
        generation: Its number, from 1.
        first_trial: Number of the first trial that it may propose; 0 of the first.
        began_at: Milliseconds since the epoch (UTC), like `created_at`.
        sweep: The id of the sweep. It and the next eight are those of `SweepInfo`.
        diff: SHA-256 of the filtered diff of the code, in a file; None without one.
    """

    generation: Annotated[int, Meta(ge=1, lt=2**31)]
    first_trial: Count
    began_at: Moment
    sweep: Name
    name: Name
    created_at: Moment
    experiment: str
    experiment_name: Line
    metric: Line
    direction: Direction
    epoch_metric: Line | None
    other_objectives: tuple[Objective, ...]
    data: Facts
    fingerprint: Facts
    space: Facts
    baselines: tuple[Line, ...]
    code: Facts
    diff: Digest | None
    directory: str | None

    def __post_init__(self) -> None:
        need_lines(self.experiment_name, self.metric, self.epoch_metric, *self.baselines)
        check_facts(self.fingerprint, _Fingerprint)
        check_facts(self.space, _Space)
        check_facts(self.data, Data)
        check_facts(self.code, _Code)


class _Choice(Struct):
    name: str
    options: Facts


class _LearnedFrom(Struct):
    name: Line
    digest: Digest


class _Fingerprint(Struct):
    """The members of a fingerprint that are read; it may have others."""

    code: str | None = None
    sampler: _Choice | UnsetType = UNSET
    pruner: _Choice | UnsetType = UNSET
    seed: int = 0
    learn_from: _LearnedFrom | UnsetType = UNSET
    order: str = ""


class _Parameter(Struct):
    name: str


class _Body(Struct):
    parameters: tuple[_Parameter, ...] = ()


class _Defaults(Struct):
    confirm: Facts | None = None


class _Space(Struct):
    """The members of a space that are read without its experiment."""

    name: str = ""
    experiment: str = ""
    fixed: Facts = {}
    defaults: _Defaults | UnsetType = UNSET
    body: _Body | UnsetType = UNSET


class _Code(Struct):
    commit: str | None = None
    dirty: bool = False


class _DataInfo(Struct):
    split_seed: Count = 0


class Data(Struct):
    """The members of the facts about data that are read; an experiment adds others."""

    name: str = ""
    digest: str = ""
    split_digest: str = ""
    info: _DataInfo | UnsetType = UNSET
    irreproducible: str | None = None


class _Cpu(Struct):
    features: tuple[str, ...] = ()


class Environment(Struct):
    """The members of an attempt's environment that are read."""

    python: str = ""
    packages: dict[str, str] = {}
    cpu: _Cpu | UnsetType = UNSET
    coordinator_cpu: _Cpu | UnsetType = UNSET
    code: str | None = None
    diff: str | None = None


class Unfinished(Event, frozen=True, kw_only=True, tag="unfinished 1"):
    """A trial of an earlier generation had no outcome when the next one began.

    Its space is that of an earlier generation, so this keeps all that its next attempt needs.

    Attributes:
        generation: The one that began; given when it is written.
        trial: Its number.
        attempts: Number of the last attempt that was begun.
        origin: Where its parameters came from.
        params: The sampled parameters.
        distributions: Optuna distribution of each sampled parameter, as its JSON text.
        config: The configuration that the experiment receives.
    """

    generation: Count = 0
    trial: Count
    attempts: Count
    origin: Line
    params: dict[Line, Value]
    distributions: dict[Line, str]
    config: dict[Line, Value]


class Shown(Event, frozen=True, kw_only=True, tag="shown 1"):
    """Which headline metrics tables of all trials show, as the experiment declares it.

    Attributes:
        metrics: Whether each that is declared is shown.
    """

    metrics: dict[Line, bool]

    def __post_init__(self) -> None:
        need_lines(*self.metrics)

    @classmethod
    def of(cls, metrics: Mapping[str, MetricInfo]) -> Shown:
        """Return what metrics declare, as far as it has room in a line."""
        declared = ((name, one.shown) for name, one in metrics.items() if name.isprintable())
        return cls(metrics=dict(pieces_of(declared)[0]))


class Requested(Event, frozen=True, tag="requested 1"):
    """A start of the sweep asks for so many trials in all."""

    trials: Count


class Asked(Event, frozen=True, kw_only=True, tag="asked 1"):
    """An attempt at a trial is about to begin; of attempt 1 also: the sampler has proposed it.

    Each attempt repeats the proposal, so that a line that is lost costs nothing.

    Attributes:
        trial: Number of the trial, from 0.
        attempt: Number of the attempt, from 1; none is used twice.
        params: The sampled parameters; their distributions follow from the space.
        origin: Where the proposal came from, as in records.
        point: Number of the enqueued point that the trial tries; None as a rule.
    """

    trial: Count
    attempt: Count
    params: dict[str, Value]
    origin: str
    point: Count | None = None


class Trained(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `TrialResult` without its curves, arrays and weights."""

    outcome: Literal["complete", "stopped", "diverged"]
    stop_reason: str
    metrics: Numbers = {}
    timings: Numbers = {}
    summary: Annotated[str, Meta(max_length=LONGEST_TEXT)] = ""
    engine: str = ""
    engine_reason: str = ""
    info: Facts = {}


Outcome = Literal["complete", "pruned", "diverged", "failed", "interrupted"]
_IN_COMMON: Final = ("distributions_json", "data_json", "environment_json")
_WITH_RESULT: Final = frozenset({"complete", "pruned", "diverged"})
LAST_EPOCH: Final = "max_epochs"
"""Reason of a trial that its last epoch ended."""


class Record(Event, frozen=True, kw_only=True, dict=True, tag="ended 1"):
    """One attempt at one trial, which has ended: everything known about it.

    What is large, or the same in many records, is parsed when somebody asks for it.

    Attributes:
        trial: Number of the trial, from 0.
        attempt: Number of the attempt, from 1.
        seed: See `TrialSpec`, also for `config`.
        outcome: How the attempt ended.
        reason: Why, in one word: `early_stopping`, `max_epochs`, `pruned`, `diverged`, `error`,
            `crash`, `oom`, `killed`, `timeout`, `interrupt`, ...
        ends_trial: Whether the trial has its outcome now; False if the trial is to be run again,
            after an interruption or a failure, or by `sweeps retry`.
        origin: `baseline <name>`, `imported <place>`, `learned from <source>`, `sampled`, `random`
            (after too many duplicates), `grid`, or as of an enqueued point.
        params: The sampled parameters, in the order of the space; `config` has the fixed ones, too.
        distributions_json: See `distributions`; the next two and `curves_json` likewise. These
            three are what many attempts have in common, see `Common`.
        started_at: Milliseconds since the epoch (UTC), like `finished_at`, which is never before.
        objective: Value of the (first) objective metric; None unless complete. If the sweep has
            several objectives, the values of the others are in `result.metrics`.
        error: Message and end of the traceback of a failed attempt.
        trained: What is told of the result in the line; None if the attempt failed. See `result`.
        pruner_attrs: Notes of the pruner.
        epochs: How many epochs its curves have.
        resumed_from: Number of epochs that earlier attempts had trained, from whose checkpoint it
            went on; None if it trained from the beginning.
        details_sha256: SHA-256 of the file with its arrays, and with what the line has no room for;
            None without one.
        moved: Names of the members of the result that lie in that file.
        weights_sha256: SHA-256 of the file with its weights; None without one.
        files_sha256: SHA-256 of the archive of the files that it wrote; None without one.
    """

    trial: Count
    attempt: Count
    seed: int
    config: Values
    outcome: Outcome
    reason: str
    ends_trial: bool
    origin: Line
    params: Values
    distributions_json: Raw = field(name="distributions")
    data_json: Raw = field(name="data")
    environment_json: Raw = field(name="environment")
    started_at: Moment
    finished_at: Moment
    objective: float | None = None
    error: str | None = None
    trained: Trained | None = None
    curves_json: Raw = field(name="history", default=Raw(b"{}"))
    epochs: Count = 0
    pruner_attrs: Facts = {}
    resumed_from: Count | None = None
    details_sha256: Digest | None = field(name="details", default=None)
    moved: tuple[str, ...] = ()
    weights_sha256: Digest | None = field(name="weights", default=None)
    files_sha256: Digest | None = field(name="files", default=None)

    def __post_init__(self) -> None:
        trained, names = self.trained, [self.origin, *self.params, *self.config]
        if trained is not None:
            names += [*trained.metrics, *trained.timings]
        elif self.objective is not None or self.outcome in _WITH_RESULT:
            raise ValueError(f"the outcome is {self.outcome}, and there is no result")
        if self.objective is not None and math.isnan(self.objective):
            raise ValueError("its objective is no number")
        if not "".join(names).isprintable():
            need_lines(*names)
        for facts in (self.pruner_attrs, trained.info if trained else {}):
            if facts and is_deep(facts):
                raise ValueError(f"it is nested more than {DEEPEST} levels deep")

    @property
    def key(self) -> str:
        """`<trial>-<attempt>`, as `TrialSpec.key`."""
        return f"{self.trial:04d}-{self.attempt}"

    @classmethod
    def of(cls, result: TrialResult | None, **members: Any) -> Record:
        """Return the record of an attempt with that result; the members are those above."""
        if result is None:
            return cls(**members)
        trained = {name: getattr(result, name) for name in Trained.__struct_fields__}
        mappings = {name: dict(trained[name]) for name in ("metrics", "timings", "info")}
        return cls(
            trained=Trained(**{**trained, **mappings}),
            curves_json=raw_json(dict(result.history)),
            epochs=max(map(len, result.history.values()), default=0),
            **members,
        ).with_result(result)

    def spec(self, sweep: str) -> TrialSpec:
        """Return the input of the attempt, in the sweep of that id."""
        return TrialSpec(sweep, self.trial, self.attempt, self.seed, self.config)

    @cached_property
    def result(self) -> TrialResult | None:
        """The result of the training, with arrays only from `RecordStore.read`; None if it failed.

        Its curves are parsed when they are asked for.
        """
        if self.trained is None:
            return None
        members = msgspec.structs.asdict(self.trained)
        return TrialResult(history=_Curves(self.curves_json), **members)

    def with_result(self, result: TrialResult | None) -> Record:
        """Return the record with its result at hand, arrays and weights included."""
        record = msgspec.structs.replace(self)
        record.__dict__["result"] = result
        return record

    @property
    def distributions(self) -> dict[str, str]:
        """Optuna distribution of each sampled parameter, as its JSON text."""
        return _shared(bytes(self.distributions_json), dict[str, str])

    @property
    def data(self) -> Facts:
        """Name, digests and facts of the training data."""
        return _shared(bytes(self.data_json), Data)

    @property
    def environment(self) -> Facts:
        """Versions, CPU features, host, and the code's commit."""
        return _shared(bytes(self.environment_json), Environment)

    @property
    def model_info(self) -> Facts:
        """The facts from which an experiment rebuilds, serves or exports the model.

        They are those of the data, and those that the result adds, such as a fitted `temperature`.
        """
        added = self.trained.info if self.trained else {}
        return {**added, **self.data.get("info", {})}

    def check(self) -> None:
        """Refuse facts of another form (ValueError), without which a reader would do."""
        facts = (self.data_json, self.environment_json, self.distributions_json)
        for text, kind in zip(facts, (Data, Environment, dict[str, str]), strict=True):
            msgspec.convert(parse_json(bytes(text)), kind)
        curves_in(bytes(self.curves_json))

    @property
    def seconds(self) -> float:
        """Wall time of the attempt in seconds."""
        return (self.finished_at - self.started_at) / 1000


class Common(Event, frozen=True, kw_only=True, tag="common 1"):
    """What attempts have in common, see `Record`: the journal has it before the first of them.

    It stands there twice, so that no single line is needed by many attempts.
    """

    distributions_json: Raw = field(name="distributions")
    data_json: Raw = field(name="data")
    environment_json: Raw = field(name="environment")

    @property
    def digest(self) -> str:
        """SHA-256 of its contents, by which attempts name it."""
        contents = self.distributions_json, self.data_json, self.environment_json
        return hashlib.sha256(b"\n".join(map(bytes, contents))).hexdigest()


class ShortRecord(Record, frozen=True, kw_only=True, tag="ended 2"):
    """A record as it stands in a line: it names what it has in common with others.

    The journal hands it out with that; without it, where all its lines are lost.

    Attributes:
        common: Digest of that.
    """

    common: Digest
    distributions_json: Raw = field(name="distributions", default=Raw(b"{}"))
    data_json: Raw = field(name="data", default=Raw(b"{}"))
    environment_json: Raw = field(name="environment", default=Raw(b"{}"))

    def complete(self, common: Common) -> None:
        """Take what it has in common with others."""
        for name in _IN_COMMON:
            force_setattr(self, name, getattr(common, name))


def parted(record: Record) -> tuple[Common, ShortRecord]:
    """Return a record as it is written: what it has in common with others, and the rest."""
    members = {name: getattr(record, name) for name in Record.__struct_fields__}
    common = Common(**{name: members.pop(name) for name in _IN_COMMON})
    return common, ShortRecord(common=common.digest, **members)


class _Curves(Mapping[str, list[float]]):
    """Per-epoch metrics, parsed when they are asked for, as most never are."""

    def __init__(self, text: Raw) -> None:
        self._text = text

    @cached_property
    def _parsed(self) -> dict[str, list[float]]:
        return curves_in(bytes(self._text))

    def __getitem__(self, name: str) -> list[float]:
        return self._parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed)

    def __len__(self) -> int:
        return len(self._parsed)

    def __repr__(self) -> str:
        return repr(self._parsed)


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


@lru_cache(maxsize=1024)
def _shared(text: bytes, kind: Any) -> Facts:
    """Return facts that many records have in common; nothing if they are of another form."""
    try:
        found: Facts = parse_json(text)
        msgspec.convert(found, kind)
    except (FormatError, ValueError):
        return {}
    return found


class Enqueued(Event, frozen=True, kw_only=True, tag="enqueued 1"):
    """A point is to be tried.

    Attributes:
        point: Its number, from 1, in the order of asking.
        params: Every parameter active at the point.
        origin: Where it came from: `enqueued`, `enqueued, <sweep> trial <n>`, or as `Longer` has
            it.
    """

    point: Count
    params: dict[Line, Value]
    origin: Line


class Retried(Event, frozen=True, kw_only=True, tag="retried 1"):
    """Failed trials are to be run again.

    Attributes:
        attempts: Keys (`<trial>-<attempt>`) of the failed attempts that no longer end their trials:
            a reader of the records sees them so, and a later attempt ends the trial.
        opened: How many trials had been proposed when the command ran. Their proposals took the
            failure into account, also whenever they are repeated; later ones see the new outcome.
    """

    attempts: tuple[AttemptKey, ...]
    opened: Count


class Started(Event, frozen=True, kw_only=True, tag="started 1"):
    """A command that works on the sweep began: a start of its trials, or a confirmation.

    Attributes:
        began_at: Milliseconds since the epoch (UTC).
        command: The `sweeps run` that it was, without number of trials and home; None of others.
        folder: The folder in which it was typed.
    """

    began_at: Moment
    command: str | None = None
    folder: str | None = None


class Returned(Event, frozen=True, kw_only=True, tag="returned 1"):
    """That command has ended; there is no such event if it was killed.

    Attributes:
        began_at: When it began, see `Started`.
        seconds: Its duration.
    """

    began_at: Moment
    seconds: Annotated[float, Meta(ge=0, le=1e12)]


SweepStatus = Literal["FINISHED", "KILLED", "FAILED"]


class Finished(Event, frozen=True, tag="finished 1"):
    """A start of the sweep has ended.

    It and the attempts are all that the parent run in MLflow is made from.

    Attributes:
        status: FINISHED, KILLED by a signal (or found dead), or FAILED.
        stopped_by: The reason why it ended before its total; None if it did not.
        seconds: Wall time of that start.
        time_split: How that time was spent, see `sweeps.analysis.summary.Summary`.
        error: The exception that ended it, if one did.
        failure_cause: The cause of the failed trials, if too many in a row ended it.
    """

    status: SweepStatus
    stopped_by: Line | None
    seconds: float = 0.0
    time_split: dict[Line, float] = {}
    error: str | None = None
    failure_cause: str | None = None

    def ended_alike(self, other: Finished) -> bool:
        """Whether another start ended the same way, whatever time it took."""
        return self._way == other._way

    @property
    def _way(self) -> tuple[object, ...]:
        return self.status, self.stopped_by, self.error, self.failure_cause


class Checked(Event, frozen=True, tag="checked 1"):
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


class Noted(Event, frozen=True, tag="noted 1"):
    """Somebody wrote a note.

    Attributes:
        subject: `sweep`, or the number of a trial.
        text: The note, in place of an earlier one; an empty one removes it.
    """

    subject: Line
    text: str


class Renamed(Event, frozen=True, tag="renamed 1"):
    """The sweep has another name from now on."""

    name: Name


class Archived(Event, frozen=True, kw_only=True, tag="archived 1"):
    """The sweep is hidden in lists and in MLflow from now on, or shown again."""

    hidden: bool


class CodeKept(Event, frozen=True, kw_only=True, tag="code 1"):
    """The sweep goes on with a state of the code; its text lies in the file of that digest.

    Attributes:
        text: SHA-256 of that file.
    """

    text: Digest


class ImportedTrial(Struct, frozen=True, forbid_unknown_fields=True):
    """A trial that was run elsewhere; no attempt, record or run belongs to it.

    Attributes:
        source: Its place there: `line 7`, `trial 12`, `run 3fa0`.
        params: Every parameter that is active at its point.
        values: The value of each objective, in their order; none unless it is complete.
        state: How it ended there.
        reached: Step and value of the last report of a trial that was pruned, if it had one.
        distributions: Of an open space what its parameters were drawn from, as Optuna's JSON.
        again: Whether the sweep tries its point anew, before it samples any.
    """

    source: Line
    params: dict[Line, Value]
    values: tuple[float, ...] = ()
    state: Literal["COMPLETE", "PRUNED", "FAILED"] = "COMPLETE"
    reached: tuple[Count, float] | None = None
    distributions: dict[Line, str] = {}
    again: bool = False

    def __post_init__(self) -> None:
        need_lines(self.source, *self.params)


class Imported(Event, frozen=True, kw_only=True, tag="imported 1"):
    """Trials that were run elsewhere teach the sampler; of many there are several events.

    Attributes:
        source: The file, the study or the experiment that they came from.
        imported_at: Milliseconds since the epoch (UTC).
        trials: The trials, in their order there.
    """

    source: Line
    imported_at: Moment
    trials: tuple[ImportedTrial, ...]

    def __post_init__(self) -> None:
        need_lines(self.source)


class LearnedSource(Struct, frozen=True, forbid_unknown_fields=True):
    """What points were learned from.

    Attributes:
        name: Name of a sweep or of a data set.
        data: SHA-256 (hex) of its data, as a sweep has it; None if it is not known.
        trials: Number of trials there; 0 if it is not known.
    """

    name: Line
    data: Digest | None = None
    trials: Count = 0

    def __post_init__(self) -> None:
        need_lines(self.name)


class LearnedPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """A point that was good on other data.

    Attributes:
        params: Every parameter that is active at the point.
        source: Its place there, such as `mlp-letters trial 12`.
    """

    params: dict[Line, Value]
    source: Line = "elsewhere"

    def __post_init__(self) -> None:
        need_lines(self.source, *self.params)


class Learned(Event, frozen=True, kw_only=True, tag="learned 1"):
    """The sweep tries these points first, because they were good on other data.

    Of many there are several events.

    Attributes:
        points: The points, in the order in which they are tried.
        learned_from: What they were learned from.
        asked: What the user asked to learn from.
        left_out: A line for each source or point that was not used, with the reason.
    """

    points: tuple[LearnedPoint, ...]
    learned_from: tuple[LearnedSource, ...] = ()
    asked: Line = ""
    left_out: tuple[Line, ...] = ()

    def __post_init__(self) -> None:
        need_lines(self.asked, *self.left_out)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the points in their order: all that decides trials."""
        points = [sorted(point.params.items()) for point in self.points]
        text = json.dumps(points, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return hashlib.sha256(text).hexdigest()

    def to_dict(self) -> Facts:
        """Return a JSON-compatible mapping, as a portfolio file has it."""
        found: Facts = msgspec.to_builtins(self)
        return {name: found[name] for name in ("points", "learned_from", "asked", "left_out")}


class Received(Event, frozen=True, kw_only=True, tag="received 1"):
    """The sweep was recorded by somebody else and imported here; or it is trusted from now on.

    Attributes:
        file: Name of the archive that it came in.
        archive: SHA-256 (hex) of that archive; trust holds for this archive only.
        trusted: Whether the user has said that its experiment may be run.
        folder: The user's folder with the code of its experiment; None if it is installed.
    """

    file: str
    archive: Digest
    trusted: bool = False
    folder: str | None = None


class Skipped(Event, frozen=True, kw_only=True, tag="skipped 1"):
    """A start has told of damaged events, and goes on without them: it need not be said again.

    Attributes:
        events: Their numbers; that of a gap is the number of the event behind it.
    """

    events: tuple[Count, ...]


class Confirmed(Event, frozen=True, kw_only=True, tag="confirmed 1"):
    """The sweep was confirmed, or an earlier confirmation is in force again.

    Attributes:
        conclusion: See `sweeps.records.ConfirmationRecord`; empty if it lies in a file.
        text: SHA-256 of that file.
    """

    conclusion: Facts
    text: Digest | None = None


class Tested(Event, frozen=True, kw_only=True, tag="tested 1"):
    """A test set was evaluated for the sweep; results of the same evaluation replace earlier ones.

    Attributes:
        evaluation: Its name, such as `1234abcd-1`.
        is_vote: Whether the conclusion is about votes.
        conclusion: See `sweeps.records.conclusions`; empty if it lies in a file.
        text: SHA-256 of that file.
    """

    evaluation: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9]{1,9}\Z")]
    is_vote: bool
    conclusion: Facts
    text: Digest | None = None


_STRUCTS: Final[tuple[type[Event], ...]] = (*Event.__subclasses__(), ShortRecord)
KINDS: Final[dict[Any, type[Event]]] = {one.__struct_config__.tag: one for one in _STRUCTS}
_DECODER: Final = msgspec.json.Decoder[Event](Union[tuple(KINDS.values())])  # noqa: UP007
_RAW: Final = ("distributions", "data", "environment", "history")
_ALWAYS: Final = frozenset({"number", "at", "host", "by"})


class UnknownEventError(UsageError):
    """An event is of a kind, or a version of a kind, that this version does not know."""


class TooLongError(UsageError):
    """An event has more than `MOST_BYTES`."""


def json_text(value: Any) -> str:
    """Return a value as JSON: NaN as Python has it, lone surrogates escaped.

    msgspec would write NaN as null, and refuse lone surrogates.
    """
    return _ENCODER.encode(value)


def raw_json(value: Any) -> Raw:
    """Return a value as JSON that is written as it is."""
    return Raw(json_text(value).encode())


def to_line(event: Event) -> bytes:
    """Return an event as a line of the journal; members that have their default are left out.

    Raises:
        TooLongError: It has more than `MOST_BYTES`.
    """
    text = _to_json(event).encode()
    if len(text) > MOST_BYTES:
        kind = str(event.__struct_config__.tag).partition(" ")[0]
        raise TooLongError(
            f"what is {kind!r} would take {len(text)} bytes in the journal, and may take "
            f"{MOST_BYTES}: use shorter texts as values"
        )
    return b"\n%b %08x\n" % (text, zlib.crc32(text))


def _to_json(event: Event) -> str:
    members = [f'"kind":{json_text(event.__struct_config__.tag)}']
    kind = type(event)
    for attribute, name in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True):
        if kind is ShortRecord and attribute in _IN_COMMON:
            continue
        value = getattr(event, attribute)
        default, text_of_default = _DEFAULTS[kind].get(name, (msgspec.NODEFAULT, None))
        if value is not default or name in _ALWAYS:  # else its text would be the same
            text = _text_of(value)
            if text != text_of_default or name in _ALWAYS:
                members.append(f'"{name}":{text}')
    return "{" + ",".join(members) + "}"


def _text_of(value: Any) -> str:
    if type(value) is int:
        return str(value)  # as JSON; the encoder would be set up for each
    if isinstance(value, Raw):
        return bytes(value).decode()
    return json_text(msgspec.to_builtins(value))


def _defaults_of(kind: type[Struct]) -> dict[str, tuple[Any, str]]:
    """Return the defaults, and each as JSON, which tells -0.0 from 0.0."""
    defaults = {
        one.encode_name: (
            one.default if one.default_factory is msgspec.NODEFAULT else one.default_factory()
        )
        for one in msgspec.structs.fields(kind)
        if not one.required
    }
    return {name: (default, _text_of(default)) for name, default in defaults.items()}


_DEFAULTS: Final = {kind: _defaults_of(kind) for kind in KINDS.values()}


def from_line(line: bytes | memoryview) -> Event:
    """Return the event in a line, without the newlines around it.

    Raises:
        FormatError: The line is damaged: the checksum does not fit, or it holds no event.
        UnknownEventError: Its kind is unknown; the message names the version that wrote it.
    """
    text = line[:-9]
    if line[-9:] != b" %08x" % zlib.crc32(text) or len(text) > MOST_BYTES:
        raise FormatError(f"its checksum does not fit{_legible(bytes(text))}")
    try:
        event: Event = _DECODER.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _slowly(bytes(text))
    return event


def _legible(text: bytes) -> str:
    """Return in words what a damaged line was, as far as that can be read."""
    kind = re.search(rb'"kind":"([a-z]{1,20}) [0-9]', text)
    attempt = re.search(rb'"trial":([0-9]{1,9}),"attempt":([0-9]{1,9})', text)
    whose = f" of attempt {int(attempt[1]):04d}-{int(attempt[2])}" if attempt else ""
    return f"; it was {kind[1].decode()!r}{whose}" if kind else ""


def _slowly(text: bytes) -> Event:
    """Read what msgspec does not: numbers that are not finite, lone surrogates, unknown kinds."""
    try:
        found: Any = json.loads(text)
        kind = found["kind"]
        if kind in KINDS:
            raw = {name: raw_json(found[name]) for name in _RAW if name in found}
            whole = {**found, **raw} if issubclass(KINDS[kind], Record | Common) else found
            return msgspec.convert(whole, KINDS[kind])
        by = found.get("by")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"no event: {error}") from None
    raise UnknownEventError(
        f"an event of the kind {kind!r}, which this version ({BY}) does not know; use the one that "
        f"wrote it ({by})"
    )


def pieces_of(items: Iterable[Any], most: int = MOST_BYTES // 2) -> list[tuple[Any, ...]]:
    """Return items in groups, each of which has room in one line; at least one group."""
    groups: list[list[Any]] = [[]]
    size = 0
    for item in items:
        length = len(json_text(msgspec.to_builtins(item)))
        if groups[-1] and size + length > most:
            groups.append([])
            size = 0
        groups[-1].append(item)
        size += length + 1
    return [tuple(group) for group in groups]
