"""The answer of a confirmation in a few sentences: which configuration to take, and why.

It is made of the conclusions, which are numbers, for the terminal, `--json` and a report alike.
"""

from __future__ import annotations

import math
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sweeps.interval import Interval
from sweeps.records.conclusions import (
    AtEvaluation,
    Conclusion,
    ConfirmedStanding,
    EnsembleConclusion,
    SelectionBiasConclusion,
    TestConclusion,
    VerdictConclusion,
    VerificationConclusion,
    newest,
)
from sweeps.render.verdict import with_hints
from sweeps.wording import (
    counted,
    decimals,
    figure,
    format_value,
    fresh_name,
    gain,
    in_a_row,
    lead_in_words,
    percent,
    scaled,
    span,
    unsigned_span,
)

if TYPE_CHECKING:
    from search_spaces.parameters import Value

WIDTH: Final = 80
MOST_LINES: Final = 12
"""So many lines an answer has with its commands, unless its sentences alone take more."""
_PARAMETER_LINES: Final = 2
_MOST_NAMES: Final = 4
_COUNTS: Final = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SMALL: Final = 0.01


def answer(
    conclusions: Sequence[Conclusion],
    params: Mapping[int, Mapping[str, Value]] | None = None,
    *,
    is_served: bool = False,
) -> list[str]:
    """Return the answer, a sentence or two each; empty if there is no verdict.

    They come in the order in which one asks: what to take and by how much it beats the baseline,
    its parameters, the figure to quote, the figure of the search, whether it is the best of all
    finalists, whether an ensemble pays, where the champion is, what all that comes from.

    Args:
        conclusions: The conclusions about a sweep.
        params: Parameters of the trials of the sweep, by trial; those of the choice are named.
        is_served: Whether the experiment has its champion served, so that MLflow has it.
    """
    verdict = newest(conclusions, VerdictConclusion)
    if verdict is None:
        return []
    said = _VerdictInWords(verdict)
    bias = newest(conclusions, SelectionBiasConclusion)
    lines = said.choice()
    lines += said.parameters(params or {})
    lines.append(said.figure(on_test_set(verdict, conclusions)))
    if any(one.diverged or one.failed or one.outlying_folds for one in verdict.standings):
        lines += rare_failures(verdict)
    lines += said.search(bias)
    lines.append(said.order())
    lines += _ensemble(newest(conclusions, EnsembleConclusion), verdict.sweep)
    verification = newest(conclusions, VerificationConclusion)
    lines.append(said.champion(verification, is_served=is_served))
    return [*lines, said.source()]


def verification_in_words(verification: VerificationConclusion) -> str:
    """Return in a sentence whether the champion's model answers as it was recorded."""
    reason = verification.reason.rstrip(".:")
    if verification.found == "unchecked":
        return f"The champion's model was not checked: {reason}."
    if verification.found == "unverified":
        return (
            "The champion's model is unverified, and not exported: rebuilt from its record, "
            f"{reason}."
        )
    off = f" (at most {verification.difference:.2g} off)" if verification.difference else ""
    unsaved = f"; it could not be saved: {reason}" if reason else ""
    return (
        "The champion's model is verified: rebuilt from its record, its answers to "
        f"{counted(verification.samples, 'sample')} are those of the training{off}{unsaved}."
    )


def rare_failures(verdict: VerdictConclusion) -> list[str]:
    """Return what the trainings of the champion cannot show: that some fail.

    None of n failed with 5 % if a share of 1 - 0.05^(1/n) does: about 3 / n, the rule of three.
    Nothing is said if some of them did, which then count.
    """
    taken, n = verdict.taken, verdict.folds
    if taken.diverged or taken.failed or taken.outlying_folds:
        return []
    most = percent(1 - 0.05 ** (1 / n), 0)
    said = f"None of the {n} trainings of {taken.finalist} failed; up to {most} may"
    leads = [one.leader_ahead_by.value for one in verdict.baselines if one.leader_ahead_by]
    lead = min(leads, default=0.0)
    if taken.accuracy.unit != "share" or not 0 < lead < taken.accuracy.value:
        return [f"{said}."]
    share = lead / taken.accuracy.value
    needed = math.ceil(math.log(0.05) / math.log1p(-share))
    return [
        f"{said}, and if {percent(share, 1)} failed altogether the lead over the baseline was "
        f"gone: {needed} trainings without a failure rule that out."
    ]


def in_short(conclusions: Sequence[Conclusion]) -> list[str]:
    """Return of the answer what to take and the figure to quote; empty if there is no verdict."""
    verdict = newest(conclusions, VerdictConclusion)
    if verdict is None:
        return []
    said = _VerdictInWords(verdict)
    return [*said.choice(), said.figure(on_test_set(verdict, conclusions))]


