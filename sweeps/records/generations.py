"""Generations: a sweep that was extended went on in a changed space.

A generation is fixed when it begins, in a file of its own (`generation-2.json`, ...); the first is
what `sweep.json` says. Trials count on over all generations, so that the trial says which one
proposed it.
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
"""What is read without its experiment; `Space.from_dict` refuses the rest."""
StoredCode = Annotated[_Facts, Members({"commit": str | None, "dirty": bool, "diff": str | None})]


@dataclass(frozen=True)
class UnfinishedTrial:
    """A trial without an outcome when the next generation began; it is still to be trained.

    Its study and its space are those of an earlier generation, so all that its next attempt needs
    is kept here.

    Attributes:
        trial: Its number.
        attempts: Number of the last attempt that was begun.
        origin: Where its parameters came from, as in its records.
        params: What was sampled.
        distributions: Optuna distribution of each sampled parameter, as its JSON text.
        config: What the experiment receives.
    """

    trial: Count
    attempts: Count
    origin: Line
    params: Mapping[Line, Value]
    distributions: Mapping[Line, str]
    config: Mapping[Line, Value]


@dataclass(frozen=True)
class Generation:
    """What is fixed while one generation of a sweep lasts.

    Attributes:
        number: From 1.
        first_trial: The first trial it proposed, or would have proposed; 0 for the first
            generation.
        created_at: Milliseconds since the epoch (UTC).
        fingerprint: See `SweepInfo`, as the following ones.
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
    """Return the generation that proposed a trial; the list begins with the first."""
    return next(g for g in reversed(generations) if g.first_trial <= trial)
