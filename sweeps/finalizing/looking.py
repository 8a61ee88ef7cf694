"""What a confirmation has said of a sweep, for those who only look: nothing is run or written."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

from sweeps.finalizing.confirming import Confirmation, confirmations_of, judge
from sweeps.finalizing.finalists import (
    BLOCK,
    FINALIST,
    choose_finalists,
    confirming_space,
)
from sweeps.finalizing.verdict import Standing, Verdict
from sweeps.home import Home
from sweeps.records import SweepInfo
from sweeps.report.blocks import Block, Section, Table, Text
from sweeps.report.data import SweepData
from sweeps.report.sections import report_sections


@dataclass(frozen=True)
class Confirmed:
    """A confirmation that has a verdict.

    Attributes:
        name: Of its sweep.
        verdict: What it says.
    """

    name: str
    verdict: Verdict


def find_confirmed(home: Home, info: SweepInfo) -> Confirmed | None:
    """Return the newest confirmation of a sweep that has a verdict; None without one."""
    files = sorted(confirmations_of(home, info), key=lambda f: f.stat().st_mtime, reverse=True)
    records = home.store(info.id).read_all()
    for file in files:
        sweep = home.find(file.stem)
        if sweep is None:
            continue
        text = file.read_text(encoding="utf-8")
        document = yaml.safe_load(text)
        labels = list(document["parameters"][FINALIST]["choices"])
        known = {f.label: f for f in choose_finalists(info, records, len(records))}
        blocks = int(document["parameters"][BLOCK]["high"]) + 1
        finalists = [known[label] for label in labels if label in known]
        same = finalists and confirming_space(document["experiment"], finalists, blocks) == text
        if not same:
            continue  # of another sweep that had this name
        confirmation = Confirmation(file.stem, file, finalists, blocks)
        verdict = judge(confirmation, home.store(sweep.id))
        if verdict is not None:
            return Confirmed(file.stem, verdict)
    return None


def sections_of(home: Home, data: SweepData) -> list[Section]:
    """Return the sections of a sweep's report, its confirmation after the verdict."""
    sections = report_sections(data)
    confirmed = find_confirmed(home, data.info)
    if confirmed is not None:
        sections.insert(1, confirmation_section(data.info.name, confirmed))
    return sections


def confirmation_section(name: str, confirmed: Confirmed) -> Section:
    """Return the section of a report that tells it."""
    verdict = confirmed.verdict
    cells = [
        [
            standing.finalist.label,
            f"{100 * standing.mean.value:.2f}",
            "{:.2f} to {:.2f}".format(*(100 * end for end in standing.mean.interval())),
            "" if (searched := standing.finalist.searched) is None else f"{100 * searched:.2f}",
            *_behind(standing),
            standing.word,
        ]
        for standing in verdict.standings
    ]
    first = ["finalist", "accuracy, %", "95 % interval", "in the search, %"]
    columns = [*first, "behind, points", "interval", "so"]
    verdict_line, *others = sentences(name, verdict)
    blocks: list[Block] = [Text(verdict_line, "lead"), Table(columns, cells), *map(Text, others)]
    blocks.append(Text(f"From the sweep {confirmed.name}, made by `sweeps finalize`.", "note"))
    return Section("confirmed", "Confirmed on fresh blocks", blocks)


def _behind(standing: Standing) -> list[str]:
    if standing.behind is None:
        return ["", ""]
    return [
        f"{100 * standing.behind.value:.2f}",
        f"{100 * standing.low:+.2f} to {100 * standing.high:+.2f}",
    ]


def sentences(name: str, verdict: Verdict) -> list[str]:
    """Return the verdict in words; accuracies in percent, differences in points."""
    leader = verdict.standings[0]
    label = leader.finalist.label
    lines = []
    if verdict.is_settled:
        lines.append(f"{label} is better than every other finalist of {name}.")
    else:
        among = ", ".join(s.finalist.label for s in verdict.may_be_best)
        lines.append(f"The best is one of: {among}.")
        lines += [_what_would_settle(s) for s in verdict.may_be_best[1:]]
    cheapest = verdict.recommended
    if cheapest is not leader:
        lines.append(
            f"{cheapest.finalist.label} is as good within half a point, and the cheapest: take it."
        )
    favourite = next(s for s in verdict.standings if s.finalist.place == 1)
    searched, fresh = favourite.finalist.searched, 100 * favourite.mean.value
    if searched is not None:
        lucky = 100 * searched - fresh
        lines.append(
            f"The best of the search, {favourite.finalist.label}, scored {100 * searched:.2f} "
            f"there and {fresh:.2f} on fresh blocks: {lucky:+.2f} points were the winner's luck."
        )
    lines.append(
        f"From {verdict.blocks} blocks, for new images and new seeds at this size of training set; "
        "other training sets are another question."
    )
    return lines


def _what_would_settle(standing: Standing) -> str:
    label = standing.finalist.label
    if standing.word == "equivalent":
        return f"{label} is equivalent: within half a point."
    if standing.more_blocks is None:
        return f"{label}: more blocks of these images alone will not settle it."
    return f"{label}: about {standing.more_blocks} blocks might settle it (--blocks)."
