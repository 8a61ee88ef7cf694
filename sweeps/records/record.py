"""A record: all that is known of one attempt once it has ended; all else is rebuilt from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from search_spaces.objectives import Direction, Objective
from search_spaces.parameters import Value
from sweeps.experiment import TrialResult, TrialSpec
from sweeps.records.generations import (
    Fingerprint,
    Generation,
    StoredCode,
    StoredSpace,
    UnfinishedSlot,
    generation_at,
)
from sweeps.records.schema import Count, Digest, Line, Members, Moment, SweepKey, SweepName

VERSION: Final = 1
"""Of `sweep.json`."""

Outcome = Literal["complete", "pruned", "diverged", "failed", "interrupted"]

_Facts = Mapping[str, Any]
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
    """One attempt at one slot.

    Attributes:
        spec: What was asked: sweep id, slot, attempt, seed and full configuration.
        outcome: How the attempt ended.
        reason: Why, in one word: `early_stopping`, `max_epochs`, `pruned`, `diverged`, `error`,
            `crash`, `oom`, `timeout`, `interrupt`, ...
        ends_slot: Whether the slot has its outcome now; False if it is to be run again, after an
            interruption or a failure that is tried again.
        error: Message and end of the traceback of a failed attempt, else None.
        params: The sampled parameters, in the order of the space; a subset of what a reader
            compares (`spec.config` has the fixed ones as well).
        distributions: Optuna distribution of each sampled parameter, as its JSON text.
        objective: Value of the (first) objective metric; None unless complete. Of the others, if
            the sweep has several, it is in `result.metrics`.
        result: History, metrics and arrays; None if the attempt failed. `result.weights` is None
            when read back: weights lie beside the record and are loaded on request.
        weights_sha256: Digest of the weights file, None if there is none.
        data: Name, digests and facts of the data trained on.
        origin: `baseline <name>`, `sampled`, `random` (after too many duplicates), `grid`.
        environment: Versions, CPU features, host, and the code's commit.
        started_at: Start, milliseconds since the epoch (UTC).
        finished_at: End, milliseconds since the epoch (UTC), never before `started_at`.
        files_sha256: Digest of the archive of files that it wrote, None if it wrote none.
    """

    spec: TrialSpec
    outcome: Outcome
    reason: str
    ends_slot: bool
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

    @property
    def model_info(self) -> dict[str, Any]:
        """What an experiment is told to rebuild the model, serve or export it.

        The facts of the data, and what the result adds to them, such as a fitted `temperature`.
        """
        added = self.result.info if self.result else {}
        return {**added, **self.data.get("info", {})}

    @property
    def seconds(self) -> float:
        """Wall time of the attempt in seconds."""
        return (self.finished_at - self.started_at) / 1000


@dataclass(frozen=True)
class Checked:
    """A trial that was trained a second time, to see whether its seed decides it.

    Attributes:
        trial: Which.
        found: What came out differently, in words; None if it was the same to the bit.
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


@dataclass(frozen=True)
class SweepInfo:
    """What is fixed when a sweep is created; one `sweep.json` per sweep.

    Of a sweep that was extended, everything that an extension may change is that of its newest
    generation; `at` tells how it was before.

    Attributes:
        id: Never changes; names folders, locks and tags.
        name: What people call it; unique within a home.
        created_at: Milliseconds since the epoch (UTC).
        experiment: Import path of the experiment (`package.module:object`).
        experiment_name: Short name of the experiment, such as `digits`.
        metric: Name of the objective metric; of the first one, if there are several.
        direction: Which way is better.
        epoch_metric: Per-epoch metric a pruner watches, None if there is none.
        fingerprint: Everything that decides the trials (space, data and split digests, seed,
            sampler, pruner, ask_ahead, order), by name, so that a difference can be named.
        space: The resolved search space, JSON-compatible.
        data: Name, digests and facts of the data.
        baselines: Names of the baselines, in slot order.
        code: Commit, `dirty` flag and the filtered diff of the code that created the sweep.
        directory: Folder of the space file, where its experiment is looked up first.
        version: Version of this format.
        generations: Empty unless the sweep was extended; then all, beginning with the first.
        other_objectives: Those beyond the first; empty as a rule.
        checked: What a second training of a trial came to (a file beside); None without one.
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
        """Everything that is optimised, the first objective first."""
        return (Objective(self.metric, self.direction), *self.other_objectives)

    @property
    def has_front(self) -> bool:
        """Whether there are several objectives: no trial is best, but a Pareto front is."""
        return bool(self.other_objectives)

    @property
    def is_reproducible(self) -> bool:
        """Whether the same seed gives the same trials: not with what a clock has a say in.

        Nor with data that may come differently, see `sweeps.experiment.PreparedData`, or if a trial
        came out differently the second time.
        """
        in_order = self.fingerprint.get("order", "slots") == "slots"
        by_clock = any(one.is_measured_by_clock for one in self.objectives)
        return in_order and not by_clock and not self.irreproducible

    @property
    def irreproducible(self) -> str | None:
        """Why the same seed may give another trial, in one line; None as a rule."""
        why: str | None = self.data.get("irreproducible")
        return why or (self.checked.differs if self.checked else None)

    @property
    def generation(self) -> int:
        """Number of the newest generation, from 1."""
        return len(self.generations) or 1

    @property
    def first_slot(self) -> int:
        """The first slot of the newest generation."""
        return self.generations[-1].first_slot if self.generations else 0

    @property
    def unfinished(self) -> tuple[UnfinishedSlot, ...]:
        """Slots of earlier generations that had no outcome when the newest began."""
        return self.generations[-1].unfinished if self.generations else ()

    @property
    def study_name(self) -> str:
        """Name of the newest generation's Optuna study: the sweep's id, then `<id>.2`, ..."""
        return self.id if self.generation == 1 else f"{self.id}.{self.generation}"

    @property
    def earlier_studies(self) -> list[str]:
        """Names of the earlier generations' studies that may hold a slot that is still open."""
        if not any(generation.unfinished for generation in self.generations):
            return []
        return [self.at(g.first_slot).study_name for g in self.generations[:-1]]

    def at(self, slot: int) -> SweepInfo:
        """Return the sweep as it was for the generation that proposed a slot."""
        if slot >= self.first_slot:
            return self
        proposing = generation_at(self.generations, slot)
        return self._with(self.generations[: proposing.number])

    def extended(self, generation: Generation) -> SweepInfo:
        """Return the sweep with one more generation, as that one has it."""
        first = Generation(
            number=1,
            first_slot=0,
            created_at=self.created_at,
            fingerprint=self.fingerprint,
            space=self.space,
            baselines=self.baselines,
            code=self.code,
            directory=self.directory,
        )
        return self._with((*(self.generations or (first,)), generation))

    def _with(self, generations: tuple[Generation, ...]) -> SweepInfo:
        newest = generations[-1]
        return dataclasses.replace(
            self,
            fingerprint=newest.fingerprint,
            space=newest.space,
            baselines=newest.baselines,
            code=newest.code,
            directory=newest.directory,
            generations=generations,
        )
