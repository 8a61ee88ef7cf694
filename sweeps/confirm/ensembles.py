"""Lets the finalists of finalised sweeps vote: from a home to what `sweeps ensemble` says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sweeps.confirm.access_log import readings_of
from sweeps.confirm.comparison import FOLDS, Judged, Trainings
from sweeps.confirm.confirmable import ask, blocks_experiment, check_data, failed
from sweeps.confirm.sections import VOTED, tell_reading_votes, tell_votes
from sweeps.confirm.votes import Bank, Confirmed, Ensemble, Votes, gather, judge_votes
from sweeps.errors import UsageError
from sweeps.experiment import Experiment, PreparedData
from sweeps.home import Home
from sweeps.records import Conclusions, SweepInfo, Telling, heard


@dataclass(frozen=True)
class Ensembles:
    """What was asked of some sweeps, and what they say.

    Attributes:
        votes: On fresh blocks.
        tellings: The same in words; then what readings of the test part said, if there were any.
    """

    votes: Votes
    tellings: Sequence[Telling]


def ensemble(
    home: Home, infos: Sequence[SweepInfo], top: int | None = None, source: str | None = None
) -> Ensembles:
    """Compare votes of finalists with the single best. Nothing is trained, written or tested.

    Args:
        home: Where the sweeps lie.
        infos: One finalised sweep, or several of the same data, which vote together.
        top: How many of the best finalists vote; None: of one sweep any number from two, of several
            the winners, and all.
        source: Names the data where the sweep's experiment does not by itself.

    Raises:
        UsageError: A sweep is not finalised, their data differ, their experiment cannot vote, or
            there are not as many finalists.
    """
    confirmed = [_confirmed(home, info) for info in infos]
    _check_same_data(infos)
    classes = classes_of(*check_data(home, infos[0], source))
    bank = None if classes is None else gather(confirmed, _shared_blocks(confirmed), classes)
    if bank is None:
        raise UsageError(
            f"the trainings of {infos[0].name} cannot vote: their experiment keeps no logits on "
            "blocks, or has no `labels` (see `Votes` in sweeps/capabilities.py)"
        )
    votes = judge_votes(bank, choose_ensembles(bank, top))
    winners = [member.name for member in bank.members if member.is_winner]
    told = tell_votes([info.name for info in infos], votes, winners)
    return Ensembles(votes, [told, *_tested(home, [info.id for info in infos])])


def classes_of(experiment: Experiment, data: PreparedData) -> NDArray[np.int64] | None:
    """Return (images,) the class of each image by its number; None without the ability `Votes`.

    Raises:
        UsageError: The experiment failed to say.
    """
    if not hasattr(experiment, "labels"):
        return None
    found = ask(experiment, "labels", data)
    try:
        classes: NDArray[np.int64] = np.asarray(found, np.int64)
    except (TypeError, ValueError) as error:
        raise failed(experiment, "labels", error) from None
    return classes


def tell_all_voting(
    info: SweepInfo, judged: Judged, classes: NDArray[np.int64] | None
) -> list[Telling]:
    """Return what the vote of all finalists came to, for finalising to say; empty if none can."""
    winner = judged.verdict.recommended.finalist.label
    confirmed = [Confirmed(info.name, judged.trainings, winner)]
    bank = None if classes is None else gather(confirmed, judged.blocks, classes)
    if bank is None or len(bank.members) < 2:
        return []
    everyone = Ensemble(f"all {len(bank.members)}", bank.members, is_announced=True)
    return [tell_votes([info.name], judge_votes(bank, [everyone]), [winner])]


def choose_ensembles(bank: Bank, top: int | None) -> list[Ensemble]:
    """Return who votes together, and mark the ensemble that the verdict is about.

    That is the one asked for by `top`; else what is fixed before any vote is counted: of several
    sweeps the winners, of one sweep all finalists.

    Raises:
        UsageError: There are not as many finalists as `top` says.
    """
    members = bank.members
    count = len(members)
    if count < 2:
        raise UsageError("one finalist alone cannot vote: finalize with more (--top)")
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
    finalized = Conclusions(home.store(info.id).folder).finalized()
    if finalized is None:
        blocks_experiment(home, info)  # refused where nothing can be finalised
        raise UsageError(
            f"sweep {info.name!r} is not finalised, so that nothing of it can vote; first: "
            f"`sweeps finalize {info.name}`"
        )
    trainings = Trainings.read(home.store(finalized.confirmation), finalized.left_out)
    return Confirmed(info.name, trainings, finalized.winner)


def _check_same_data(infos: Sequence[SweepInfo]) -> None:
    first = infos[0]
    for other in infos[1:]:
        named = [(i.data.get("digest"), i.data.get("split_digest")) for i in (first, other)]
        if named[0] != named[1]:
            raise UsageError(
                f"sweeps {first.name!r} and {other.name!r} cannot vote together: they were made on "
                f"different data ({first.data.get('name')}, {other.data.get('name')}) or splits, "
                "so that their blocks differ; name sweeps of the same data"
            )


def _shared_blocks(confirmed: Sequence[Confirmed]) -> list[int]:
    """Return the blocks that all finalists of all sweeps were trained on, in whole repeats."""
    found = []
    for one in confirmed:
        most = max((block for block, _ in one.trainings.found), default=-1) + 1
        whole = one.trainings.whole_blocks(one.labels, FOLDS * -(-most // FOLDS))
        found.append(set(whole))
    shared = sorted(set.intersection(*found))
    if len(shared) < 2 * FOLDS:
        names = ", ".join(one.name for one in confirmed)
        raise UsageError(
            f"{names}: {len(shared)} blocks are whole for all finalists, {2 * FOLDS} are needed; "
            "finalize again"
        )
    return shared


def _tested(home: Home, sweeps: Sequence[str]) -> list[Telling]:
    """Return what readings said that asked about all these sweeps; the test part is not read."""
    told: list[Telling] = []
    for access_log, reading in readings_of(home, sweeps):
        scores = heard(partial(access_log.scores, reading))
        telling = tell_reading_votes(reading, scores, access_log.count()) if scores else None
        told += [telling] if telling else []
    kept = [_kept(home, sweep) for sweep in sweeps]  # of a home a sweep was imported from, too
    anchors = set.intersection(*map(set, kept)) - {telling.anchor for telling in told}
    return [*told, *(kept[0][anchor] for anchor in sorted(anchors))]


def _kept(home: Home, sweep: str) -> dict[str, Telling]:
    tellings = Conclusions(home.store(sweep).folder).tellings()
    return {told.anchor: told for told in tellings if told.anchor.startswith(VOTED)}
