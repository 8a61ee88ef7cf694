"""Ties the figures of README and docs to result files: `python -m benchmarks.evidence`.

Result files lie in `docs/evidence/results/`; `python -m benchmarks NAME --evidence` writes them.
A page refers to them in comments, which a reader does not see:

- `6.3<!--speed.json/random/ratios/expert/steady-->`: the figure is that value, rounded. `x100`
  behind the path multiplies it first, as for per cent. A date is written as the file has it.
- `<!--table speed.json random-->` to `<!--end-->`: the table that the benchmark prints, or the
  table of that name in the file.
- `<!--measured speed.json; about PATH PATH; 14 days-->` to `<!--end-->`: command, date, commit and
  machine; and how much younger than the measurement a change of these paths may be.
- `95<!--set--> %`: a setting, a limit or a promise, nothing that was measured.

A figure is a number with decimals, or one with a unit behind it. The pages in `STRICT` have none
without such a comment. Code is left alone.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
RESULTS = EVIDENCE / "results"
STRICT = ("README.md", "README.zh-CN.md", "docs/networks.md", "docs/explorer.md",
          "docs/evidence/*.md")  # fmt: skip
NUMBER = r"(?<![\w.,/-])[+-]?\d[\d,]*(?:\.\d+)?"
UNIT = r"(?:%|times|points|ms|s|min|h|kB|MB|GB)"
DATE = r"\d{4}-\d\d-\d\d"
MARKED = re.compile(rf"({DATE}|{NUMBER})<!--(?:([\w.-]+\.json)/(\S+?)(?: x(\d+))?|set)-->")
FIGURE = re.compile(rf"{NUMBER}(?= {UNIT}(?!\w))|(?<![\w.,/-])[+-]?\d+\.\d+(?![\w.])")
BLOCK = re.compile(
    r"(<!--(table|measured) (\S+?\.json)(;? ?[^>]*?)-->\n).*?(<!--end-->)", re.DOTALL
)
ABOUT = re.compile(r"; about ([^;]+); (\d+) days")
NO_NUMBER = (KeyError, IndexError, ValueError, TypeError)
CODE = re.compile(r"```.*?```|`[^`\n]*`|\]\([^)]*\)", re.DOTALL)


@dataclass(frozen=True)
class Measurement:
    """A result file as a page presents it.

    Attributes:
        file: Its name.
        about: Paths of the code that was measured.
        days: By how many days a change of these may be younger than the measurement.
    """

    page: Path
    file: str
    about: tuple[str, ...]
    days: int


def load(file: str) -> dict[str, Any]:
    """Return what a result file holds."""
    found: dict[str, Any] = json.loads((RESULTS / file).read_text(encoding="utf-8"))
    return found


def pages() -> list[Path]:
    """Return README, its translation and every page of the documentation."""
    return [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def strict_pages() -> list[Path]:
    """Return the pages whose figures all have their comment."""
    return [path for pattern in STRICT for path in sorted(ROOT.glob(pattern))]


def wrong_figures(text: str) -> Iterator[str]:
    """Yield each figure of a page that is not what its comment says it is."""
    for found in MARKED.finditer(text):
        try:
            expected = _figure(found)
        except NO_NUMBER:
            yield f"{found[1]}: {found[2]} has no number at {found[3]}"
        else:
            if found[1] != expected:
                yield f"{found[1]}: {found[2]} has {expected} at {found[3]}"


def unmarked_figures(text: str) -> list[str]:
    """Return the figures of a page that name no file."""
    prose = CODE.sub(" ", MARKED.sub(" ", BLOCK.sub(" ", text)))
    return [match[0] for match in FIGURE.finditer(re.sub(r"<!--.*?-->", " ", prose, flags=re.S))]


def updated(text: str) -> str:
    """Return a page with its figures and blocks written anew from the files.

    A figure whose file has no number there stays as it is; `wrong_figures` names it.
    """

    def figure(found: re.Match[str]) -> str:
        with suppress(*NO_NUMBER):
            return _figure(found) + found[0].removeprefix(found[1])
        return found[0]

    text = MARKED.sub(figure, text)
    return BLOCK.sub(
        lambda found: f"{found[1]}\n{_block(*found.groups()[1:4])}\n\n{found[5]}", text
    )


def measurements() -> list[Measurement]:
    """Return what the pages of evidence say of their result files."""
    found = []
    for page in sorted(EVIDENCE.glob("*.md")):
        for _, kind, file, words, _ in BLOCK.findall(page.read_text(encoding="utf-8")):
            if kind == "measured":
                found.append(Measurement(page, file, *_about(file, words)))
    return found


def too_old(one: Measurement) -> str | None:
    """Return why a measurement does not hold any more, or None: its code has changed since.

    Raises:
        RuntimeError: git does not know the commit of the measurement.
    """
    result = load(one.file)
    commit, measured = str(result["commit"]), datetime.fromisoformat(result["date"])
    changes = _git("log", "--format=%h %cI %s", f"{commit}..HEAD", "--", *one.about).splitlines()
    for change in changes:  # the youngest first
        name, moment, title = change.split(" ", 2)
        age = datetime.fromisoformat(moment) - measured.replace(tzinfo=UTC)
        if age > timedelta(days=one.days + 1):  # a date is a whole day
            return (
                f"{one.page.name}: {one.file} was measured on {result['date']} at {commit}; {name} "
                f"({title}) is {age.days} days younger, {one.days} are allowed"
            )
    return None


def stamp() -> dict[str, str]:
    """Return command, date and commit of a measurement that begins now.

    Raises:
        RuntimeError: Code differs from its commit.
    """
    if changed := _git("status", "--porcelain", "--untracked-files=no", "--", "*.py", "*.yaml"):
        raise RuntimeError(f"evidence is measured on committed code; changed:\n{changed}")
    return {
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _git("rev-parse", "--short=8", "HEAD").strip(),
    }


def publish(result: dict[str, Any]) -> Path:
    """Write a result file of evidence, called as the result or else its benchmark."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{result.get('name', result['benchmark'])}.json"
    text = json.dumps(result, indent=1, ensure_ascii=False)
    # A list of numbers stands on one line.
    flat = re.sub(r"\[[^][{}]*\]", lambda found: " ".join(found[0].split()), text)
    path.write_text(flat + "\n", encoding="utf-8")
    return path


