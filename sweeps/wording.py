"""Writes numbers, durations and messages for people; files keep full precision."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sweeps.interval import Interval

if TYPE_CHECKING:
    from search_spaces.parameters import Value


_EXACT: Final = 2**53
"""Up to here every whole number is a float."""


def plain_numbers(value: Any) -> Any:
    """Return a value with its numbers as files have them: whole ones as int, NaN as None."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) <= _EXACT else value
    if isinstance(value, Mapping):
        return {key: plain_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_numbers(item) for item in value]
    return value


def format_value(value: Value) -> str:
    """Write a parameter's value: `1.23e-03`, `0.25`, `64`, `true`, `relu`, `null`; printable."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return printable(str(value))
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.4g}" if 0.01 <= abs(value) < 1e4 else f"{value:.2e}"


def format_metric(value: float) -> str:
    """Write a metric: four decimals (`0.9320`), or none (`23`), or an exponent (`1.234e-05`)."""
    if not math.isfinite(value):
        return f"{value:g}"
    if isinstance(value, int) or (value.is_integer() and abs(value) > 1):
        return f"{value:.0f}"
    return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 1e4 else f"{value:.3e}"


def format_params(params: Mapping[str, Value], *, separator: str = ", ") -> str:
    """Write parameters as `name=value`, in the order of the mapping."""
    return separator.join(f"{name}={format_value(value)}" for name, value in params.items())


def format_seconds(seconds: float) -> str:
    """Write a duration: `4.1 s`, `42 s`, `3 min 02 s`, `1 h 05 min`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


_ROUGH: Final = (
    (12, "a few seconds"), (45, "about half a minute"), (90, "about a minute"),
)  # fmt: skip
"""By the seconds below which they hold."""


def rough(count: int) -> int:
    """Return an estimated number of things with two digits that count: 140 for 136."""
    return round(count, min(0, 2 - len(str(count))))


def format_roughly(seconds: float) -> str:
    """Write an estimate that says no more than it knows: `about half a minute`, `about 2 hours`."""
    for end, words in _ROUGH:
        if seconds < end:
            return words
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 55:
        return f"about {round(minutes) if minutes < 10 else 5 * round(minutes / 5)} minutes"
    if hours < 1.5:
        return "about an hour"
    return f"about {round(hours)} hours" if hours < 36 else f"about {round(hours / 24)} days"


def spans(numbers: Iterable[int]) -> str:
    """Write trial numbers: `trial 3`, `trials 0 to 4, 7`."""
    groups: list[list[int]] = []
    for number in sorted(numbers):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    written = [f"{g[0]} to {g[-1]}" if len(g) > 2 else ", ".join(map(str, g)) for g in groups]
    return f"trial{'s' * (sum(map(len, groups)) != 1)} {', '.join(written)}"


def is_share(metric: str) -> bool:
    """Whether a metric is a share of samples, by its name: an accuracy or a recall."""
    return "accuracy" in metric or metric.startswith("recall")


# A difference that is shown says who leads: plus, or `better`, is better, whichever way a metric
# goes. Only `format_difference` subtracts plainly, below a heading that says what from what.


def fresh_name(metric: str) -> str:
    """Return how a metric is called where fresh folds or a test set score: `mae`.

    There the names of the search mislead: `best_val_mae` is that of its validation set.
    """
    return re.sub("^(best_)?val_", "", metric) or metric


def format_difference(metric: str, value: float, reference: float) -> str:
    """Write `value - reference` with its sign; in percentage points for shares such as accuracies.

    A share is recognized by its name (`accuracy`, `recall`) and its range, 0 to 1. So an experiment
    that counts accuracy in percent gets a plain difference.
    """
    difference = value - reference
    if is_share(metric) and 0 <= value <= 1 and 0 <= reference <= 1:
        return f"{scaled(difference, sign='+')} points"
    return f"{'+' if difference >= 0 else '-'}{format_metric(abs(difference))}"


def format_lead(metric: str, direction: str, value: float, reference: float) -> str:
    """Write by how much a value is better: `+1.20 points`, of other numbers `0.0310 better`."""
    if direction == "minimize":
        value, reference = reference, value
    lead = format_difference(metric, value, reference)
    if lead.endswith(" points"):
        return lead
    return f"{lead[1:]} {'better' if lead.startswith('+') else 'worse'}"


_SCALES: Final = {"share": (100, 2, " points"), "nats": (1, 3, " nats"), "number": (1, 4, "")}
"""By unit: what a number is multiplied by, its decimals, and what differences are called."""


def scaled(value: float, unit: str = "share", *, sign: str = "", digits: int | None = None) -> str:
    """Write a share in percent, without the sign for it (`93.20`), nats or a number (`0.347`).

    Args:
        value: The number.
        unit: `share`, `nats` or `number`, as `Interval` has it.
        sign: `+` where a sign is always written.
        digits: Decimals; None: as many as the unit has.
    """
    scale, usual, _ = _SCALES[unit]
    return f"{scale * value:{sign}.{usual if digits is None else digits}f}"


def percent(share: float, digits: int = 1) -> str:
    """Write a share: `93.2 %`."""
    return f"{scaled(share, digits=digits)} %"


def figure(value: float, unit: str = "share", digits: int | None = None) -> str:
    """Write a share in percent (`93.2 %`), another number as it is (`0.347`)."""
    if unit == "share":
        return percent(value, 1 if digits is None else digits)
    return scaled(value, unit, digits=digits)


