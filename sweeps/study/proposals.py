"""Proposes the parameters of each trial, in trial order.

A proposal is rejected if it repeats an earlier one (running, failed and diverged ones included), or
breaks a constraint; a proposal of TPE also if it lies where trials diverge. It is rejected before
it is stored, and does not count. After `MAX_REJECTED` rejections a uniformly random unseen point is
taken; only a finite space can be exhausted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from search_spaces.errors import SpaceError
from search_spaces.objectives import Direction
from search_spaces.parameters import Value
from search_spaces.space import Space
from search_spaces.values import is_number
from sweeps.errors import UsageError
from sweeps.journal.events import ImportedTrial
from sweeps.study.points import (
    Distribution,
    Proposal,
    holds,
    imported_proposal,
    open_proposal,
    point_key,
    proposal_at,
    walked,
)
from sweeps.study.sampler_view import SamplerView, TrialOutcome, imported_outcome
from sweeps.study.samplers import SamplerFactory

_PROPOSAL, _TRAINING, _SEQUENCE = range(3)  # what a seed is for


def proposal_seed(sweep_seed: int, trial: int, resample: int) -> int:
    """Return the 32-bit seed of the sampler that makes one proposal of a trial."""
    return _mix(sweep_seed, _PROPOSAL, trial, resample)


def training_seed(sweep_seed: int, trial: int) -> int:
    """Return the 31-bit seed a trial trains with, equal for every attempt at the trial."""
    return _mix(sweep_seed, _TRAINING, trial) >> 1


def sequence_seed(sweep_seed: int, first_trial: int) -> int:
    """Return the seed of the sequence (QMC) that a generation draws from, begun at `first_trial`.

    With the same seed, two generations would draw the same points.
    """
    return _mix(sweep_seed, _SEQUENCE, first_trial) if first_trial else sweep_seed


def _mix(*parts: int) -> int:
    """Return a seed; those of neighbouring parts are unrelated (O'Neill 2015, by NumPy)."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


ENOUGH: Final = 5
"""This many diverged trials make a region; fewer may be chance."""
MOSTLY: Final = 0.9
"""Share of trials in a region that have diverged."""
MAX_SPLITS: Final = 4
_ABSENT: Final = -np.inf


class DivergedRegions:
    """Learns where trials diverge, from the trials that a proposal may see; deterministic.

    TPE keeps away from there as a whole, but it draws from wide kernels: if the best known trials
    lie near the edge, as the best learning rates do, every sixth proposal still falls beyond it.

    A decision tree (Breiman et al. 1984, splits by Gini impurity) decides which points lie among
    diverged trials; only the path of the proposal is ever grown. The tree needs no scale and no
    distance, and ignores parameters that have nothing to do with divergence.
    """

    def __init__(self) -> None:
        self._columns: dict[str, None] = {}  # in the order of the trials that had them first
        self._rows: list[dict[str, float]] = []
        self._diverged: list[bool] = []
        self._count = 0  # of those that did
        self._points = np.empty((0, 0))  # the first rows, as a matrix

    def tell(self, params: Mapping[str, Value], *, diverged: bool) -> None:
        """Take a trial that was trained, to its end or not."""
        row = _features(params)
        self._columns |= dict.fromkeys(row)
        self._rows.append(row)
        self._diverged.append(diverged)
        self._count += diverged

    def contains(self, params: Mapping[str, Value]) -> bool:
        """Whether trials with such parameters diverge; False in a gap that no trial has sampled."""
        if self._count < ENOUGH:
            return False
        names = list(self._columns)
        known = self._points if self._points.shape[1] == len(names) else np.empty((0, len(names)))
        new = [[row.get(name, _ABSENT) for name in names] for row in self._rows[len(known) :]]
        self._points = np.concatenate([known, np.reshape(new, (-1, len(names)))])
        row, points, diverged = _features(params), self._points, np.array(self._diverged)
        for _ in range(MAX_SPLITS):
            split = _best_split(points, diverged)
            if split is None:
                return False
            column, low, high = split
            value = row.get(names[column], _ABSENT)
            if low < value < high:
                return False
            side = points[:, column] <= low if value <= low else points[:, column] >= high
            points, diverged = points[side], diverged[side]
            if diverged.sum() < ENOUGH:
                return False
            if diverged.mean() >= MOSTLY:
                return True
        return False


def _features(params: Mapping[str, Value]) -> dict[str, float]:
    """Return numbers by name: a number stays; any other value becomes `name=value`: 1 (one-hot)."""
    return dict(
        (name, float(value)) if is_number(value) else (f"{name}={value!r}", 1.0)
        for name, value in params.items()
    )


def _best_split(points: np.ndarray, diverged: np.ndarray) -> tuple[int, float, float] | None:
    """Return the split with the least mixed halves: column, largest value below, smallest above.

    None if no split reduces the Gini impurity.
    """
    best, found = float(diverged.mean() * (1 - diverged.mean()) * len(diverged)) - 1e-9, None
    for column in range(points.shape[1]):
        order = np.argsort(points[:, column], kind="stable")
        values, bad = points[order, column], np.cumsum(diverged[order])
        cuts = np.flatnonzero(values[:-1] < values[1:])
        if not len(cuts):
            continue
        below, above = cuts + 1, len(values) - cuts - 1
        bad_below, bad_above = bad[cuts], bad[-1] - bad[cuts]
        mixed = bad_below * (1 - bad_below / below) + bad_above * (1 - bad_above / above)
        least = int(np.argmin(mixed))
        if mixed[least] < best:
            cut = cuts[least]
            best, found = float(mixed[least]), (column, float(values[cut]), float(values[cut + 1]))
    return found


def _agree(one: BaseDistribution, other: BaseDistribution) -> bool:
    try:
        optuna.distributions.check_distribution_compatibility(one, other)
    except ValueError:
        return False
    return True


MAX_REJECTED: Final = 20
MAX_RANDOM: Final = 2000

Admissible = Callable[[Mapping[str, Value], Mapping[str, Value]], bool]
"""Whether parameters, and what the experiment receives of them, meet the constraints of space and
experiment; computed before training."""


class Exhausted(Exception):  # noqa: N818 - an outcome, not an error
    """Every admissible point of the space has been tried."""


class Proposer:
    """Makes the proposals of one sweep, strictly in trial order.

    Of an open space it proposes a value for each parameter that a trial it may see has asked for;
    what a trial asks for beyond them is drawn where it runs.

    Attributes:
        is_open: Whether the space is open.
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        sampler: SamplerFactory | None,
        directions: Sequence[Direction],
        admissible: Admissible,
        imported: Sequence[ImportedTrial] = (),
        learned: Sequence[tuple[str, Mapping[str, Value]]] = (),
    ) -> None:
        """Prepare for trial 0.

        Args:
            space: The search space.
            seed: Seed of the sweep.
            sampler: Makes the samplers; None enumerates the space (grid).
            directions: One per objective.
            admissible: Whether a point meets all constraints.
            imported: Trials that were run elsewhere. The sampler learns from them; their points
                may be proposed again. Those to be tried `again` come after the baselines.
            learned: Source and point of each that was good on other data. They are tried in this
                order, after the baselines, before anything is sampled.
        """
        self.sampler_view = SamplerView(directions, sampler.most if sampler else None)
        self.is_open = space.is_open
        self._space = space
        self._seed = seed
        self._sampler = sampler
        self._has_state = sampler is not None and not sampler.stateless
        self._admissible = admissible
        baselines = ((f"baseline {name}", params) for name, params in space.baselines.items())
        portfolio = ((f"learned from {source}", params) for source, params in learned)
        # Origin and point of each that is tried before anything is sampled.
        self._first_points: Sequence[tuple[str, Mapping[str, Value]]] = (
            *baselines,
            *((f"imported {one.source}", one.params) for one in imported if one.again),
            *portfolio,
        )
        self._grid: Iterator[Mapping[str, Value]] | None = None
        self._seen: set[str] = set()
        self._trial = 0
        self._first = 0  # trials below were proposed by earlier generations
        self._diverged = DivergedRegions()
        # Of an open space: by trial, and the points that were tried by the names of their members.
        self._asked: dict[int, Mapping[str, BaseDistribution]] = {}
        self._tried: dict[tuple[str, ...], set[str]] = {}
        for number, one in enumerate(imported):
            known = imported_proposal(space, one)
            self.sampler_view.teach(known, imported_outcome(one))
            if self.is_open:
                self._asked[number - len(imported)] = known.distributions
            if one.state != "FAILED":
                self._diverged.tell(known.params, diverged=False)

    def propose(self, given: tuple[str, Mapping[str, Value]] | None = None) -> Proposal:
        """Return the proposal of the next trial; later proposals see it as RUNNING.

        Args:
            given: Origin and parameters of an enqueued point; it comes before everything else.

        Raises:
            Exhausted: Every admissible point was tried.
        """
        trial = self.sampler_view.open()
        given = given or next(self._untried(), None)
        if given is not None:
            proposal = self._at(given[1], given[0])
        elif self._sampler is None:
            proposal = self._next_of_grid()
        else:
            proposal = self._sampled(trial, self._sampler)
        self._accept(proposal)
        return proposal

    def restore(self, origin: str, point: Mapping[str, Value]) -> Proposal:
        """Take a trial that the journal or a record already holds as the next one.

        A sampler with a state of its own makes the proposal again, so that it goes on from the same
        state.

        Raises:
            UsageError: The point does not lie in the space, or the sampler proposes something else
                now, so the sweep cannot be continued.
        """
        try:
            stored = self._at(point, origin)
        except (SpaceError, LookupError, ValueError, TypeError) as error:
            raise UsageError(
                f"trial {self._trial}: {dict(point)}, which was asked for before, does not lie in "
                f"the space ({error}); begin a new sweep with --name"
            ) from None
        if origin.startswith("enqueued") or not self._has_state:
            self.sampler_view.open()
            self._accept(stored)
            return stored
        again = self.propose()
        if again.key != stored.key:
            raise UsageError(
                f"trial {self._trial - 1}: the sampler proposes {dict(again.params)} where the "
                f"sweep holds {dict(stored.params)}; it depends on more than seed and history, "
                "so this sweep cannot be resumed. Begin a new one with --name"
            )
        return stored

    def show_prior(self, origin: str, point: Mapping[str, Value] | None) -> None:
        """Take a trial that an earlier generation proposed, in another space, as the next one.

        A sampler with a state of its own begins anew with each generation, so it does not make the
        proposal again. If the trial lies outside this space (None), a failed one without
        parameters, which samplers ignore, takes its place.
        """
        self.sampler_view.open()
        if point is None:
            self.tell(self._trial, TrialOutcome(TrialState.FAIL))
            self._trial += 1
        else:
            self._accept(self._at(point, origin))
        self._first = self._trial
        self._first_points = tuple(self._untried())

    def tell(self, trial: int, outcome: TrialOutcome) -> None:
        """Let later proposals see how a trial ended, or how its new run did."""
        if outcome.asked is not None:
            outcome = replace(outcome, asked=self._agreeing(*outcome.asked))
        ended = self.sampler_view.tell(trial, outcome)
        if outcome.asked is not None:
            names = tuple(sorted(outcome.asked[0]))
            self._tried.setdefault(names, set()).add(point_key(outcome.asked[0]))
            is_next = trial > next(reversed(self._asked), -1)
            self._asked[trial] = outcome.asked[1]
            if not is_next:  # a trial that was run again
                self._asked = dict(sorted(self._asked.items()))
        if outcome.state != TrialState.FAIL:
            self._diverged.tell(ended.params, diverged=outcome.diverged)

    def _agreeing(
        self, params: Mapping[str, Value], distributions: Mapping[str, BaseDistribution]
    ) -> tuple[Mapping[str, Value], Mapping[str, BaseDistribution]]:
        """Return what samplers can compare: no choices that are others than in earlier trials."""
        known = self._known
        agreeing = {
            name: one
            for name, one in distributions.items()
            if name not in known or _agree(known[name], one)
        }
        return {name: params[name] for name in agreeing}, agreeing

    @property
    def _known(self) -> dict[str, BaseDistribution]:
        """The parameters of an open space that trials have asked for, the first ones first."""
        return {name: one for asked in self._asked.values() for name, one in asked.items()}

    def _at(self, point: Mapping[str, Value], origin: str) -> Proposal:
        """Return the proposal of a given point; of an open space with what is known of it."""
        if not self._space.is_open:
            return proposal_at(self._space, point, origin)
        known = {
            name: one
            for name, one in self._known.items()
            if name in point and holds(one, point[name])
        }
        return open_proposal(point, known, origin)

    def _untried(self) -> Iterator[tuple[str, Mapping[str, Value]]]:
        return (one for one in self._first_points if point_key(one[1]) not in self._seen)

    def _accept(self, proposal: Proposal) -> None:
        self.sampler_view.accept(proposal, keep_notes=self._has_state)
        self._seen.add(proposal.key)
        self._trial += 1

    def _sampled(self, trial: FrozenTrial, factory: SamplerFactory) -> Proposal:
        sequence = sequence_seed(self._seed, self._first)
        for attempt in range(MAX_REJECTED):
            seed = proposal_seed(self._seed, self._trial, attempt)
            sampler = factory.make(sequence, seed, is_cautious=attempt > 0)
            found = self._drawn(trial, sampler, "sampled")
            is_diverging = factory.cautious and self._diverged.contains(found.params)
            if not is_diverging and self._is_new(found):
                return replace(found, rejected=attempt)
        seed = proposal_seed(self._seed, self._trial, MAX_REJECTED)
        sampler = optuna.samplers.RandomSampler(seed=seed)
        for attempt in range(MAX_REJECTED, MAX_REJECTED + MAX_RANDOM):
            found = self._drawn(trial, sampler, "random")
            if self._is_new(found):
                return replace(found, rejected=attempt)
        return self._last_unseen()

    def _drawn(
        self, trial: FrozenTrial, sampler: optuna.samplers.BaseSampler, origin: str
    ) -> Proposal:
        """Return a proposal of a sampler, which is asked as `optuna.Trial` does."""
        study = self.sampler_view.study
        study.sampler = sampler
        sampler.before_trial(study, trial)
        joint_space = sampler.infer_relative_search_space(study, trial)
        joint: Mapping[str, Value] = sampler.sample_relative(study, trial, joint_space)

        def value(name: str, distribution: Distribution) -> Value:
            if distribution.single():
                if isinstance(distribution, CategoricalDistribution):
                    return distribution.choices[0]
                return distribution.low
            if name in joint and joint_space.get(name) == distribution:
                return joint[name]
            drawn: Value = sampler.sample_independent(study, trial, name, distribution)
            return drawn

        if self._space.is_open:
            known = cast("dict[str, Distribution]", self._known)
            return open_proposal({name: value(name, known[name]) for name in known}, known, origin)
        return walked(self._space, value, origin)

    def _last_unseen(self) -> Proposal:
        if self._space.size() is None:
            if self._trial - self._first > len(self._first_points):
                raise Exhausted  # what is left of the space, if anything, is too small to hit
            raise UsageError(
                f"{MAX_RANDOM} random points in a row break a constraint "
                f"({', '.join(str(c) for c in self._space.constraints) or 'of the experiment'}); "
                "widen the space or relax its constraints"
            )
        return self._next_of_grid(origin="random")

    def _next_of_grid(self, origin: str = "grid") -> Proposal:
        if self._grid is None:
            self._grid = iter(self._space.enumerate())
        for point in self._grid:
            if point_key(point) not in self._seen:
                found = proposal_at(self._space, point, origin)
                if self._is_new(found):
                    return found
        if not self._seen:
            raise UsageError("no point of the space meets its constraints; relax them")
        raise Exhausted

    def _is_new(self, found: Proposal) -> bool:
        if self._space.is_open:  # a guess, of which a trial asks for those that another one did
            return not any(
                names and point_key({name: found.params[name] for name in names}) in tried
                for names, tried in self._tried.items()
            )
        return found.key not in self._seen and self._admissible(found.params, found.config)
