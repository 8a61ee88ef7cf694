"""Conclusions in words and tables: verdict, selection bias, calibration, ensemble, test set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch
from typing import Final

from sweeps.interval import Interval
from sweeps.records import WordedConclusion
from sweeps.records.conclusions import (
    AtEvaluation,
    CalibrationConclusion,
    Conclusion,
    ConfirmedStanding,
    EnsembleConclusion,
    LeftAfter,
    SelectionBiasConclusion,
    TestConclusion,
    VerdictConclusion,
    VerificationConclusion,
)
from sweeps.render.answer import rare_failures, verification_in_words
from sweeps.render.methods import margin_of, results, selection_bias, who_went_on
from sweeps.render.section import (
    Axis,
    Block,
    Chart,
    Code,
    Folded,
    Line,
    Mark,
    Points,
    Role,
    Section,
    Table,
    Text,
)
from sweeps.wording import (
    counted,
    decimals,
    figure,
    format_metric,
    format_seconds,
    fresh_name,
    lead_with_ends,
    plus_minus,
    scaled,
    span,
)


def conclusion_section(conclusion: Conclusion) -> Section:
    """Return a conclusion as a section."""
    worded = put_in_words(conclusion)
    blocks: list[Block] = [Text(worded.lead, "lead")]
    if worded.rows:
        blocks.append(Table(worded.columns, worded.rows))
    blocks += [Text(line) for line in worded.lines]
    if worded.note:
        blocks.append(Text(worded.note, "note"))
    return Section(worded.anchor, worded.title, blocks)


def page_section(conclusion: Conclusion) -> Section:
    """Return a conclusion as a section of a page: its sentence, the rest folded below."""
    section = conclusion_section(conclusion)
    lead, *rest = section.blocks
    assert isinstance(lead, Text)
    folded = [block for block in rest if isinstance(block, Text | Table | Code)]
    return replace(
        section, blocks=[replace(lead, kind="plain"), Folded("In figures, and how", folded)]
    )


def forest_chart(verdict: VerdictConclusion) -> Chart:
    """Return the finalists with their scores on fresh folds, and the baseline's as a line."""
    scale = 100 if _is_share(verdict) else 1
    named = {
        one.finalist: f"{one.finalist}  {plus_minus(one.accuracy)}" for one in verdict.standings
    }
    axis = Axis(labels=tuple(named.values()))

    def dots(name: str, role: Role, chosen: Sequence[ConfirmedStanding]) -> Points:
        return Points(
            name,
            [named[one.finalist] for one in chosen],
            [scale * one.accuracy.value for one in chosen],
            role,
            [_standing_text(one) for one in chosen],
            low=[scale * one.accuracy.low for one in chosen],
            high=[scale * one.accuracy.high for one in chosen],
            is_diamond=role != "trial",
            is_sideways=True,
        )

    winner = [one for one in verdict.standings if one.finalist == verdict.champion]
    others = [one for one in verdict.standings if one not in winner]
    baselines = [one for one in others if one.is_baseline]
    rest = [one for one in others if one not in baselines]
    ends = [-0.5, len(verdict.standings) - 0.5]
    marks: list[Mark] = [
        Line("", [scale * one.accuracy.value] * 2, ends, "baseline", dashed=True)
        for one in baselines
    ]
    groups: list[tuple[str, Role, Sequence[ConfirmedStanding]]] = [
        (role_of_recommended(verdict), "best", winner),
        ("other finalists", "trial", rest),
        ("baseline", "baseline", baselines),
    ]
    marks += [dots(name, role, chosen) for name, role, chosen in groups if chosen]
    note = (
        f"Means and 95 % intervals, {_covers(verdict)}. All were trained on the same "
        "folds, so that two whose intervals overlap may still differ: the table says which do."
    )
    if verdict.left_after:
        left = counted(len(verdict.left_after), "finalist")
        note += f" {left}, left out after {verdict.left_after[0].folds} folds, are not shown."
    title = f"The finalists on {verdict.folds} fresh folds"
    sign = ", %" if _is_share(verdict) else ""
    values = Axis(f"{fresh_name(verdict.metric)}{sign}")
    return Chart("finalists", title, marks, values, axis, "wide", note)