def with_commands(
    sentences: Sequence[str], commands: Mapping[str, str], after: str = ""
) -> list[str]:
    """Return an answer as lines of a terminal: sentences, then commands, each with a hint.

    Where there is no room for all commands, the first ones stay, one at least. Below them stand, as
    far as there is room, what to do `after`, and the last sentence, which says what it comes from.
    """
    lines = in_lines(sentences[:-1])
    room = max(MOST_LINES - len(lines), 1)
    shown = with_hints(dict(list(commands.items())[:room]), WIDTH)
    lines += [command + hint for command, hint in shown]
    for more in (after, *sentences[-1:]):
        own = in_lines([more]) if more else []
        lines += own if len(lines) + len(own) <= MOST_LINES else []
    return lines


def in_lines(sentences: Sequence[str], width: int = WIDTH, indent: str = "  ") -> list[str]:
    """Return sentences as lines of a terminal; what does not fit goes on, indented, below."""
    return [
        line
        for sentence in sentences
        for line in textwrap.wrap(
            sentence, width, subsequent_indent=indent, break_long_words=False,
            break_on_hyphens=False, drop_whitespace=True,
        )
    ]  # fmt: skip


def on_test_set(
    verdict: VerdictConclusion, conclusions: Sequence[Conclusion]
) -> tuple[Interval, AtEvaluation] | None:
    """Return the score of the finalist to work with on the test set; None if it was not read.

    It is then the figure to quote.
    """
    tested = newest(conclusions, TestConclusion)
    if tested is None or tested.metric != verdict.metric:
        return None
    found = (one for one in tested.finalists if one.finalist == verdict.kept.finalist)
    own = next(found, None)
    return None if own is None else (own.accuracy, tested.evaluation)


