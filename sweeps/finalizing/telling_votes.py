"""What votes of finalists on fresh blocks came to, in words and a table."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.finalizing.bank import Member
from sweeps.finalizing.intervals import Estimate
from sweeps.finalizing.telling import span
from sweeps.finalizing.votes import Vote, Votes, Word
from sweeps.records import Telling
from sweeps.report.numbers import format_seconds

COLUMNS = ("vote", "fresh, %", "ahead", "95 %", "so", "size", "time")
VERBS: dict[Word, str] = {
    "better": "is better than",
    "worse": "is worse than",
    "equivalent": "is equivalent to",
    "cannot tell yet": "cannot be told apart yet from",
}


def tell_votes(names: Sequence[str], votes: Votes, winners: Sequence[str]) -> Telling:
    """Return what votes of the finalists of some sweeps came to.

    Args:
        names: Of the sweeps.
        votes: Two or more: of each ensemble the soft one, then the hard one.
        winners: Names of the members that finalising says to take.
    """
    announced = next(vote for vote in votes.votes if vote.ensemble.is_announced)
    single = votes.single
    rows = [["single best", percent(votes.mean), "", "", "", "1.0x", "1.0x"]]
    rows += [_row(vote, single) for vote in votes.votes]
    lead = (
        f"The soft vote of {_who(announced)} {VERBS[announced.word]} {single.name}, the single "
        f"best of {' and '.join(names)}: {100 * announced.mean.value:.2f} against "
        f"{100 * votes.mean.value:.2f} %, {100 * announced.ahead.value:+.2f} points "
        f"({100 * announced.low:+.2f} to {100 * announced.high:+.2f})."
    )
    lines = []
    if single.name not in winners:
        lines.append(f"Finalising says to take {', '.join(winners)}, not the single best.")
    lines += [
        f"Size is the weights that a prediction needs, time that of training, as multiples of what "
        f"{single.name} has: {single.parameters:.0f} weights, "
        f"{format_seconds(single.seconds)} a block.",
        f"From {votes.blocks} blocks, for new images and new seeds at this size of training set; "
        "all differences at once. Soft: the mean of probabilities, the vote to go by; hard: the "
        "majority, ties to the larger mean probability.",
        "No block evaluates on V0, which chose the finalists in the search. But who of them is the "
        "single best, a winner or among the top was seen on these same blocks, so that their "
        "figures are a little too good; that of all finalists owes nothing to it. The test part "
        "asks without such a choice (sweeps finalize --test).",
        "On a block all are trained under one seed and on the same images: networks of one shape "
        "start from the same weights, and differ less than an ensemble's members could.",
    ]
    note = "Made from the logits that finalising kept; nothing was trained, no test part read."
    return Telling("ensembles", "Votes on fresh blocks", lead, COLUMNS, rows, lines, note)


def percent(mean: Estimate) -> str:
    """Return an accuracy in percent, with half its 95 % interval."""
    return f"{100 * mean.value:.2f}±{100 * (mean.interval()[1] - mean.value):.2f}"


def _who(vote: Vote) -> str:
    ensemble = vote.ensemble
    if ensemble.name == "winners":
        return f"the winners ({', '.join(member.name for member in ensemble.members)})"
    return f"the {ensemble.name}" if ensemble.name.startswith("top") else ensemble.name


def _row(vote: Vote, single: Member) -> list[str]:
    return [
        f"{vote.ensemble.name}, {vote.kind}",
        percent(vote.mean),
        f"{100 * vote.ahead.value:+.2f}",
        span(vote.low, vote.high),
        vote.word,
        _times(vote.parameters, single.parameters),
        _times(vote.seconds, single.seconds),
    ]


def _times(whole: float, one: float) -> str:
    return f"{whole / one:.1f}x" if one else ""