def decimals(interval: Interval) -> int | None:
    """Return the decimals of a number that its interval supports: two digits of the half of it.

    None for other units, which have theirs.
    """
    half = (interval.high - interval.low) / 2
    if interval.unit != "number":
        return None
    return max(0, 1 - math.floor(math.log10(half))) if half > 0 else 4


def plus_minus(interval: Interval) -> str:
    """Write a value with the half of its interval, the wider one: `93.20±0.41`."""
    digits, ends = decimals(interval), (interval.value, interval.half)
    both = (scaled(one, interval.unit, digits=digits) for one in ends)
    return "±".join(both)


def span(interval: Interval, between: str = "..", digits: int | None = None) -> str:
    """Write the ends of a difference: `-0.63..+2.18`, a word that no line breaks."""
    digits = decimals(interval) if digits is None else digits
    return between.join(
        scaled(end, interval.unit, sign="+", digits=digits) for end in interval.ends
    )


def unsigned_span(interval: Interval, digits: int | None = None) -> str:
    """Write the ends of a value: `93.92 to 95.22`."""
    digits = decimals(interval) if digits is None else digits
    return " to ".join(scaled(end, interval.unit, digits=digits) for end in interval.ends)


def gain(interval: Interval, digits: int | None = None) -> str:
    """Write a difference: `+0.46 points`, or `+0.031` of numbers."""
    digits = decimals(interval) if digits is None else digits
    value = scaled(interval.value, interval.unit, sign="+", digits=digits)
    return f"{value}{_SCALES[interval.unit][2]}"


def lead_in_words(lead: Interval, digits: int | None = None) -> str:
    """Write by how much something is better: `+0.46 points`, of numbers `0.031 better`."""
    if lead.unit == "share":
        return gain(lead, digits)
    digits = decimals(lead) if digits is None else digits
    size = scaled(abs(lead.value), lead.unit, digits=digits)
    return f"{size} {'better' if lead.value >= 0 else 'worse'}"


def lead_with_ends(lead: Interval) -> str:
    """Write a lead and its interval: `+0.46 points (-0.82 to +1.74)`, `0.031 better (...)`."""
    return f"{lead_in_words(lead)} ({span(lead, ' to ')})"


def gain_in_words(interval: Interval) -> str:
    """Write a difference to one decimal: `+0.5 points, 95 % interval -0.8 to +1.7`."""
    level = f"{100 * interval.level:.0f} % interval"
    return f"{gain(interval, digits=1)}, {level} {span(interval, ' to ', digits=1)}"


def format_ends(interval: Interval) -> str:
    """Write the ends as metrics are written: `0.9142 to 0.9463`."""
    return " to ".join(map(format_metric, interval.ends))


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: `1 run`, `3 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def in_a_row(names: Sequence[str]) -> str:
    """Return names as `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def first_line(text: str, *, limit: int = 160) -> str:
    """Return the first line that is not empty, made printable and cut to `limit` characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    clean = printable(line).replace("\t", " ")
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def printable(text: str) -> str:
    """Return a text without control characters, which move the cursor or change colours.

    Each is replaced by `?`; line breaks and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in "\n\t" else "?" for character in text
    )


def broken(name: str, *, width: int = 9) -> str:
    """Break a long name after underscores and hyphens, into lines of about `width` characters."""
    lines = [""]
    for piece in name.replace("_", "_\n").replace("-", "-\n").splitlines():
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def install_command(extra: str, project: Path = Path(__file__).parents[1]) -> str:
    """Return the command that installs an extra the way the project itself was installed.

    In a clone that is an editable install with the pinned versions. If pip was given the address of
    a wheel or a repository (`direct_url.json`, PEP 610), the command names that address: an index
    may have no such project, or somebody else's.

    Args:
        extra: One of the extras of `pyproject.toml`, such as `keras`.
        project: Folder in which this package lies; a clone has `pyproject.toml` there.
    """
    pip = f"{shlex.quote(_from_here(Path(sys.executable)))} -m pip install"
    if (project / "pyproject.toml").is_file():
        folder, pins = _from_here(project), _from_here(project / "constraints.txt")
        return f"{pip} -e {_quoted(f'{folder}[{extra}]')} -c {shlex.quote(pins)}"
    name = f"digit-sweeps[{extra}]"
    try:
        origin = json.loads(distribution("digit-sweeps").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {}
    if not origin.get("url"):
        return f"{pip} {_quoted(name)}"
    repository = origin.get("vcs_info", {})
    address = f"{repository['vcs']}+{origin['url']}" if repository else origin["url"]
    commit = f"@{repository['commit_id']}" if repository.get("commit_id") else ""
    return f"{pip} {_quoted(f'{name} @ {address}{commit}')}"


_EXTRAS: Final = {"tensorflow": "keras", "keras": "keras", "h5py": "keras"}
"""Packages that trainings import and an install may lack -> the extra of ours that brings each."""


def how_to_install(packages: Iterable[str]) -> str:
    """Return how missing packages are installed, as the end of a message; empty if unknown.

    Args:
        packages: Names to import, of which only the first parts count.
    """
    extras = {_EXTRAS.get(name.partition(".")[0]) for name in packages}
    return "".join(
        f"; install the extra {extra!r}: {install_command(extra)}"
        for extra in sorted(filter(None, extras))
    )


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