def _is_share(verdict: VerdictConclusion) -> bool:
    return verdict.standings[0].accuracy.unit == "share"


def _covers(verdict: VerdictConclusion) -> str:
    if verdict.method == "samples and seeds":
        return "for new samples and new seeds"
    of = (
        ""
        if verdict.method == "folds"
        else ", which follows all that trains it (rolling origin, Tashman 2000)"
    )
    return (
        f"from one number per fold{of}: folds share most of their training samples, so that their "
        "variance is corrected (Nadeau & Bengio 2003)"
    )


def _standing_text(one: ConfirmedStanding) -> str:
    sign = " %" if one.accuracy.unit == "share" else ""
    known = None if one.searched is None else _scored(one.searched, one.accuracy)
    searched = "" if known is None else f"<br>in the search {known}{sign}"
    gap = one.leader_ahead_by
    behind = (
        "" if gap is None else f"<br>the leader against it: {lead_with_ends(gap)}, {one.verdict}"
    )
    return f"<b>{one.finalist}</b>: {plus_minus(one.accuracy)}{sign}{searched}{behind}"


@singledispatch
def put_in_words(conclusion: Conclusion) -> WordedConclusion:
    """Return a conclusion in words: shares in percent, their differences in points.

    A conclusion that an earlier version stored in words is returned as it is.
    """
    assert isinstance(conclusion, WordedConclusion)
    return conclusion


@put_in_words.register
def _(verdict: VerdictConclusion) -> WordedConclusion:
    lead, *lines = results(verdict)
    open_ones = [one for one in verdict.standings if one.may_be_best]
    lines += [] if verdict.settled else map(_folds_to_settle, open_ones[1:])
    lines += _control_line(verdict)
    refit = f", trained on all but the test set ({verdict.refit})" if verdict.refit else ""
    lines.append(f"The champion is {verdict.champion}{refit}.")
    if verdict.folds < verdict.folds_asked:
        lines.append(
            f"Only {verdict.folds} of {verdict.folds_asked} folds count: those up to the last "
            "look, in repeats without a missing training or a fold on which nobody left answers."
        )
    lost = [one for one in verdict.standings if one.diverged or one.failed]
    if lost:
        each = "; ".join(f"{one.finalist}: {_lost(one, verdict.folds)}" for one in lost)
        lines.append(
            f"{each}. They count: by the weights they restored, else as the best constant "
            "prediction (without known classes as the worst training of all)."
        )
    if any(one.failed for one in lost):
        lines.append(
            "Once the cause of those that failed is mended, `sweeps retry "
            f"{verdict.confirmation}` and the same command put their results in place."
        )
    if verdict.left_out:
        lines.append(
            f"Left out by --leave-out, so that nothing is said of: {', '.join(verdict.left_out)}."
        )
    if verdict.left_after:
        first = verdict.left_after[0].folds
        lines.append(
            f"Left out after {first} folds, so that nothing is said of: "
            f"{', '.join(one.finalist for one in verdict.left_after)}. On went "
            f"{who_went_on(verdict)} (with --all all of them)."
        )
    others = ", ".join(verdict.others)
    if others:
        lines.append(
            f"It was confirmed otherwise, too, on the same samples ({others}): of several verdicts "
            "the one that pleases is no verdict."
        )
    outlying = [one for one in verdict.standings if one.outlying_folds]
    if outlying:
        each = ", ".join(f"{one.finalist} ({one.outlying_folds})" for one in outlying)
        lines.append(
            f"Folds far below a finalist's others: {each}. A bad training now and then may be "
            "missing from others by chance: more folds (--folds) see more of them."
        )
    lines += rare_failures(verdict)
    lines.append(
        f"Compared by {fresh_name(verdict.metric)}, from {verdict.folds} folds, "
        f"{_covers(verdict)}, at this size of training set. A difference within "
        f"{margin_of(verdict)} does not matter (--margin). "
        "'best' is the chance of being the best of those on all folds, and what may be the best "
        "leaves out the best of them in at most 5 of 100 confirmations, however often folds are "
        "added: words change only at "
        "numbers of folds that were fixed beforehand. That was simulated with 4000 samples; it is "
        "more often where trainings fail rarely, or one sample changes much of what is learnt."
    )
    lines += _judged_lines(verdict)
    columns = [
        "finalist",
        "fresh, %" if _is_share(verdict) else "fresh",
        "search",
        "behind",
        "95 %",
        "best",
        "so",
    ]
    note = (
        f"From the sweep {verdict.confirmation}, made by `sweeps confirm` when {verdict.sweep} had "
        f"{verdict.trials} trials."
    )
    rows = [_standing_row(standing, verdict.folds) for standing in verdict.standings]
    rows += [_left_row(one, like=verdict.standings[0].accuracy) for one in verdict.left_after]
    return WordedConclusion(
        "confirmed", "Confirmed on fresh folds", lead, columns, rows, lines, note
    )