class _VerdictInWords:
    """A verdict in sentences."""

    def __init__(self, verdict: VerdictConclusion) -> None:
        self._verdict = verdict
        self._leader = verdict.standings[0]
        self._baselines = verdict.baselines
        self._take, self._kept = verdict.taken, verdict.kept

    @property
    def _named(self) -> str:
        """The name of the metric before a figure; nothing before a percentage."""
        is_share = self._leader.accuracy.unit == "share"
        return "" if is_share else f"{fresh_name(self._verdict.metric)} "

    def _name(self, standing: ConfirmedStanding, own: str = "the") -> str:
        is_only = standing.is_baseline and len(self._baselines) == 1
        return f"{own} baseline" if is_only else standing.finalist

    def choice(self) -> list[str]:
        leader, take = self._leader, self._take
        if not self._baselines:
            mean = f"{self._named}{_figure(leader.accuracy)} on fresh folds"
            if take is leader:
                return [f"Take {take.finalist}: {mean}; there is no baseline to beat."]
            return [
                f"Take {take.finalist}: as good as the leader, {leader.finalist} ({mean}), and "
                "smaller; there is no baseline to beat."
            ]
        if leader.is_baseline:
            return self._keep_the_leader()
        # The baseline that the leader beats by the least.
        leads = {one.finalist: one.leader_ahead_by for one in self._baselines}
        lows = {name: lead.low if lead else 0.0 for name, lead in leads.items()}
        near = min(self._baselines, key=lambda one: lows[one.finalist])
        lead = near.leader_ahead_by
        assert lead is not None
        over = self._name(near, "your")
        if self._verdict.is_early or not self._verdict.beats_baselines:
            return [self._undecided(near, lead)]
        of = f" in {self._named.strip()}" if self._named else ""
        by = f"{_ahead(lead, over)}{of} on fresh folds ({_ends(lead)})"
        if take is leader:
            return [f"Take {take.finalist}: {by}."]
        return [
            f"Take {take.finalist}: as good as the leader, {leader.finalist} ({by}), and smaller."
        ]

    def _undecided(self, near: ConfirmedStanding, lead: Interval) -> str:
        over, leader = self._name(near, "your"), self._leader.finalist
        by = _ahead(lead)
        if self._verdict.is_early:
            folds, by = self._verdict.folds, _ahead(lead, over)
            return f"No verdict on {folds} folds: {leader} is {by} ({_ends(lead)})."
        yet = "" if near.verdict == "equivalent" else " yet"
        return (
            f"No winner{yet}: nothing beats {over} beyond luck ({leader}: {by}, {_ends(lead)}). "
            f"Keep {self._name(self._kept)}."
        )

    def _keep_the_leader(self) -> list[str]:
        """Return that nothing beats the baseline, where a baseline leads."""
        leader, take = self._leader, self._take
        found = next((one for one in self._verdict.standings if not one.is_baseline), None)
        name = self._name(leader, "your")
        behind = found.leader_ahead_by if found else None
        if found is None or behind is None:
            return [f"Keep {name}: no other configuration was confirmed."]
        by = f"{_ahead(-behind)}, {_ends(-behind)}"
        if take is leader or take.is_baseline:
            return [f"Keep {name}: nothing beats it (best found: {found.finalist}, {by})."]
        return [f"Nothing beats {name}, but {take.finalist} is as good, and smaller: take it."]

    def parameters(self, params: Mapping[int, Mapping[str, Value]]) -> list[str]:
        if self._kept.is_control:
            return []  # its trial is one of another sweep
        chosen = params.get(self._kept.trial, {})
        if not chosen:
            return []
        parts = [f"{name}={format_value(value)}" for name, value in chosen.items()]
        for shown in range(len(parts), 0, -1):
            more = f", and {len(parts) - shown} more" if shown < len(parts) else ""
            line = f"  {', '.join(parts[:shown])}{more}"
            if len(in_lines([line])) <= _PARAMETER_LINES:
                break
        return [line]

    def figure(self, tested: tuple[Interval, AtEvaluation] | None) -> str:
        """Return the figure to quote: that of the test set if it was read, else of fresh folds."""
        kept, bias = self._kept, self._verdict.quotable_bias
        on_folds = self._verdict.figure
        if tested is not None:
            score, at = tested
            # Samples of both are new, so that their errors add up.
            allowed = math.hypot(score.half, on_folds.half)
            agrees = abs(score.value - on_folds.value) <= allowed
            return (
                f"Quote {self._named}{self._with_ends(score)}, on the test set (evaluation "
                f"{at.number} of {at.of}); the folds' {_figure(on_folds)} "
                f"{'agrees' if agrees else 'does not agree'}."
            )
        quote = f"Quote {self._named}{self._with_ends(on_folds)}"
        if kept is not self._take:
            return f"{quote} for {self._name(kept)}, on fresh folds."
        is_share = on_folds.unit == "share"
        digits = (1 if bias >= 0.0005 else 2) if is_share else decimals(on_folds)
        less = scaled(bias, on_folds.unit, digits=digits)
        unit = " points" if is_share else ""
        why = f", corrected by {less}{unit} for being picked" if less.strip("0.") else ""
        return f"{quote}{why if bias > 0 else ''}."

    def _with_ends(self, score: Interval) -> str:
        """Write a score with its interval: `94.6 % (93.9 to 95.2)`."""
        ends = unsigned_span(score, _decimals(score))
        return f"{_figure(score)} ({ends})"

    def search(self, bias: SelectionBiasConclusion | None) -> list[str]:
        """Return the figure that the search claimed, and how much of it was luck."""
        if bias is None:
            return []
        total = bias.total
        digits = _digits(total)
        searched = replace(total, value=bias.searched)  # only for its unit and decimals
        score = f"Not the search's {_figure(searched)} ({bias.finalist}):"
        if total.low > 0:
            ends = unsigned_span(total, digits)
            return [f"{score} {gain(total, digits).lstrip('+')} ({ends}) were luck."]
        if total.high < 0:
            return [f"{score} on fresh folds it has {_ahead(-total)}."]
        if total.value <= 0:
            return [f"{score} no luck is seen in it ({gain(total, digits)}, {_ends(total)})."]
        return [f"{score} {gain(total, digits)} ({_ends(total)}) may be luck."]

    def order(self) -> str:
        """Return whether the leader is the best of the finalists, and who else may be."""
        verdict, leader = self._verdict, self._leader
        notes = []
        if verdict.folds < verdict.folds_asked:
            notes.append(f"on {verdict.folds} of {verdict.folds_asked} folds")
        if verdict.left_out:
            notes.append(f"without {_listed(verdict.left_out)}")
        of = _counted(len(verdict.standings))
        if verdict.left_after:
            of += f" left after {verdict.left_after[0].folds} folds"
        question = f"{', '.join([f'Best of the {of}', *notes])}?"
        if verdict.is_early:
            return f"{question} Too few folds to say: {self._name(leader)} leads."
        if verdict.settled:
            chance = _whole_percent(leader.chance_best)
            best = f"{self._name(leader)} is better than every other one (chance {chance})"
            return f"{question} Yes: {best}."
        likely = [one for one in verdict.standings if one.chance_best >= _SMALL]
        rest = [self._name(one) for one in verdict.standings if one.chance_best < _SMALL]
        said = ", ".join(f"{self._name(one)} {_whole_percent(one.chance_best)}" for one in likely)
        said += f"; {_listed(rest)} under {_whole_percent(_SMALL)}" if rest else ""
        return f"{question} Not settled; chance of each: {said}."

    def champion(self, verification: VerificationConclusion | None, *, is_served: bool) -> str:
        verdict, take = self._verdict, self._take
        where = "Champion in MLflow" if is_served else "Champion"
        said = f"{where}: {self._name(take)}"
        if take is not self._kept:
            said += ", though it is not proven better"
        if verdict.refit:
            said += f", trained on all but the test set ({verdict.refit})"
        if verification is None:
            return f"{said}."
        if verification.found == "verified":
            return f"{said}, verified (rebuilt, it answers as recorded)."
        return f"{said}. {verification_in_words(verification)}"

    def source(self) -> str:
        """Return what all this comes from, and whether the data served several sweeps."""
        verdict, judged = self._verdict, self._verdict.judged
        said = f"From {verdict.folds} folds x {len(verdict.standings)} finalists"
        if verdict.left_after:
            said += f", of {verdict.finalists} on the first {verdict.left_after[0].folds}"
        said += "; 95 % intervals"
        if judged.sweeps > 1:
            finalists, sweeps = judged.finalists, judged.sweeps
            return f"{said}. These samples judged {finalists} finalists of {sweeps} sweeps."
        of = "for new samples and seeds"
        if verdict.method == "folds":
            of = "one number per fold, variance corrected"
        elif verdict.method == "rolling origin":
            of = "trained on the past of each fold, variance corrected"
        return f"{said}, {of}."


