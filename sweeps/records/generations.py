"""Generations of a sweep: each extension begins one, with a changed space.

A generation is fixed when it begins, in a file of its own (`generation-2.json`, ...); `sweep.json`
holds the first. Trial numbers count on over all generations, so a trial number tells which
generation proposed the trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from search_spaces.parameters import Value
from sweeps.records.schema import Count, Former, Line, Members, Moment

_Facts = Mapping[str, Any]
_Choice = Annotated[_Facts, Members({"name": str, "options": _Facts})]
Fingerprint = Annotated[
    _Facts,
    Members(
        {
            "code": str | None, "sampler": _Choice, "pruner": _Choice, "seed": int,
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

    Its study and its space are those of an earlier generation, so this keeps all that its next
    attempt needs.

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
