"""A confirmation in words and tables: verdict, luck, calibration, votes, the test part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sweeps.confirm.calibrating import Calibration, Measure
from sweeps.confirm.comparison import Standing, Verdict
from sweeps.confirm.intervals import (
    FEWEST_BLOCKS,
    Estimate,
    crossed_difference,
    crossed_estimate,
    crossed_mean,
    images_estimate,
)
from sweeps.confirm.luck import Luck
from sweeps.confirm.outcomes import Outcomes
from sweeps.confirm.votes import KINDS, Kind, Member, Vote, Votes, Word, answers, word_of
from sweeps.interval import Interval
from sweeps.records import Telling
from sweeps.records.readings import CHAMPION, Reading
from sweeps.wording import (
    counted,
    format_seconds,
    gain_with_ends,
    percent,
    plus_minus,
    scaled,
    span,
)

# A verdict, and the winner's luck, in words and tables; accuracies in percent, gaps in points.


@dataclass(frozen=True)
class About:
    """The subject of a verdict.

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
    return [
        standing.finalist.label,
        plus_minus(standing.mean.interval()),
        "" if searched is None else scaled(searched),
        "" if behind is None else scaled(behind.value),
        "" if behind is None else span(behind),
        "" if standing.chance is None else f"{standing.chance:.2f}",
        standing.word,
    ]


def _what_would_settle(standing: Standing) -> str:
    label = standing.finalist.label
    if standing.word == "equivalent":
        return f"{label} is equivalent: within half a point."
    if standing.more_blocks is None:
        return f"{label}: no sensible number of blocks of these images will settle it."
    return f"{label}: about {standing.more_blocks} blocks might settle it (--blocks)."


def _control_line(verdict: Verdict) -> list[str]:
    """Say whether searching paid: only random trials, as many and confirmed alike, can tell."""
    control, found = verdict.control, verdict.gain_over_control
    if control is None or found is None:
        return []
    gain = found.interval()
    told = "it paid" if gain.low > 0 else "it did not pay"
    told = told if gain.is_told_apart else "not to be told apart"
    return [
        f"Did searching pay? The search's best minus the best of random trials "
        f"({control.finalist.label}): {gain_with_ends(gain)}, "
        f"{told}; fair only if there were as many of both."
    ]


PARTS: Final = {
    "seed": "its seed", "epoch": "the choice of its epoch", "images": "the images that scored it",
    "all": "all of it",
}  # fmt: skip


def tell_luck(luck: Luck, missing: str = "") -> Telling:
    """Return what the search's best owed to luck, and why its parts are missing if they are."""
    standing, total = luck.standing, luck.total
    searched = standing.finalist.searched
    assert searched is not None
    lead = (
        f"The best of the search, {standing.finalist.label}, scored {scaled(searched)} there and "
        f"{scaled(standing.mean.value)} on fresh blocks: {gain_with_ends(-total)}."
    )
    lines = [
        "Its seed: its score minus the mean of as many trainings on the search's own split. The "
        "epoch: how much better the images that chose it look than others, block by block (the "
        "inner part of a block is smaller than that of the search: at most this much). The images: "
        "what is left, that V0 suited it, and that a block trains on fewer images."
    ]
    parts = {**luck.parts, "all": total}
    rows = [[PARTS[name], scaled(part.value, sign="+"), span(part)] for name, part in parts.items()]
    columns = ["due to", "points", "95 % interval"]
    return Telling(
        "luck",
        "The luck of the search's best",
        lead,
        columns,
        rows,
        lines if luck.parts else [missing] if missing else (),
    )


# The effect of temperatures on the finalists' probabilities, in words and a table.


SHOWN: Final = {
    "ece": ("calibration error", "ECE %", "points"),
    "nll": ("negative log-likelihood", "NLL", "nats"),
}
SAYS: Final = {
    "lower": "is lower at the fitted temperature",
    "higher": "is higher at the fitted temperature",
    "cannot tell": "cannot be said to change",
}


def tell_calibration(verdict: Verdict, measured: Mapping[str, Calibration]) -> Telling:
    """Return whether calibration helps, the leader first.

    Args:
        verdict: Who takes part.
        measured: Of each of them, by label.
    """
    winner = verdict.recommended.finalist.label
    chosen = measured[winner]
    said = "; ".join(_said(name, measure) for name, measure in chosen.measures.items())
    lines = [
        f"A network that is served answers softmax(logits / T). T is fitted on the images that "
        f"stopped its training early (for {winner} {chosen.temperature:.2f}, from "
        f"{chosen.lowest:.2f} to {chosen.highest:.2f}) and judged on the block's other images. The "
        "most likely class, and so the accuracy, stays.",
        "ECE: how far the share right is from the confidence, in 15 bins of equal width, over the "
        "answers of all its networks together: where one is too sure and another not enough, that "
        "cancels, and the NLL counts it. Intervals of the change: 95 %, for other images and other "
        "seeds, crossed, each for itself.",
    ]
    columns = ["finalist", "T", "", "T = 1", "at T", "change", "so"]
    rows = [
        row
        for standing in verdict.standings
        for row in _rows(standing.finalist.label, measured[standing.finalist.label])
    ]
    title = "Are its probabilities right?"
    return Telling("calibration", title, f"{winner}: {said}.", columns, rows, lines)


