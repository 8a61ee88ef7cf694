"""The paragraph for a paper: how a sweep was searched and confirmed, from what was recorded.

It says what a reader needs to judge the figures (estimand, numbers, seeds, budgets, selection,
evaluations of the test set). Every sentence comes from a conclusion, or from what was fixed when
the sweep was created; where nothing was recorded, nothing is said.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sweeps.errors import UsageError
from sweeps.interval import Interval
from sweeps.records import SweepInfo, data_in_words
from sweeps.records.conclusions import (
    CalibrationConclusion,
    Conclusion,
    SelectionBiasConclusion,
    TestConclusion,
    VerdictConclusion,
    newest,
)
from sweeps.records.sweep import has_folds
from sweeps.wording import (
    counted,
    decimals,
    figure,
    fresh_name,
    gain,
    in_a_row,
    lead_with_ends,
    printable,
    scaled,
    span,
    unsigned_span,
)

_FOLDS_A_REPEAT: Final = 4
_LATEX: Final[Mapping[str, str]] = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip

_ERRORS: Final = {
    "samples and seeds": "are crossed by samples and folds (Owen 2007), those of differences with "
    "n < 4000 samples times 1 + 0.1 ln(4000 / n), for what another pool would train otherwise",
    "folds": "allow for the samples that trainings share (Nadeau and Bengio 2003)",
    "rolling origin": "allow for the samples that trainings share (Nadeau and Bengio 2003)",
}


def methods(info: SweepInfo, conclusions: Sequence[Conclusion]) -> str:
    """Return the paragraph as plain text, without line breaks.

    Raises:
        UsageError: The sweep is not confirmed, or by a version that kept no numbers.
    """
    verdict = newest(conclusions, VerdictConclusion)
    if verdict is None:
        first = f"; first: `sweeps confirm {shlex.quote(info.name)}`"
        raise UsageError(
            f"--methods: sweep {info.name!r} has no confirmation in numbers, so that there is "
            f"nothing to state{first if has_folds(info.experiment, info.data) else ''}"
        )
    said = [*_search(info, verdict), *_confirmation(verdict), *results(verdict)]
    if (bias := newest(conclusions, SelectionBiasConclusion)) is not None:
        said.append(selection_bias(bias))
    if (calibrated := newest(conclusions, CalibrationConclusion)) is not None:
        own = calibrated.finalists[calibrated.champion]
        said.append(
            "Probabilities were calibrated by a temperature, which each training fitted on the "
            f"samples that stopped it (geometric mean {own.temperature:.2f})."
        )
    judged = verdict.judged
    if judged.sweeps > 1:
        said.append(
            f"By then the same samples had judged {counted(judged.finalists, 'finalist')} of "
            f"{judged.sweeps} sweeps, which no interval allows for."
        )
    said += _test(conclusions)
    return printable(" ".join(said))


def latex(text: str) -> str:
    """Return plain text as LaTeX: special characters escaped, no break before a percent sign."""
    escaped = "".join(_LATEX.get(character, character) for character in text)
    return re.sub(r"(?<=\d) \\%", r"\\,\\%", escaped)


def _search(info: SweepInfo, verdict: VerdictConclusion) -> Iterator[str]:
    data, fixed = info.data, info.fingerprint
    on = data_in_words(info.experiment, data, 12)
    chosen = [fixed.get(kind) for kind in ("sampler", "pruner")]
    sampler, pruner = (str(c.get("name", "")) if isinstance(c, Mapping) else "" for c in chosen)
    by = f" by {sampler}" if sampler else ""
    by += f" with the pruner {pruner}" if pruner not in {"", "none"} else ""
    seed = f" (seed {fixed['seed']})" if "seed" in fixed else ""
    yield (
        f"Hyperparameters of {info.experiment_name} on {on} were searched"
        f"{by}{seed}: {counted(verdict.trials, 'trial')}, each trained once and scored by "
        f"{info.metric} on one validation set."
    )
    if info.learned_from is not None:
        yield (
            "The first trials after the baselines were points that had been good on other data "
            f"(learned from {info.learned_from})."
        )


def _confirmation(verdict: VerdictConclusion) -> Iterator[str]:
    finalists, left = verdict.finalists, verdict.left_after
    baselines = len(verdict.baselines) + sum(one.is_baseline for one in left)
    best = finalists - baselines - (verdict.control is not None)
    kinds = [f"the best {counted(best, 'configuration')} of the search"]
    kinds += [counted(baselines, "baseline")] if baselines else []
    if verdict.control is not None:
        trials = counted(verdict.control_trials, "trial")
        kinds.append(f"the best of 1 random search of {trials}")
    folds, repeats = verdict.folds, verdict.folds // _FOLDS_A_REPEAT
    how = (
        f"{_FOLDS_A_REPEAT}-fold cross-validation, repeated {repeats} times with a new partition"
        if verdict.method != "rolling origin"
        else f"{_FOLDS_A_REPEAT} in a row, each after all samples that train it (rolling origin, "
        f"Tashman 2000), repeated {repeats} times with other origins"
    )
    yield (
        f"T{in_a_row(kinds)[1:]} were trained again on the same {folds} folds ({how} and new "
        "seeds, the same for all) of samples that had scored no trial."
        if not left
        else f"T{in_a_row(kinds)[1:]} were trained again on the same {left[0].folds} folds of "
        f"samples that had scored no trial; {who_went_on(verdict)} on {folds} folds ({how} and new "
        "seeds, the same for all)."
    )
    if left:
        names = in_a_row([one.finalist for one in left])
        yield f"Nothing is claimed of those left out after {left[0].folds} folds: {names}."
    if verdict.left_out:
        yield f"Left out by hand: {', '.join(verdict.left_out)}."
    lost = sum(one.diverged + one.failed for one in verdict.standings)
    if lost:
        yield (
            f"{lost} of {folds * len(verdict.standings)} trainings diverged or failed and count, "
            "by restored weights or as a constant prediction."
        )
    yield (
        f"The estimand is the {fresh_name(verdict.metric)} of a configuration on new samples of "
        "the same kind, when it is trained with a new seed on a training set of this size. "
        f"Intervals are 95 %; their errors {_ERRORS[verdict.method]}."
    )
    if verdict.looks:
        looks = in_a_row([str(look) for look in verdict.looks])
        yield (
            "Every finalist was compared with the best (one-sided max-t; Gupta 1965, Hsu 1984) at "
            f"{looks} folds, numbers that were fixed beforehand; each kind of claim is wrong in at "
            "most 5 of 100 confirmations, over all such looks together, in simulations of 4000 "
            "samples."
        )
    else:
        yield "With so few folds no finalist was called better or worse."


def who_went_on(verdict: VerdictConclusion) -> str:
    """Return which finalists were not left out after the first folds."""
    went_on = ["the best two there"]
    went_on += ["the best baseline"] if verdict.baselines else []
    went_on += ["the two that are compared with random trials"] if verdict.control else []
    return in_a_row(went_on)


def results(verdict: VerdictConclusion) -> Iterator[str]:
    """Yield which finalist is the best, if that is settled, its leads, and the figure to quote."""
    leader, taken = verdict.standings[0], verdict.champion
    trained = " that was trained on all folds" if verdict.left_after else ""
    if verdict.settled:
        yield f"{leader.finalist} is better than every other finalist of {verdict.sweep}{trained}."
    else:
        may = [one.finalist for one in verdict.standings if one.may_be_best]
        of = "Of those trained on all folds the best" if trained else "The best"
        yield f"{of} is one of {in_a_row(may)}."
    for one in verdict.baselines:
        if (lead := one.leader_ahead_by) is not None:
            yield f"{leader.finalist} against {one.finalist}: {lead_with_ends(lead)}."
    if taken != leader.finalist:
        yield f"{taken} is as good within {margin_of(verdict)}, and the cheapest."
    if verdict.kept is not verdict.taken:
        kept = verdict.kept
        yield (
            f"None was shown to be better than {kept.finalist}, which is kept; its "
            f"{fresh_name(verdict.metric)} is {_score(kept.accuracy)}."
        )
    else:
        own, bias = verdict.quotable, verdict.quotable_bias
        less = gain(replace(own, value=bias)).lstrip("+")
        why = f", corrected by {less} for its selection on these folds" if bias else ""
        score = _score(own)
        yield f"{taken} was chosen; its {fresh_name(verdict.metric)} is {score}{why}."


def _test(conclusions: Sequence[Conclusion]) -> Iterator[str]:
    tested = [one for one in conclusions if isinstance(one, TestConclusion)]
    if not tested:
        yield "The test set was not used."
    for one in tested:
        champion, at = one.finalists[0], one.evaluation
        why = f" (reason for evaluating again: {at.reason})" if at.reason else ""
        score = _score(champion.accuracy)
        found = f"recognised {score} of {one.samples} samples"
        if champion.accuracy.unit != "share":
            found = f"had {fresh_name(one.metric)} {score} on {one.samples} samples"
        yield (
            f"Test-set evaluation {at.number} of {at.of}{why}: {champion.finalist} {found}, "
            f"mean of {one.trainings} trainings; the models were fixed before."
        )
        for other in one.finalists[1:]:
            if other.champion_ahead_by is not None:
                yield f"Its lead over {other.finalist}: {lead_with_ends(other.champion_ahead_by)}."


def selection_bias(bias: SelectionBiasConclusion) -> str:
    """Return by how much the search's best was too good there."""
    unit, digits = bias.total.unit, decimals(bias.total)
    digits = 2 if unit == "share" else digits
    return (
        f"The best of the search, {bias.finalist}, scored {figure(bias.searched, unit, digits)} "
        f"there and {figure(bias.fresh, unit, digits)} on fresh folds: a selection bias of "
        f"{gain(bias.total)} ({span(bias.total, ' to ')})."
    )


def margin_of(verdict: VerdictConclusion) -> str:
    """Return the difference that does not matter."""
    is_share = verdict.standings[0].accuracy.unit == "share"
    return f"{scaled(verdict.margin)} points" if is_share else f"{verdict.margin:.3g}"


def _score(score: Interval) -> str:
    digits = 2 if score.unit == "share" else decimals(score)
    return f"{figure(score.value, score.unit, digits)} ({unsigned_span(score)})"