def _judged_lines(verdict: VerdictConclusion) -> list[str]:
    judged = verdict.judged
    said = (
        f"The samples of these folds have judged {counted(judged.finalists, 'finalist')} of "
        f"{counted(judged.sweeps, 'sweep')} {_where(judged.on_machine)}."
    )
    if judged.sweeps > 1 or verdict.fresh:
        said += (
            " What is searched after a verdict was seen adapts to them, which no interval allows "
            "for. Only new data renew them: --fresh draws other folds of the same samples."
        )
    return [said]


def _lost(standing: ConfirmedStanding, folds: int) -> str:
    """Return `2 of 20 trainings diverged`; empty if all were complete."""
    counts = {"diverged": standing.diverged, "failed": standing.failed}
    said = [f"{count} {word}" for word, count in counts.items() if count]
    if not said:
        return ""
    first, *more = said
    count, word = first.split()
    return ", ".join([f"{count} of {counted(folds, 'training')} {word}", *more])


def _standing_row(standing: ConfirmedStanding, folds: int) -> list[str]:
    searched, behind = standing.searched, standing.leader_ahead_by
    best, said = standing.chance_best, "leads"
    chance = "< 1 %" if best < 0.01 else "> 99 %" if best > 0.99 else f"{100 * best:.0f} %"
    if standing.verdict != "leads":
        said = "may be the best" if standing.may_be_best else "not the best"
        said += ", as good" if standing.as_good else ""
    return [
        standing.finalist,
        plus_minus(standing.accuracy),
        "" if searched is None else _scored(searched, standing.accuracy),
        *(["", ""] if behind is None else [_scored(behind.value, behind), span(behind)]),
        chance,
        "; ".join(filter(None, [said, _lost(standing, folds)])),
    ]


def _left_row(one: LeftAfter, like: Interval) -> list[str]:
    """Return the row of a finalist of which nothing is said."""
    searched = "" if one.searched is None else _scored(one.searched, like)
    said = f"left out after {one.folds} folds"
    return [one.finalist, _scored(one.accuracy, like), searched, "", "", "", said]


def role_of_recommended(verdict: VerdictConclusion) -> str:
    """Return what the recommended finalist is called in a picture."""
    is_taken = verdict.kept.finalist == verdict.champion
    return "winner" if verdict.settled else "to take" if is_taken else "champion"


def _folds_to_settle(standing: ConfirmedStanding) -> str:
    label = standing.finalist
    if standing.verdict == "equivalent":
        return f"{label} is as good."
    if standing.folds_needed is None:
        return f"{label}: more data are needed to settle it, no sensible number of folds would."
    return (
        f"{label}: about {standing.folds_needed} folds would settle it in 8 of 10 cases (--folds)."
    )


def _control_line(verdict: VerdictConclusion) -> list[str]:
    control, gain = verdict.control, verdict.gain_over_control
    if control is None or gain is None:
        return []
    trials = counted(verdict.control_trials, "trial")
    return [
        f"The search's best against the best of one random search of {trials} "
        f"({control.finalist}): {lead_with_ends(gain)}. Another random search finds another best, "
        "so that this does not say whether searching paid."
    ]


