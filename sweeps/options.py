"""What a user asks for, as it was given; `config.py` makes a sweep of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_spaces.loading import SpaceSource


@dataclass(frozen=True)
class Limits:
    """What ends a sweep.

    Attributes:
        trials: Slots with an outcome, in total over all starts.
        timeout_seconds: Time after which no trial is begun in this start.
        target: Objective value that is good enough.
        stop_after: Slots in a row without improvement of the best, or of the Pareto front.
    """

    trials: int
    timeout_seconds: float | None = None
    target: float | None = None
    stop_after: int | None = None


@dataclass(frozen=True)
class RunOptions:
    """What a user asks for; None means "as the space says" or "the default".

    Attributes are those of `sweeps run`, see `sweeps run --help`.
    """

    space: SpaceSource
    trials: int | None = None
    name: str | None = None
    extend: bool = False
    same_code: bool = False
    seed: int = 0
    sampler: str | None = None
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    pruner: str | None = None
    pruner_options: Mapping[str, Any] = field(default_factory=dict)
    timeout_seconds: float | None = None
    target: float | None = None
    stop_after: int | None = None
    fail_under: float | None = None
    retries: Mapping[str, int] = field(default_factory=dict)
    trial_timeout_seconds: float | None = None
    max_failures_in_row: int | None = None
    data: str | None = None
    ask_ahead: int | None = None
    order: str = "slots"
    workers: int | None = None
    executor: str | None = None
    trust_cluster: bool = False
    resources: Mapping[str, float] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    home: str | Path | None = None
    tracking_uri: str | None = None
    storage: str | None = field(default=None, repr=False)  # a password may stand in it
