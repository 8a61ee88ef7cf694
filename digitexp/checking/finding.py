"""What a rule says: a verdict, the figures it rests on, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "Verdict", "exit_code", "share"]

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one rule.

    Attributes:
        part: What was looked at.
        name: Of the rule, a few words.
        verdict: `ok`; `warn`: worth a look, results may be worse than they could be; `fail`:
            results mean nothing, or nothing was learned.
        seen: What was found, in figures.
        advice: What to do; empty when there is nothing to do.
        command: A command to try, complete; empty when none would help.
    """

    part: Literal["data", "model", "training", "advice"]
    name: str
    verdict: Verdict
    seen: str
    advice: str = ""
    command: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return asdict(self)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 if a rule failed, else 0; a warning alone is no failure."""
    return int(any(finding.verdict == "fail" for finding in findings))


def share(part: float, decimals: int = 1) -> str:
    """Return a share as a percentage, such as `93.1%`."""
    return f"{part:.{decimals}%}"