@put_in_words.register
def _(bias: SelectionBiasConclusion) -> WordedConclusion:
    title = "Selection bias of the search's best"
    return WordedConclusion("selection-bias", title, selection_bias(bias), [], [], [])


@put_in_words.register
def _(verification: VerificationConclusion) -> WordedConclusion:
    title, lead = "Verification", verification_in_words(verification)
    note = (
        "A process of its own builds the model from the recorded weights, and lets it answer the "
        "samples that scored its training. A difference of a thousandth of the largest answer is "
        "one of rounding. A verified model is saved in the format of its library, if that has one: "
        "an artifact of its run in MLflow, in `model/`."
    )
    return WordedConclusion("verification", title, lead, [], [], note=note)


def _scored(value: float, like: Interval) -> str:
    """Write a score in the unit and with the decimals of an interval."""
    return scaled(value, like.unit, digits=decimals(like))


def _signed(difference: Interval) -> str:
    return scaled(difference.value, difference.unit, sign="+", digits=decimals(difference))


SHOWN: Final = {
    "ece": ("calibration error", "ECE %", "points"),
    "nll": ("negative log-likelihood", "NLL", "nats"),
}
SAYS: Final = {
    "lower": "is lower at the fitted temperature",
    "higher": "is higher at the fitted temperature",
    "cannot tell": "cannot be said to change",
}


@put_in_words.register
def _(conclusion: CalibrationConclusion) -> WordedConclusion:
    winner = conclusion.champion
    chosen = conclusion.finalists[winner]
    parts = []
    for name, measure in chosen.measures.items():
        called, _, unit = SHOWN[name]
        before, after = (scaled(one.value, one.unit) for one in (measure.before, measure.after))
        change = f"{after} {unit}, not {before} (change {span(measure.change, ' to ')})"
        parts.append(f"its {called} {SAYS[measure.verdict]}: {change}")
    said = "; ".join(parts)
    lines = [
        f"A network that is served answers softmax(logits / T). T is fitted on the samples that "
        f"stopped its training early (for {winner} {chosen.temperature:.2f}, from "
        f"{chosen.lowest:.2f} to {chosen.highest:.2f}) and judged on the fold's other samples. The "
        "most likely class, and so the accuracy, stays.",
        "ECE: how far the share right is from the confidence, in 15 bins of equal width, over the "
        "answers of all its networks together: where one is too sure and another not enough, that "
        "cancels, and the NLL counts it. Intervals of the change: 95 %, for other samples and "
        "other seeds, crossed, each for itself.",
    ]
    columns = ["finalist", "T", "", "T = 1", "at T", "change", "so"]
    rows = [
        [
            label,
            f"{one.temperature:.2f}",
            SHOWN[name][1],
            *(scaled(figure.value, figure.unit) for figure in (measure.before, measure.after)),
            span(measure.change),
            measure.verdict,
        ]
        for label, one in conclusion.finalists.items()
        for name, measure in one.measures.items()
    ]
    title = "Are its probabilities right?"
    return WordedConclusion("calibration", title, f"{winner}: {said}.", columns, rows, lines)