def _said(name: str, measure: Measure) -> str:
    called, _, unit = SHOWN[name]
    before, after = (scaled(one.value, one.unit) for one in (measure.before, measure.after))
    change = span(measure.change, " to ")
    return f"its {called} {SAYS[measure.word]}, {before} to {after} {unit} ({change})"


def _rows(label: str, calibration: Calibration) -> Iterator[list[str]]:
    for name, measure in calibration.measures.items():
        yield [
            label,
            f"{calibration.temperature:.2f}",
            SHOWN[name][1],
            *(scaled(one.value, one.unit) for one in (measure.before, measure.after)),
            span(measure.change),
            measure.word,
        ]


# Votes of finalists on fresh blocks, in words and a table.


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
    rows = [["single best", plus_minus(votes.mean.interval()), "", "", "", "1.0x", "1.0x"]]
    rows += [_vote_row(vote, single) for vote in votes.votes]
    lead = (
        f"The soft vote of {_who(announced)} {VERBS[announced.word]} {single.name}, the single "
        f"best of {' and '.join(names)}: {scaled(announced.mean.value)} against "
        f"{percent(votes.mean.value, 2)}, {gain_with_ends(announced.ahead)}."
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


def _who(vote: Vote) -> str:
    ensemble = vote.ensemble
    if ensemble.name == "winners":
        return f"the winners ({', '.join(member.name for member in ensemble.members)})"
    return f"the {ensemble.name}" if ensemble.name.startswith("top") else ensemble.name


def _vote_row(vote: Vote, single: Member) -> list[str]:
    return [
        f"{vote.ensemble.name}, {vote.kind}",
        plus_minus(vote.mean.interval()),
        scaled(vote.ahead.value, sign="+"),
        span(vote.ahead),
        vote.word,
        _times(vote.parameters, single.parameters),
        _times(vote.seconds, single.seconds),
    ]


def _times(whole: float, one: float) -> str:
    return f"{whole / one:.1f}x" if one else ""


# Votes of the models that a reading scored, on the test part; from stored logits.
#
# The winner of a sweep has a training a block, and those can vote: all of one sweep, training by
# training across sweeps, and all of all. Nothing is scored anew, so that a reading that was made
# before there were votes tells of them, too; it is then marked as asked after it.


VOTED: Final = "voted-"
"""How the anchors of what is told here begin."""
VOTE_QUESTIONS: Final = (
    "vote of all trainings of a winner, soft (hard beside it), minus the mean of one of them",
    "of several sweeps: vote across their winners, training by training, soft (hard beside it), "
    "minus the best single winner",
    "of several sweeps: vote of all trainings of all winners, soft (hard beside it), minus the "
    "best single winner",
)


@dataclass(frozen=True)
class _Winner:
    """The winner of a sweep: `correct` (trainings, n), `logits` (trainings, n, classes)."""

    name: str
    label: str
    correct: NDArray[np.bool_] = field(repr=False)
    logits: NDArray[np.float32] = field(repr=False)

    @property
    def of_images(self) -> NDArray[np.float64]:
        """(n,) in which share of its trainings each image was recognised."""
        shares: NDArray[np.float64] = self.correct.mean(axis=0)
        return shares


@dataclass(frozen=True)
class _Compared:
    """A row: an accuracy and what it is ahead of `of` by.

    `ensembles` is how many were made, of trainings of their own; None of one that exists once.
    """

    name: str
    members: int
    kind: Kind
    mean: Estimate
    ahead: Estimate
    of: _Winner
    ensembles: int | None = None

    def lead(self, at_once: int) -> tuple[Interval, Word]:
        """Return what it is ahead by, for so many compared at once, and what that says."""
        ahead = self.ahead.interval(at_once)
        is_enough = self.ensembles is None or self.ensembles >= FEWEST_BLOCKS
        return ahead, word_of(ahead) if is_enough else "cannot tell yet"


def tell_reading_votes(
    reading: Reading, scores: Mapping[str, np.ndarray], readings: int
) -> Telling | None:
    """Return what votes came to in a reading; None if it scored nothing that can vote.

    Args:
        reading: Which.
        scores: See `AccessLog.scores`.
        readings: How many there are by now.
    """
    winners = _winners(reading, scores)
    if not winners or (len(winners) == 1 and len(winners[0].logits) < 2):
        return None
    classes = np.asarray(scores["labels"], np.int64)
    best = max(winners, key=lambda winner: float(winner.correct.mean()))
    compared = [row for w in winners if len(w.logits) > 1 for row in _of_one(w, classes)]
    if len(winners) > 1:
        compared += [*_across(winners, best, classes), *_of_all(winners, best, classes)]
    at_once = len(winners) + len(compared)
    rows = [
        [w.name, "1", plus_minus(_crossed(w.correct.astype(float)).interval()), "", "", ""]
        for w in winners
    ]
    rows += [_reading_row(row, at_once) for row in compared]
    columns = ["vote", "of", "test, %", "ahead", "95 %", "so"]
    was_asked = set(VOTE_QUESTIONS) <= set(reading.questions)
    note = (
        f"Frozen on {reading.day} among the questions of reading {reading.number}."
        if was_asked
        else f"Asked after the reading: it was frozen on {reading.day} without votes. They come "
        "from the logits it stored; nothing was scored again."
    )
    ordinal = "read once" if readings == 1 else f"reading {reading.number} of {readings}"
    title = f"Votes on the test part, {ordinal}"
    lines = _lines(winners, best)
    return Telling(
        f"{VOTED}{reading.name}", title, _lead(compared, at_once), columns, rows, lines, note
    )


def _winners(reading: Reading, scores: Mapping[str, np.ndarray]) -> list[_Winner]:
    return [
        _Winner(e.name, e.label, scores[f"correct_{k}"] != 0, scores[f"logits_{k}"])
        for k, e in enumerate(reading.entries)
        if e.role == "winner" and f"logits_{k}" in scores
    ]


def _crossed(values: NDArray[np.float64]) -> Estimate:
    """Return the mean of (trainings, n); where there is one training, with images' error alone."""
    trainings, n = values.shape
    if trainings < 2:
        return images_estimate(values[0])
    return crossed_estimate(values, np.tile(np.arange(n, dtype=np.int64), (trainings, 1)))


def _of_one(winner: _Winner, classes: NDArray[np.int64]) -> list[_Compared]:
    """Compare the vote of a winner's trainings with the mean of single ones, image by image."""
    members = len(winner.logits)
    made = []
    for kind in KINDS:
        right = (answers(winner.logits, kind) == classes).astype(float)
        ahead = images_estimate(right - winner.of_images)
        name = f"{winner.name}, {kind}"
        made.append(_Compared(name, members, kind, images_estimate(right), ahead, winner))
    return made


def _across(
    winners: Sequence[_Winner], best: _Winner, classes: NDArray[np.int64]
) -> list[_Compared]:
    """Compare ensembles of one training a sweep with the best winner's training in the same place.

    As many as every sweep has trainings.
    """
    places = min(len(winner.logits) for winner in winners)
    made = []
    for kind in KINDS:
        right = np.array([
            answers(np.stack([winner.logits[place] for winner in winners]), kind) == classes
            for place in range(places)
        ]).astype(float)  # fmt: skip
        ahead = _crossed(right - best.correct[:places])
        mean = _crossed(right)
        name = f"winners, {kind}"
        made.append(_Compared(name, len(winners), kind, mean, ahead, best, places))
    return made


def _of_all(
    winners: Sequence[_Winner], best: _Winner, classes: NDArray[np.int64]
) -> list[_Compared]:
    everything = np.concatenate([winner.logits for winner in winners])
    made = []
    for kind in KINDS:
        right = (answers(everything, kind) == classes).astype(float)
        ahead = images_estimate(right - best.of_images)
        mean = images_estimate(right)
        made.append(_Compared(f"all, {kind}", len(everything), kind, mean, ahead, best))
    return made


def _reading_row(row: _Compared, at_once: int) -> list[str]:
    ahead, word = row.lead(at_once)
    mean = plus_minus(row.mean.interval())
    return [row.name, str(row.members), mean, scaled(ahead.value, sign="+"), span(ahead), word]


def _lead(compared: Sequence[_Compared], at_once: int) -> str:
    """Say what the widest soft vote came to: of all trainings there are."""
    row = next(row for row in reversed(compared) if row.kind == "soft")
    ahead, word = row.lead(at_once)
    return (
        f"On the test part the soft vote of {row.members} trainings {VERBS[word]} "
        f"one of {row.of.name} ({row.of.label}): {percent(row.mean.value, 2)}, "
        f"{gain_with_ends(ahead)}."
    )


def _lines(winners: Sequence[_Winner], best: _Winner) -> list[str]:
    singles = (f"{w.name} is {w.label}, {counted(len(w.logits), 'training')}" for w in winners)
    lines = [
        f"A row of 1 is the mean of single trainings ({'; '.join(singles)}). The column 'of' says "
        "how many models answer as one; a prediction needs each of them."
    ]
    if len(winners) > 1:
        lines.append(
            "A vote of one sweep is compared with the mean of that sweep's single trainings, the "
            f"others with {best.name}, the single winner that did best on this very part. The vote "
            "of the winners takes one training of each sweep, as often as there are trainings: its "
            "interval is for new images and new seeds, as those of single winners."
        )
    lines.append(
        "Trainings on different blocks saw different images: together they saw more than one "
        "alone, which is a part of what they gain. A vote of all of them exists once: its interval "
        "is for new images only, and does not say how others, trained alike, would vote. Soft: the "
        "mean of probabilities, the vote to go by; hard: the majority. All differences at once."
    )
    return lines


def tell_reading(
    reading: Reading, sweep: str, scores: Mapping[str, np.ndarray], readings: int
) -> Telling:
    """Return what a reading says of one of its sweeps.

    Args:
        reading: Which.
        sweep: Id of the sweep.
        scores: See `AccessLog.scores`.
        readings: How many there are by now.
    """
    places = [place for place, entry in enumerate(reading.entries) if entry.sweep == sweep]
    files = {reading.entries[place].role: scores[f"correct_{place}"][0] != 0 for place in places}
    places = [place for place in places if reading.entries[place].role != CHAMPION]
    entries = [reading.entries[place] for place in places]
    correct = np.stack([scores[f"correct_{place}"] != 0 for place in places])
    trainings, n = correct.shape[1:]
    outcomes = Outcomes(correct, np.tile(np.arange(n, dtype=np.int64), (trainings, 1)))
    rows = []
    for number, entry in enumerate(entries):
        mean = crossed_mean(outcomes, number)
        gap = crossed_difference(outcomes, 0, number) if number else None
        rows.append(
            [entry.role, entry.label, plus_minus(mean.interval()), *_gap(gap, len(entries))]
        )
    winner = entries[0].label
    share = plus_minus(crossed_mean(outcomes, 0).interval())
    lead = f"On the test part {winner}, the winner, recognises {share} %."
    lines = []
    baseline = next((k for k, entry in enumerate(entries) if entry.role == "baseline"), None)
    if baseline is not None:
        champion = files.get(CHAMPION, files["winner"])
        file = f"{winner}, trained on everything else," if CHAMPION in files else winner
        lines.append(_mcnemar(champion, files["baseline"], file, entries[baseline].label))
    if CHAMPION in files:
        share = scaled(files[CHAMPION].mean())
        rows.append([CHAMPION, f"{winner}, refitted", share, "", ""])
    lines += [
        f"Means over {trainings} trainings each and {n} images; intervals are for new images and "
        "new seeds, all differences at once.",
        _count(reading, readings),
    ]
    columns = ["", "finalist", "test, %", "winner ahead by", "95 % interval"]
    note = f"The list of models was frozen on {reading.day}, before anything was scored."
    if reading.number > 1:
        note += f" It was made after {counted(reading.number - 1, 'reading')} could have been seen."
    ordinal = "read once" if readings == 1 else f"reading {reading.number} of {readings}"
    title = f"The test part, {ordinal}"
    return Telling(f"tested-{reading.name}", title, lead, columns, rows, lines, note)


def _gap(gap: Estimate | None, compared: int) -> list[str]:
    if gap is None:
        return ["", ""]
    return [scaled(gap.value, sign="+"), span(gap.interval(compared))]


def _mcnemar(first: np.ndarray, second: np.ndarray, champion: str, baseline: str) -> str:
    """Compare two files on the same images by the exact test of McNemar (1947)."""
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_first + only_second
    p = float(binomtest(only_first, apart).pvalue) if apart else 1.0
    return (
        f"The champion's file against the baseline's of block 0: {champion} alone is "
        f"right on {only_first} images, {baseline} alone on {only_second} (McNemar's exact test, "
        f"p = {p:.2g}); these two files, not the configurations."
    )


def _count(reading: Reading, readings: int) -> str:
    part = f"test part {reading.digest[:8]}"
    count = f"Reading {reading.number} of {readings} of {part} in this home"
    return f"{count}, because: {reading.reason}." if reading.reason else f"{count}."
