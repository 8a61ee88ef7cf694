"""A validated sweep: what `resolving.py` makes of the options, and everything else works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from search_spaces.parameters import Value
from search_spaces.space import Component, Space
from sweeps.config.options import Limits
from sweeps.config.policies import FailurePolicy, Parallelism
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.home import Home
from sweeps.journal.events import ImportedTrial, Learned
from sweeps.records import ExperimentCode
from sweeps.study.points import Proposal
from sweeps.study.proposals import Admissible, Proposer, training_seed
from sweeps.study.samplers import SamplerFactory

UNLIMITED: Final = 1_000_000
"""More trials than any budget pays for."""
SPLIT_SEED = 0
"""Seed of the training/validation split; the same for every sweep, so that sweeps compare."""
ASK_AHEAD: Final = 4
"""Trials in flight at most, whatever the number of workers: the same command gives the same trials
on every machine. A model proposes better if fewer outcomes are missing (docs/evidence/search.md).
"""
ASK_AHEAD_UNTAUGHT: Final = 8
"""The same, for a sampler that learns nothing from outcomes."""


@dataclass(frozen=True)
class SweepConfig:
    """A validated sweep.

    Attributes:
        fingerprint: Everything that decides the trials, by name.
        sampler_factory: Makes the sampler; None for `grid`.
        dropped_baselines: Names of the baselines that overrides exclude.
        code: The code of the experiment; None if it cannot be read.
        extend: Whether the sweep of that name may go on in another space.
        same_code: Whether edited code is declared to be the same code.
        check_below_seconds: If the first trial takes less than this, it is trained a second time
            and compared; 0 for never.
        retry: Failed trials of the sweep of that name; only these are run again. Empty for all that
            failed; None for a sweep that goes on as usual.
        why_sampler: Why `auto` chose the sampler; empty if it was named.
        folder: The folder in which the experiment is looked up first.
        learned: What a new sweep learns from others; None if it was not asked for. A sweep that
            exists goes on with what it has learned.
        more_epochs: So many epochs more does the best trial get, as a trial of its own; None for
            no such trial.
    """

    name: str
    home: Home
    space: Space
    experiment: Experiment
    data: PreparedData
    seed: int
    sampler: Component
    sampler_factory: SamplerFactory | None
    pruner: Component
    ask_ahead: int
    order: Literal["number", "free"]
    parallelism: Parallelism
    limits: Limits
    failures: FailurePolicy
    dropped_baselines: tuple[str, ...]
    fingerprint: Mapping[str, Any]
    code: ExperimentCode | None = None
    extend: bool = False
    same_code: bool = False
    check_below_seconds: float = 0.0
    retry: tuple[int, ...] | None = None
    why_sampler: str = ""
    folder: Path | None = None
    learned: Learned | None = None
    more_epochs: int | None = None

    @property
    def sampler_in_words(self) -> str:
        """The name of the sampler, and why `auto` chose it."""
        why = self.why_sampler
        return f"{self.sampler.name} (auto: {why})" if why else self.sampler.name

    def training_seed(self, trial: int, proposal: Proposal) -> int:
        """Return the seed of the training of a trial."""
        longer = proposal.longer
        return training_seed(self.seed, trial if longer is None else longer.trial)

    def some_configurations(self, sampled: int = 16) -> list[dict[str, Value]]:
        """Return configurations that trials may have: the baselines', then those of samples.

        Args:
            sampled: Number of random points, beside the two corners of the space.
        """
        points = [*self.space.baselines.values()]
        points += [walk.params for walk in self.space.samples(sampled)]
        admissible = filter(self.admissible, points)
        return [self.space.configuration(point) for point in admissible]

    def proposer(
        self,
        admissible: Admissible | None = None,
        imported: Sequence[ImportedTrial] = (),
        learned: Learned | None = None,
    ) -> Proposer:
        """Return the proposer of this sweep, in its state before the first trial.

        Args:
            admissible: Replaces `self.admissible`.
            imported: See `Proposer`.
            learned: What the sweep has learned; None: `self.learned`.
        """
        portfolio = learned or self.learned
        return Proposer(
            self.space,
            seed=self.seed,
            sampler=self.sampler_factory,
            directions=[one.direction for one in self.space.objectives],
            admissible=admissible or self.admissible,
            imported=imported,
            learned=[(one.source, one.params) for one in portfolio.points] if portfolio else (),
        )

    def admissible(
        self, params: Mapping[str, Value], configuration: Mapping[str, Value] | None = None
    ) -> bool:
        """Whether a point meets the constraints of the space and the experiment's own checks."""
        return not self.violations(params, configuration)

    def violations(
        self, params: Mapping[str, Value], configuration: Mapping[str, Value] | None = None
    ) -> list[str]:
        """Return the constraints and checks that a point violates, as texts; trains nothing.

        Args:
            params: The point.
            configuration: What the experiment receives of it, if that is known.

        Raises:
            UsageError: The experiment says that this machine cannot train it.
        """
        known = self.space.configuration(params) if configuration is None else configuration
        config = dict(known)
        try:
            self.experiment.check(config)
        except UsageError:  # nothing is wrong with the point: this machine lacks a package, say
            raise
        except ValueError as error:
            return [str(error)]
        if not self.space.constraints:
            return []
        measures = self.experiment.measure(config, self.data)
        return self.space.feasible({**config, **params, **measures})
