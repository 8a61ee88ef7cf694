"""The facts about a sweep, of all its generations; and about its data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from search_spaces.objectives import Direction, Objective, is_function, is_script
from sweeps.experiment import PreparedData
from sweeps.journal.events import Begun, Checked, Unfinished
from sweeps.journal.state import SweepState

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


def is_same_data(
    one: PreparedData | Mapping[str, Any], other: PreparedData | Mapping[str, Any]
) -> bool:
    """Whether data, prepared or as records name them, are the same, split alike: by digests."""
    return _digests(one) == _digests(other)


_FOLD: Final = re.compile(r"(?<!\{)\{\??\s*fold\b")
_VALIDATION: Final = re.compile(r"(?<![a-z])(val|valid|validation|dev)(?![a-z])", re.IGNORECASE)
TAKES_FOLD: Final = "takes_fold"
"""Name, in the facts about its data, of whether an objective function takes a fold."""
PLACE: Final = "place"
"""Name, in the facts about its data, of a digest of the folder of an objective function."""
SOURCE: Final = "source"
"""Name, in the facts about data, of the source that was given; None: the experiment's own."""


def is_unseen(experiment: str, data: Mapping[str, Any]) -> bool:
    """Whether it finds its data by itself, so that nothing is known of them."""
    return is_function(experiment) or (is_script(experiment) and source_of(data) is None)


def has_folds(experiment: str, data: Mapping[str, Any]) -> bool:
    """Whether an experiment may have fresh folds.

    Not a script whose command has no `{fold}`, nor an objective function without such an argument.
    """
    if is_function(experiment):
        return bool(data.get("info", {}).get(TAKES_FOLD))
    return not is_script(experiment) or _FOLD.search(experiment) is not None


def scored_on(info: SweepInfo) -> str:
    """Return in words what scored the trials: the validation set, where it is known to be one."""
    # Without `{fold}` a script may have none: then the name of its metric says so, or nothing does.
    is_function_of_its_own = is_function(info.experiment)
    is_known = not is_function_of_its_own and has_folds(info.experiment, info.data)
    is_known = is_known or _VALIDATION.search(info.metric) is not None
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
        checked: Result of the second training of a trial; None without one.
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
        return self._with(tuple(one for one in self.generations if one.first_trial <= trial))

    def extended(self, generation: Generation) -> SweepInfo:
        """Return the sweep with one more generation, which is then the newest."""
        return self._with((*self.all_generations, generation))

    @property
    def all_generations(self) -> tuple[Generation, ...]:
        """All generations, the first one first, also of a sweep that was not extended."""
        if self.generations:
            return self.generations
        return (Generation(1, 0, self.created_at, **_members(self, _CHANGED)),)

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
        return dataclasses.replace(
            self, **_members(generations[-1], _CHANGED), generations=generations
        )


_FIXED: Final = (
    "name", "created_at", "experiment", "experiment_name", "metric", "direction", "epoch_metric",
    "data", "other_objectives",
)  # fmt: skip
"""What `SweepInfo` and `Begun` have in common; the next ones an extension may change."""
_CHANGED: Final = ("fingerprint", "space", "baselines", "code", "directory")


def _members(of: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(of, name) for name in names}


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
    fixed = {**_members(begun, _FIXED), "name": state.name or begun.name}
    return SweepInfo(
        id=begun.sweep,
        generations=tuple(generations) if newest > 1 else (),
        checked=state.checked,
        **fixed,
        **_members(generations[-1], _CHANGED),
    )


def _generation(state: SweepState, number: int, text: Callable[[str], str | None]) -> Generation:
    begun = state.generations[number]
    changed = _members(begun, _CHANGED)
    if begun.diff:
        changed["code"] = {**begun.code, "diff": text(begun.diff)}
    unfinished = [one for (of, _), one in sorted(state.unfinished.items()) if of == number]
    return Generation(
        number=number,
        first_trial=begun.first_trial,
        created_at=begun.began_at,
        unfinished=tuple(unfinished),
        **changed,
    )


def events_of(info: SweepInfo, keep: Callable[[str], str]) -> list[Begun]:
    """Return the events that say what a sweep is; `info_of` is the way back.

    `keep` keeps a text, and returns its digest.
    """
    return [
        Begun(
            generation=one.number,
            first_trial=one.first_trial,
            began_at=one.created_at,
            sweep=info.id,
            diff=keep(one.code["diff"]) if one.code.get("diff") else None,
            **_members(info, _FIXED),
            **{
                **_members(one, _CHANGED),
                "code": {k: v for k, v in one.code.items() if k != "diff" or not v},
            },
        )
        for one in info.all_generations
    ]
