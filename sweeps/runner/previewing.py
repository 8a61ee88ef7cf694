"""Previews the next start of an existing sweep: its next proposals; creates nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from statistics import median

from optuna.trial import FrozenTrial

from sweeps.config.sweep import SweepConfig
from sweeps.records import SweepInfo
from sweeps.runner.opening import check_fingerprint, differing, make_trial_queue, next_generation
from sweeps.runner.trial_queue import TrialQueue
from sweeps.runner.warm_start import describe_prior
from sweeps.study.proposals import Exhausted, Proposal
from sweeps.study.sampler_view import TrialOutcome


@dataclass(frozen=True)
class Preview:
    """A sweep as the next start would find it.

    Attributes:
        info: The sweep with its new generation; unchanged if there is nothing to extend.
        queue: Its trial queue, with no trial opened yet; it stores nothing.
        begins: Whether a generation would begin, because the options differ.
    """

    config: SweepConfig
    info: SweepInfo
    queue: TrialQueue
    begins: bool

    @property
    def left(self) -> int:
        """How many trials are still to be run."""
        ended = {record.spec.trial for record in self.queue.records if record.ends_trial}
        return max(self.config.limits.trials - len(ended), 0)

    @property
    def text(self) -> str:
        """A line that says where the sweep would go on, or which generation would begin."""
        if not self.config.extend:
            done = self.config.limits.trials - self.left
            return f"{done} of {self.config.limits.trials} trials are done"
        if not self.begins:
            return f"nothing: generation {self.info.generation} has these options already"
        begins = f"generation {self.info.generation} from trial {self.info.first_trial} on"
        return f"{begins}; {describe_prior(self.queue.prior)}"

    @property
    def typical_seconds(self) -> float | None:
        """Median duration of its trials so far; None before one has ended without a failure.

        The first trial of each worker includes the start-up, so it counts only if there are no
        others.
        """
        ended = [r for r in self.queue.records if r.outcome in {"complete", "pruned"}]
        seconds = [r.seconds for r in sorted(ended, key=lambda r: r.started_at)]
        return median(seconds[self.config.parallelism.at_once :] or seconds) if seconds else None

    def proposals(self) -> Iterator[Proposal]:
        """Yield the next proposals, up to the first that must wait for an outcome."""
        recorded = {record.spec.trial for record in self.queue.records}
        queue = self.queue
        while queue.may_open() and len(queue.trials) < self.config.limits.trials:
            try:
                trial = queue.open_next()
            except Exhausted:
                return
            if trial.number not in recorded and not trial.prior:
                yield trial.proposal


def preview(config: SweepConfig) -> Preview | None:
    """Return the preview of an existing sweep; None if there is none of that name.

    Raises:
        UsageError: It was made with other options, or cannot be extended like that.
    """
    info = check_fingerprint(config)
    if info is None:
        return None
    records = config.home.store(info.id).read_all()
    begins = bool(differing(info, config))
    if begins:
        info = info.extended(next_generation(config, info, records, code={}))
    return Preview(config, info, make_trial_queue(config, info, records, _NoStudy()), begins)


class _NoStudy:
    """A `TrialStore` that stores nothing."""

    def __init__(self) -> None:
        self.trials: list[FrozenTrial] = []

    def add(self, trial: int, proposal: Proposal) -> None:
        pass

    def count_attempt(self, trial: int, attempt: int) -> None:
        pass

    def tell(self, trial: int, outcome: TrialOutcome) -> None:
        pass

    def reopen(self, trials: Collection[int]) -> None:
        pass

    def close(self) -> None:
        pass
