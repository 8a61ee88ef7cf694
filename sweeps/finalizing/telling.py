"""A verdict, and the winner's luck, in words and tables; accuracies in percent, gaps in points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.finalizing.luck import Luck, Part
from sweeps.finalizing.verdict import Standing, Verdict
from sweeps.records import Telling


@dataclass(frozen=True)
class About:
    """What a verdict is about.

    Attributes:
        name: Of the sweep.
        trials: How many it had.
        confirmation: Name of the sweep that confirms it.
        blocks: On how many blocks it was to be confirmed.
        others: Names of other confirmations of the same sweep.
        refit: Name of the sweep that trained the winner on all but the test part; None without.
        left_out: Labels of finalists that were not to take part.
    """

    name: str
    trials: int
    confirmation: str
    blocks: int
    others: Sequence[str] = ()
    refit: str | None = None
    left_out: Sequence[str] = ()


def tell_verdict(about: About, verdict: Verdict) -> Telling:
    """Return what a confirmation says."""
    name = about.name
    leader = verdict.standings[0]
    lines = []
    if verdict.is_settled:
        lead = f"{leader.finalist.label} is better than every other finalist of {name}."
    else:
        among = ", ".join(s.finalist.label for s in verdict.may_be_best)
        lead = f"The best is one of: {among}."
        lines += [_what_would_settle(s) for s in verdict.may_be_best[1:]]
    cheapest = verdict.recommended
    if cheapest is not leader:
        lines.append(
            f"{cheapest.finalist.label} is as good within half a point, and the cheapest: take it."
        )
    lines += _control_line(verdict)
    refit = f", trained on all but the test part ({about.refit})" if about.refit else ""
    lines.append(f"The champion is {cheapest.finalist.label}{refit}.")
    if verdict.blocks < about.blocks:
        lines.append(
            f"Only {verdict.blocks} of {about.blocks} blocks count: in each other repeat of four a "
            "training is missing or failed."
        )
    if about.left_out:
        lines.append(
            f"Left out by --leave-out, so that nothing is said of: {', '.join(about.left_out)}."
        )
    others = ", ".join(about.others)
    if others:
        lines.append(
            f"It was confirmed otherwise, too, on the same blocks ({others}): of several verdicts "
            "the one that pleases is no verdict."
        )
    lines.append(
        f"From {verdict.blocks} blocks, for new images and new seeds at this size of training set; "
        "other training sets are another question. P, the probability that the leader is the "
        "better one of that pair (correlated Bayesian t-test), allows for those too, but not for "
        "the leader having been picked among all."
    )
    columns = ["finalist", "fresh, %", "search", "behind", "95 %", "P", "so"]
    note = (
        f"From the sweep {about.confirmation}, made by `sweeps finalize` when {name} had "
        f"{about.trials} trials."
    )
    rows = [_row(standing) for standing in verdict.standings]
    return Telling("confirmed", "Confirmed on fresh blocks", lead, columns, rows, lines, note)


def _row(standing: Standing) -> list[str]:
    searched, behind = standing.finalist.searched, standing.behind
    _, high = standing.mean.interval()
    return [
        standing.finalist.label,
        f"{100 * standing.mean.value:.2f}±{100 * (high - standing.mean.value):.2f}",
        "" if searched is None else f"{100 * searched:.2f}",
        "" if behind is None else f"{100 * behind.value:.2f}",
        "" if behind is None else span(standing.low, standing.high),
        "" if standing.chance is None else f"{standing.chance:.2f}",
        standing.word,
    ]


def span(low: float, high: float) -> str:
    """Return an interval in points, as a word that no line breaks."""
    return f"{100 * low:+.2f}..{100 * high:+.2f}"


def _what_would_settle(standing: Standing) -> str:
    label = standing.finalist.label
    if standing.word == "equivalent":
        return f"{label} is equivalent: within half a point."
    if standing.more_blocks is None:
        return f"{label}: no sensible number of blocks of these images will settle it."
    return f"{label}: about {standing.more_blocks} blocks might settle it (--blocks)."


def _control_line(verdict: Verdict) -> list[str]:
    """Say whether searching paid: only random trials, as many and confirmed alike, can tell."""
    control, gain = verdict.control, verdict.gain_over_control
    if control is None or gain is None:
        return []
    low, high = (100 * end for end in gain.interval())
    told = "it paid" if low > 0 else "it did not pay" if high < 0 else "not to be told apart"
    return [
        f"Did searching pay? The search's best minus the best of random trials "
        f"({control.finalist.label}): {100 * gain.value:+.2f} points ({low:+.2f} to {high:+.2f}), "
        f"{told}; fair only if there were as many of both."
    ]


def tell_luck(luck: Luck, missing: str = "") -> Telling:
    """Return what the search's best owed to luck, and why its parts are missing if they are."""
    standing, total = luck.standing, luck.total
    searched = standing.finalist.searched
    assert searched is not None
    lead = (
        f"The best of the search, {standing.finalist.label}, scored {100 * searched:.2f} there and "
        f"{100 * standing.mean.value:.2f} on fresh blocks: {-100 * total.value:+.2f} points "
        f"({-100 * total.high:+.2f} to {-100 * total.low:+.2f})."
    )
    lines = [
        "Its seed: its score minus the mean of as many trainings on the search's own split. The "
        "epoch: how much better the images that chose it look than others, block by block (the "
        "inner part of a block is smaller than that of the search: at most this much). The images: "
        "what is left, that V0 suited it, and that a block trains on fewer images."
    ]
    rows = [_part(part) for part in (*luck.parts, total)]
    columns = ["due to", "points", "95 % interval"]
    return Telling(
        "luck",
        "The luck of the search's best",
        lead,
        columns,
        rows,
        lines if luck.parts else [missing] if missing else (),
    )


def _part(part: Part) -> list[str]:
    return [
        part.name,
        f"{100 * part.value:+.2f}",
        span(part.low, part.high),
    ]
