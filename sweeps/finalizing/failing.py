"""Why trainings that failed leave something of a confirmation open for ever, and the ways out."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

from sweeps.finalizing.finalists import Finalist
from sweeps.finalizing.judging import FOLDS
from sweeps.home import Home
from sweeps.records import FINALIST, Record, SweepInfo
from sweeps.report.numbers import counted, first_line


def why_no_verdict(
    search: str,
    confirmation: str,
    records: Sequence[Record],
    finalists: Sequence[Finalist],
    *,
    is_whole: bool,
    more: int,
) -> str:
    """Return whose trainings leave a confirmation without a verdict, line by line.

    Args:
        search: Name of the sweep that is confirmed.
        confirmation: Name of the one that confirms it.
        records: Of that.
        finalists: Who takes part.
        is_whole: Whether every training has an outcome; else so many in a row failed that the rest
            was not begun.
        more: How many other configurations of the search could take part (`--top`).
    """
    lines = [
        f"no verdict, and the same command brings none: it takes {2 * FOLDS} blocks, in two whole "
        f"repeats, on which every finalist is trained ({confirmation})"
        if is_whole
        else f"no verdict: {confirmation} was ended, for its trainings failed one after another"
    ]
    retried, without = [], []
    for finalist in finalists:
        own = [r for r in _final(records) if r.params.get(FINALIST) == finalist.label]
        failed = [record.spec.slot for record in own if record.outcome == "failed"]
        retried += failed
        if any(record.outcome != "complete" for record in own):
            without.append(finalist)
            lines.append(f"  {finalist.label}: {_count(own)}")
    lines.append("ways out:")
    if retried:
        numbers = " ".join(map(str, sorted(retried)))
        lines.append(
            f"  mend the cause, then: sweeps retry {shlex.quote(confirmation)} {numbers}, and the "
            "same command"
        )
    searched = [finalist for finalist in without if not finalist.is_control]
    left = len(finalists) - len(searched)
    added = max(0, 2 - left)
    if searched and added <= more:
        top = f" --top {len(finalists) + added}" if added else ""
        numbers = " ".join(f"--leave-out {finalist.slot}" for finalist in searched)
        lines.append(
            f"  leave {'it' if len(searched) == 1 else 'them'} out: sweeps finalize "
            f"{shlex.quote(search)}{top} {numbers}"
        )
    if len(searched) < len(without):
        lines.append("  leave the random trials out: no --control")
    return "\n".join(lines)


def why_no_control(home: Home, control: SweepInfo) -> str:
    """Return why none of the random trials can be confirmed."""
    records = home.store(control.id).read_all()
    return (
        f"no verdict: of the random trials ({control.name}) {_count(_final(records))}; mend the "
        f"cause, then: sweeps retry {shlex.quote(control.name)}; or leave --control out"
    )


def why_no_refit(home: Home, refit: SweepInfo, winner: str) -> str:
    """Return why the winner is not there as trained on everything."""
    records = home.store(refit.id).read_all()
    return (
        f"the verdict stands, but {winner} is not there as trained on everything: "
        f"{_count(_final(records))}; mend the cause, then: sweeps retry {shlex.quote(refit.name)}, "
        "and the same command; or leave --refit out"
    )


def why_no_parts(home: Home, again: Sequence[Record]) -> str:
    """Return why the luck of the search's best is told without its parts."""
    luck = home.store(again[0].spec.sweep).info()
    name = luck.name if luck else again[0].spec.sweep
    return (
        f"Its parts are not known: on the search's own split {_count(_final(again))} ({name}). "
        f"Mend the cause, then: sweeps retry {shlex.quote(name)}, and the same command."
    )


def _final(records: Sequence[Record]) -> list[Record]:
    """Return the last attempts of the trials that have an outcome."""
    return [record for record in records if record.ends_slot]


def _count(records: Sequence[Record]) -> str:
    """Return how many trainings came to nothing, and by what."""
    counts = Counter(str(record.outcome) for record in records)
    parts = [f"{counts[word]} {word}" for word in ("diverged", "pruned") if counts[word]]
    failed = [record for record in records if record.outcome == "failed"]
    if failed:
        cause = first_line(failed[0].error or failed[0].reason or "")
        parts.append(f"{len(failed)} failed, the first with: {cause}")
    return f"of {counted(len(records), 'training')} {', '.join(parts)}"