def _ensemble(found: EnsembleConclusion | None, sweep: str) -> list[str]:
    """Return that an ensemble is better, by more than the margin; nothing otherwise."""
    if found is None or not found.pays:
        return []
    ahead = found.ahead_by
    by = f"{_ahead(ahead, f'trial {found.best.trial}')} ({_ends(ahead)})"
    who = _counted(len(found.members))
    return [
        f"{who[:1].upper()}{who[1:]} trials as an ensemble: {by} in validation, at "
        f"{found.times:.1f} times size and time: "
        f"`sweeps export {shlex.quote(sweep)} DIR --ensemble`."
    ]


def next_in_words(
    name: str, *, trials: int, gain: Interval | None, margin: float, folds: int | None
) -> str:
    """Return, after an answer, whether more trials or folds pay; empty if that is not known.

    Args:
        name: Name of the sweep.
        trials: So many more trials.
        gain: By how much they are expected to raise the score on fresh folds; None: not known.
        margin: A gain that does not matter.
        folds: The folds, in all, that settle the verdict with 80 %; None for no number.
    """
    said = []
    if gain is not None:
        digits = 2 if gain.unit == "share" else decimals(gain)
        enough = scaled(margin, gain.unit, digits=digits)
        enough += " points" if gain.unit == "share" else ""
        pays = gain.value >= margin
        how, go = ("the margin or more", "Go on") if pays else ("less than the margin", "Stop")
        said.append(f"{go} searching: {trials} more trials are expected to bring {how} ({enough}).")
    if folds is not None:
        said.append(
            f"`sweeps confirm {shlex.quote(name)} --folds {folds}` settles which of those on "
            "all folds is the best, in 8 of 10 cases."
        )
    return " ".join(said)


def _counted(number: int) -> str:
    return _COUNTS[number] if number < len(_COUNTS) else str(number)


def _listed(names: Sequence[str]) -> str:
    if len(names) > _MOST_NAMES:
        names = [*names[: _MOST_NAMES - 1], f"{len(names) - _MOST_NAMES + 1} more"]
    return in_a_row(names)


def _ahead(lead: Interval, than: str = "") -> str:
    """Write a lead: `+0.5 points over your baseline`; of numbers `0.031 better than it`."""
    said = lead_in_words(lead, _digits(lead))
    joint = "over" if lead.unit == "share" else "than"
    return f"{said} {joint} {than}" if than else said


def _digits(difference: Interval) -> int | None:
    """Return the decimals that a difference needs; of points two if it is a small one."""
    if difference.unit != "share":
        return decimals(difference)
    return 1 if max(abs(end) for end in difference.ends) >= 0.005 else 2


def _ends(difference: Interval) -> str:
    return span(difference, " to ", digits=_digits(difference))


def _whole_percent(chance: float) -> str:
    """Write a chance; one near certainty is never rounded to it."""
    return "over 99 %" if chance > 0.99 else percent(chance, 0)


def _figure(score: Interval) -> str:
    return figure(score.value, score.unit, _decimals(score))


def _decimals(score: Interval) -> int | None:
    """Return the decimals of a score; of a percentage two where nearly all or nothing is right."""
    if score.unit != "share":
        return decimals(score)
    return 1 if 0.02 <= score.value <= 0.98 else 2
