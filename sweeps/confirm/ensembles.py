"""Lets the finalists of confirmed sweeps vote, for `sweeps ensemble`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sweeps.capabilities import FOLDS_A_REPEAT
from sweeps.confirm.access_log import evaluations_of
from sweeps.confirm.best import folds_that_count
from sweeps.confirm.checks import check_data, cross_validation_experiment
from sweeps.confirm.comparison import MARGIN, Trainings
from sweeps.confirm.finalists import BLOCK_ACCURACY
from sweeps.confirm.votes import (
    Bank,
    Confirmed,
    Ensemble,
    ballot_of,
    compare_votes,
    conclude_votes,
    gather,
)
from sweeps.errors import UsageError
from sweeps.home import Home
from sweeps.records import Conclusions, SweepInfo, heard, is_same_data
from sweeps.records.conclusions import Conclusion, VerdictConclusion, VotesConclusion


@dataclass(frozen=True)
class Ensembles:
    """The results of the votes of some sweeps' finalists.

    Attributes:
        votes: The votes on fresh folds.
        tested: The votes on the test set, one conclusion an evaluation; empty without any.
    """

    votes: VotesConclusion
    tested: Sequence[Conclusion]


def ensemble(
    home: Home, infos: Sequence[SweepInfo], top: int | None = None, source: str | None = None
) -> Ensembles:
    """Compare votes of finalists with the single best.

    Nothing is trained or written, and no test set is read.

    Args:
        home: The home of the sweeps.
        infos: One confirmed sweep, or several of the same data, which vote together.
        top: Number of best finalists that vote. None: of one sweep every number from two on, of
            several sweeps the winners, and all finalists.
        source: Source of the data; None for the experiment's own.

    Raises:
        UsageError: A sweep is not confirmed, their data differ, their experiment cannot vote, or
            there are not as many finalists.
    """
    confirmed = [_confirmed(home, info) for info in infos]
    _check_same_data(infos)
    _check_same_metric(confirmed)
    experiment, data = check_data(home, infos[0], source)
    scored = confirmed[0].trainings.scored
    ballot = ballot_of(experiment, data, scored)
    bank = None if ballot is None else gather(confirmed, _shared_folds(confirmed), ballot)
    if bank is None:
        what = "logits on folds, or has no `labels`"
        if scored != BLOCK_ACCURACY:
            what = f"predictions on folds, or judges none by {scored.metric}"
        raise UsageError(
            f"the trainings of {infos[0].name} cannot vote: their experiment keeps no {what} (see "
            "`SupportsVoting` in sweeps/capabilities.py)"
        )
    margin = min(one.margin for one in confirmed)
    ensembles = choose_ensembles(bank, top)
    votes = compare_votes([info.name for info in infos], bank, ensembles, margin)
    return Ensembles(votes, _tested(home, [info.id for info in infos]))


def choose_ensembles(bank: Bank, top: int | None) -> list[Ensemble]:
    """Return the ensembles that vote, and mark the announced one, which the verdict is about.

    The announced ensemble is the one that `top` asks for. Without `top` it is fixed before any vote
    is counted: of several sweeps the winners, of one sweep all finalists.

    Raises:
        UsageError: There are fewer finalists than `top`, or fewer than two.
    """
    members = bank.members
    count = len(members)
    if count < 2:
        raise UsageError("one finalist alone cannot vote: confirm with more (--top)")
    if top is not None and not 2 <= top <= count:
        raise UsageError(f"--top {top}: {count} different finalists can vote, give 2 to {count}")
    winners = [member for member in members if member.is_winner]
    are_several = len(winners) > 1
    if top is not None:
        sizes = {top, count} if are_several else {top}
    else:
        sizes = {count} if are_several else set(range(2, count + 1))
    announced = top if top is not None or are_several else count
    chosen = [Ensemble("winners", winners, is_announced=announced is None)] if are_several else []
    for size in sorted(sizes):
        name = f"all {count}" if size == count else f"top {size}"
        chosen.append(Ensemble(name, members[:size], is_announced=size == announced))
    return chosen


def _confirmed(home: Home, info: SweepInfo) -> Confirmed:
    confirmed = Conclusions(home.store(info.id).folder).confirmed()
    _, scored = cross_validation_experiment(home, info)  # raises if it can never be confirmed
    if confirmed is None:
        raise UsageError(
            f"sweep {info.name!r} is not confirmed, so that nothing of it can vote; first: "
            f"`sweeps confirm {info.name}`"
        )
    verdicts = [c for c in confirmed.conclusions if isinstance(c, VerdictConclusion)]
    if any(verdict.standings[0].accuracy.unit != scored.unit for verdict in verdicts):
        scored = replace(scored, unit="number")  # an accuracy in percent
    store = home.store(confirmed.confirmation)
    trainings = Trainings.read(store, confirmed.left_out, scored)
    margin = next((one.margin for one in verdicts if one.margin is not None), MARGIN)
    return Confirmed(info.name, trainings, confirmed.winner, margin)


def _check_same_metric(confirmed: Sequence[Confirmed]) -> None:
    metrics = sorted({one.trainings.scored.metric for one in confirmed})
    if len(metrics) > 1:
        raise UsageError(
            f"these sweeps cannot vote together: they were confirmed by {' and '.join(metrics)}"
        )


def _check_same_data(infos: Sequence[SweepInfo]) -> None:
    first = infos[0]
    for other in infos[1:]:
        if not is_same_data(first.data, other.data):
            raise UsageError(
                f"sweeps {first.name!r} and {other.name!r} cannot vote together: they were made on "
                f"different data ({first.data.get('name')}, {other.data.get('name')}) or splits, "
                "so that their folds differ; name sweeps of the same data"
            )


def _shared_folds(confirmed: Sequence[Confirmed]) -> list[int]:
    """Return the folds that all finalists of all sweeps were trained on, in whole repeats."""
    found = []
    for one in confirmed:
        ended = [*one.trainings.found, *one.trainings.lost]
        most = max((fold for fold, _ in ended), default=-1) + 1
        whole = one.trainings.whole_folds(
            one.trainings.labels, FOLDS_A_REPEAT * -(-most // FOLDS_A_REPEAT)
        )
        found.append(set(whole))
    shared = sorted(set.intersection(*found))
    if len(shared) < 2 * FOLDS_A_REPEAT:
        names = ", ".join(one.name for one in confirmed)
        raise UsageError(
            f"{names}: {len(shared)} folds are whole for all finalists, {2 * FOLDS_A_REPEAT} are "
            "needed; confirm again"
        )
    return shared[: folds_that_count(len(shared))]


def _tested(home: Home, sweeps: Sequence[str]) -> list[Conclusion]:
    """Return the votes in evaluations that scored all these sweeps, from their stored scores."""
    found: dict[str, Conclusion] = {}
    for access_log, evaluation in evaluations_of(home, sweeps):
        scores = heard(partial(access_log.scores, evaluation))
        count, on_machine = access_log.count(), access_log.is_on_machine
        votes = conclude_votes(evaluation, scores, count, on_machine=on_machine) if scores else None
        found |= {evaluation.name: votes} if votes else {}
    # An imported sweep brings the conclusions of its former home.
    kept = [Conclusions(home.store(sweep).folder).votes() for sweep in sweeps]
    names = sorted(set.intersection(*map(set, kept)) - found.keys())
    return [*found.values(), *(kept[0][name] for name in names)]
