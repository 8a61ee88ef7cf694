"""Takes trials of earlier generations into a later one: records stay, the sampler sees the points.

A sweep may go on with another space, sampler, pruner, `ask_ahead` or code (`--extend`), never with
another experiment, objective, data, seed or order. One atomic write of `generation-2.json` begins
the next generation; from then on later starts are compared with it. Sweep id, records, parent run
and trial numbers go on. The Optuna study is a new one (`<id>.2`); it is filled like a study that
has lost its trials, so that the next start finishes an extension that was killed.

A trial lies in the new space if one of its points gives the experiment the configuration that the
trial was trained with; a parameter that is new or gone counts as the experiment's default. The
sampler sees such a trial at that point, under the new distributions. The other trials keep their
number, record and row, and are not shown. Baselines that were tried are not tried again; samplers
and pruners with a state of their own begin anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from search_spaces.errors import SpaceError
from search_spaces.mapping import counterpart, point_of
from search_spaces.parameters import ParameterInfo, Value
from search_spaces.space import Space
from sweeps.records import Imported, Learned, Record, SweepInfo, UnfinishedTrial
from sweeps.study.proposals import Proposal, proposal_of_record
from sweeps.wording import counted


@dataclass(frozen=True)
class PriorTrial:
    """A trial that an earlier generation proposed.

    Attributes:
        proposal: Its parameters as they were proposed.
        config: The configuration that the experiment received, or will receive.
        attempts: Number of the last attempt known to have begun.
        point: Its parameters in the new space; None if it lies outside.
        obstacle: The reason it lies outside; empty if it does not.
    """

    proposal: Proposal
    config: Mapping[str, Value]
    attempts: int
    point: Mapping[str, Value] | None
    obstacle: str = ""


def prior_trials(
    info: SweepInfo,
    records: Sequence[Record],
    space: Space,
    parameters: Mapping[str, ParameterInfo],
    recall: Callable[[int], UnfinishedTrial],
) -> dict[int, PriorTrial]:
    """Return every trial of the earlier generations, by number.

    Args:
        info: The sweep.
        records: All of its records, ordered by trial and attempt.
        space: The space of its newest generation.
        parameters: The experiment's parameters.
        recall: Returns a trial that has no record.
    """
    unfinished = {one.trial: one for one in info.unfinished}
    latest = {record.spec.trial: record for record in records}
    prior = {}
    for number in range(info.first_trial):
        if number in latest:
            record = latest[number]
            proposal, config = proposal_of_record(record), record.spec.config
            attempts = record.spec.attempt
        else:
            kept = unfinished.get(number) or recall(number)
            proposal, config, attempts = proposal_of_record(kept), kept.config, kept.attempts
        try:
            point = counterpart(space, proposal.params, config, parameters)
        except SpaceError as error:
            prior[number] = PriorTrial(proposal, config, attempts, None, str(error))
        else:
            prior[number] = PriorTrial(proposal, config, attempts, point)
    for number, kept in unfinished.items():
        attempts = max(kept.attempts, prior[number].attempts)
        prior[number] = replace(prior[number], attempts=attempts)
    return prior


def imported_points(
    space: Space, imported: Imported | None
) -> list[tuple[Mapping[str, Value], tuple[float, ...]]]:
    """Return the imported trials that lie in a space, each as a point with its values.

    All lie in the space that they were imported for; after an extension some may not.
    """
    found: list[tuple[Mapping[str, Value], tuple[float, ...]]] = []
    for trial in imported.trials if imported else ():
        if len(trial.values) == len(space.objectives):
            with suppress(SpaceError):
                found.append((point_of(space, trial.params)[0], trial.values))
    return found


def learned_points(space: Space, learned: Learned | None) -> Learned | None:
    """Return what was learned as far as it lies in a space; after an extension some may not."""
    if learned is None:
        return None
    points = []
    for point in learned.points:
        with suppress(SpaceError):
            points.append(replace(point, params=point_of(space, point.params)[0]))
    return replace(learned, points=tuple(points))


def describe_imported(imported: Imported) -> str:
    """Return a line: how many results found elsewhere the sampler knows."""
    return (
        f"its sampler knows {counted(len(imported.trials), 'imported result')} of "
        f"{imported.source}, which count for nothing else"
    )


def describe_prior(prior: Mapping[int, PriorTrial]) -> str:
    """Return a line: how many earlier trials lie in the new space, and why the others do not."""
    outside = [trial for trial in prior.values() if trial.point is None]
    line = f"{len(prior) - len(outside)} of {len(prior)} earlier trials lie in the new space"
    return f"{line} (the first outside: {outside[0].obstacle})" if outside else line