def _figure(found: re.Match[str]) -> str:
    """Return a marked figure as its file has it, with as many decimals as it is shown with."""
    shown, file, path, factor = found.groups()
    if file is None:
        return shown
    value: Any = load(file)
    for key in path.split("/"):
        value = value[int(key)] if isinstance(value, list) else value[key]
    if re.fullmatch(DATE, shown):
        return str(value)
    sign, comma = "+" if shown[0] in "+-" else "", "," if "," in shown else ""
    return f"{float(value) * int(factor or 1):{sign}{comma}.{len(shown.partition('.')[2])}f}"


def _about(file: str, words: str) -> tuple[tuple[str, ...], int]:
    if not (found := ABOUT.fullmatch(words)):
        raise RuntimeError(f"{file}: '; about PATH PATH; N days' is missing behind its name")
    return tuple(found[1].split()), int(found[2])


def _block(kind: str, file: str, words: str) -> str:
    result = load(file)
    if kind == "measured":
        return _header(file, result, *_about(file, words))
    if tables := result.get("tables"):
        columns, *rows = tables[words.strip()]
        lines = [columns, ["---"] * len(columns), *rows]
        return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)
    from benchmarks.__main__ import BENCHMARKS

    benchmark = BENCHMARKS[result["benchmark"]]
    return str(getattr(benchmark, "page_table", benchmark.table)(result, *words.split()))


def _header(file: str, result: dict[str, Any], about: tuple[str, ...], days: int) -> str:
    machine = result["machine"]
    words = ", ".join([machine["processor"], f"{machine['cores']} cores", machine["memory"]])
    paths = ", ".join(f"`{path}`" for path in about)
    rows = [
        ("command", f"`{result['command']}`"),
        ("measured", f"{result['date']}, at commit `{result['commit']}`"),
        ("machine", words),
        ("load average", result["load"]),
        ("result", f"[{file}](results/{file})"),
        ("about", f"{paths}; a change of these may be {days} days younger"),
    ]
    if "transcribed" in result:
        rows.append(("transcribed", result["transcribed"]))
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {what} |" for name, what in rows)])


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def main() -> int:
    """Write figures and blocks of all pages anew; name what was changed, and what has no file."""
    for page in pages():
        text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT)
        print("".join(f"{name}: {words}\n" for words in wrong_figures(text)), end="")
        if (new := updated(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"{name}: written anew; read the sentences around its figures")
    missing = [f"{page.relative_to(ROOT)}: {figure} names no file" for page in strict_pages()
               for figure in unmarked_figures(page.read_text(encoding="utf-8"))]  # fmt: skip
    print("\n".join(missing), end="\n" if missing else "")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