@put_in_words.register
def _(found: EnsembleConclusion) -> WordedConclusion:
    best, ahead = found.best, found.ahead_by
    named = "" if ahead.unit == "share" else f"{fresh_name(found.metric)} "
    rows = [
        [
            f"trial {one.trial}",
            f"{100 * one.weight:.0f} %" if one.weight else "",
            format_metric(one.searched),
            _times(one.parameters, best.parameters),
            format_seconds(one.train_seconds) if one.train_seconds else "",
        ]
        for one in (*found.members, *([] if best.weight else [best]))
    ]
    says = "pays" if found.pays else "may pay" if ahead.high > found.margin else "does not pay"
    alone = figure(found.best_accuracy.value, ahead.unit, decimals(found.best_accuracy))
    lead = (
        f"An ensemble {says}: {counted(len(found.members), 'trial')} of the search, "
        f"{named}{figure(found.accuracy.value, ahead.unit, decimals(found.accuracy))} against "
        f"{alone} of the best trial ({best.trial}), {lead_with_ends(ahead)}, at {found.times:.1f} "
        "times the size and about that time for an answer."
    )
    margin = scaled(found.margin, ahead.unit) + (" points" if ahead.unit == "share" else "")
    lines = [
        f"The best trial is that by {found.selected_by}. Members are selected from the best "
        f"{found.candidates}: the trial joins that improves the mean of all predictions the most, "
        "by log loss if these are probabilities, in six bags of as many samples (Caruana et al. "
        "2004).",
        f"Cross-fitted on {counted(found.samples, 'validation sample')}: selected on one half, "
        "scored on the other, as the best trial is. The interval is for other samples, in pairs. "
        f"It pays if it is better, and by more than the margin ({margin}). Trainings that stopped "
        "by these samples look a little too good, ensemble and best trial alike.",
    ]
    columns = ["member", "weight", "in the search", "size", "trained in"]
    note = "Nothing was trained, and no test set read."
    return WordedConclusion("ensemble", "An ensemble of trials", lead, columns, rows, lines, note)


def _times(whole: float, one: float) -> str:
    return f"{whole / one:.1f}x" if one else ""


@put_in_words.register
def _(tested: TestConclusion) -> WordedConclusion:
    winner = tested.finalists[0]
    share = plus_minus(winner.accuracy)
    rows = []
    for one in tested.finalists:
        gap = one.champion_ahead_by
        ahead = ["", ""] if gap is None else [_signed(gap), span(gap)]
        rows.append([one.role, one.finalist, plus_minus(one.accuracy), *ahead])
    if tested.refit_accuracy is not None:
        refit = _scored(tested.refit_accuracy, winner.accuracy)
        rows.append(["refit", f"{winner.finalist}, refitted", refit, "", ""])
    lines = []
    if files := tested.files:
        is_refit = tested.refit_accuracy is not None
        file = f"{winner.finalist}, trained on everything else," if is_refit else winner.finalist
        lines.append(
            f"The champion's file against the baseline's of fold 0: {file} alone is right on "
            f"{files.only_champion} samples, {files.baseline} alone on {files.only_baseline} "
            f"(McNemar's exact test, p = {files.p_value:.2g}); these two files, not the "
            "configurations."
        )
    evaluation = tested.evaluation
    because = f", because: {evaluation.reason}" if evaluation.reason else ""
    allowed = "for new samples and new seeds"
    if not tested.is_by_sample:
        metric = fresh_name(tested.metric)
        allowed = f"for new seeds and folds, not for new samples: {metric} is one number a training"
    lines += [
        f"Means over {tested.trainings} trainings each and {tested.samples} samples; intervals are "
        f"{allowed}, all differences at once.",
        f"Evaluation {evaluation.number} of {evaluation.of} of test set {evaluation.digest[:8]} "
        f"{_where(evaluation.on_machine)}{because}.",
    ]
    is_share = winner.accuracy.unit == "share"
    on_test = "test, %" if is_share else "test"
    columns = ["", "finalist", on_test, "champion ahead by", "95 % interval"]
    note = f"The list of models was frozen on {evaluation.day}, before anything was scored."
    if evaluation.number > 1:
        earlier = counted(evaluation.number - 1, "evaluation")
        note += f" It was made after {earlier} could have been seen."
    said = f"recognises {share} %" if is_share else f"has {fresh_name(tested.metric)} {share}"
    lead = f"On the test set {winner.finalist}, the champion, {said}."
    title = f"The test set, {_ordinal(evaluation)}"
    return WordedConclusion(f"tested-{_name(evaluation)}", title, lead, columns, rows, lines, note)


def _where(on_machine: bool) -> str:
    return "on this machine" if on_machine else "in this home"


def _ordinal(evaluation: AtEvaluation) -> str:
    return (
        "read once" if evaluation.of == 1 else f"evaluation {evaluation.number} of {evaluation.of}"
    )


def _name(evaluation: AtEvaluation) -> str:
    return f"{evaluation.digest[:8]}-{evaluation.number}"
