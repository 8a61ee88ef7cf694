"""Ties the figures of README and docs to result files: `python -m benchmarks.evidence`.

Result files lie in `docs/evidence/results/`; `python -m benchmarks NAME --evidence` writes them.
The text of a page is free of comments. One comment at its end, which a reader does not see, says
line by line where its figures come from:

    <!--figures
    measured speed.json; about PATH PATH; 14 days
    6.3 times -> speed.json/random/ratios/expert
    12 % -> speed.json/random/saved x100
    as set: 95 %; 10 s
    at 0ed29b6f: 4.2 points
    -->

- Before an arrow stand words of the page with one number in them, in the order of the page. The
  number is that value, rounded. `x100` multiplies it first. A date is written as the file has it.
- `as set` lists settings, limits and promises, `at COMMIT` what a benchmark that is gone had found.
- `measured` puts a row into the table between `<!--measured-->` and `<!--end-->`: command, date,
  commit and machine. A change of the paths may be so many days younger than the measurement.

The table between `<!--table speed.json random-->` and `<!--end-->` is the one that the benchmark
prints, or that of this name in the file.

A figure is a number with decimals, or one with a unit behind it. The pages in `STRICT` have none
that their comment does not know. Code is left alone.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.markdown import markdown

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
RESULTS = EVIDENCE / "results"
STRICT = ("README.md", "README.zh-CN.md", "docs/networks.md", "docs/evidence/*.md")
NUMBER = r"(?<![\w.,/-])[+-]?\d[\d,]*(?:\.\d+)?"
UNIT = r"(?:%|times|points|ms|s|min|h|kB|MB|GB)"
DATE = r"\d{4}-\d\d-\d\d"
FIGURE = re.compile(rf"{NUMBER}(?= {UNIT}(?!\w))|(?<![\w.,/-])[+-]?\d+\.\d+(?![\w.])")
SHOWN = re.compile(rf"{DATE}|{NUMBER}")
TIED = re.compile(r"(.+?) -> ([\w.-]+\.json)/(\S+?)(?: x(\d+))?")
MEASURED = re.compile(r"measured ([\w.-]+\.json); about ([^;]+); (\d+) days")
LISTED = re.compile(r"(?:as set|at [0-9a-f]{8}): (.+)")
BLOCK = re.compile(r"(<!--(?:table (\S+\.json) ?([^>]*?)|measured)-->\n).*?(<!--end-->)", re.DOTALL)
SOURCES = re.compile(r"\n<!--figures\n(.*?)\n-->\s*\Z", re.DOTALL)
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


class Tie(NamedTuple):
    """A figure of a page: the line of the comment, the place, what stands there and what is to.

    `expected` says what is wrong if there is no such place, or no such number in the file.
    """

    line: str
    place: tuple[int, int] | None
    shown: str
    expected: str


def load(file: str) -> dict[str, Any]:
    """Return what a result file holds."""
    found: dict[str, Any] = json.loads((RESULTS / file).read_text(encoding="utf-8"))
    return found


def pages() -> list[Path]:
    """Return README, its translation and every page of the documentation."""
    return [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def strict_pages() -> list[Path]:
    """Return the pages whose figures are all known to their comment."""
    return [path for pattern in STRICT for path in sorted(ROOT.glob(pattern))]


def sources(text: str) -> list[str]:
    """Return the lines of the comment at the end of a page."""
    found = SOURCES.search(text)
    return found[1].splitlines() if found else []


def wrong_figures(text: str) -> Iterator[str]:
    """Yield each line of the comment that the page or the file contradicts."""
    for tie in ties(text):
        if tie.shown != tie.expected:
            yield f"{tie.line}: {'the file has ' if tie.place else ''}{tie.expected}"
    prose = _prose(text)
    for line in sources(text):
        missing = [words for words in _listed(line) if not _words(words).search(prose)]
        yield from (f"{line}: {words!r} is not in the page" for words in missing)
        if not any(kind.fullmatch(line) for kind in (TIED, LISTED, MEASURED)):
            yield f"{line}: neither a figure nor a measurement"


def ties(text: str) -> Iterator[Tie]:
    """Yield the figures of a page that have a file, in their order."""
    prose, at = _prose(text), 0
    for line in sources(text):
        if not (tied := TIED.fullmatch(line)):
            continue
        words, file, path, factor = tied.groups()
        found = _words(words).search(prose, at)
        if len(SHOWN.findall(words)) != 1:
            yield Tie(line, None, "", f"{words!r}: one number")
        elif not found or not (number := SHOWN.search(prose, found.start())):
            yield Tie(line, None, "", f"{words!r}: is not in the page, or not in this order")
        else:
            at = found.end()
            yield Tie(line, number.span(), number[0], _expected(number[0], file, path, factor))


def unmarked_figures(text: str) -> list[str]:
    """Return the figures of a page that its comment does not know."""
    prose = _prose(text)
    for tie in ties(text):
        if tie.place:
            begin, end = tie.place
            prose = f"{prose[:begin]}{'_' * (end - begin)}{prose[end:]}"
    for words in (words for line in sources(text) for words in _listed(line)):
        prose = _words(words).sub(_blank("_"), prose)
    return [match[0] for match in FIGURE.finditer(prose)]


def updated(text: str) -> str:
    """Return a page with its figures and blocks written anew from the files.

    A figure whose file has no number there stays as it is; `wrong_figures` names it.
    """
    for tie in reversed([*ties(text)]):
        if tie.place and SHOWN.fullmatch(tie.expected):
            begin, end = tie.place
            text = text[:begin] + tie.expected + text[end:]
            words, arrow, source = tie.line.partition(" -> ")
            new = SHOWN.sub(tie.expected, words) + arrow + source
            text = re.sub(rf"(?m)^{re.escape(tie.line)}$", new, text)
    files = [found[1] for line in sources(text) if (found := MEASURED.fullmatch(line))]

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}\n{_block(found[2], found[3] or '', files)}\n\n{found[4]}"

    return BLOCK.sub(block, text)


def measurements() -> list[Measurement]:
    """Return what the pages of evidence say of their result files."""
    return [
        Measurement(page, found[1], tuple(found[2].split()), int(found[3]))
        for page in sorted(EVIDENCE.glob("*.md"))
        for line in sources(page.read_text(encoding="utf-8"))
        if (found := MEASURED.fullmatch(line))
    ]


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


def _prose(text: str) -> str:
    """Return the text of a page with blanks in place of code, of blocks and of comments."""
    for pattern in (SOURCES, BLOCK, CODE, re.compile(r"<!--.*?-->", re.DOTALL)):
        text = pattern.sub(_blank(" "), text)
    return text


def _listed(line: str) -> list[str]:
    """Return the words that a line of settings, or of a benchmark that is gone, lists."""
    found = LISTED.fullmatch(line)
    return found[1].split("; ") if found else []


def _blank(sign: str) -> Callable[[re.Match[str]], str]:
    return lambda found: re.sub(r"\S", sign, found[0])


def _words(words: str) -> re.Pattern[str]:
    """Return what finds words of a page, wherever its lines break."""
    inside = r"\s+".join(map(re.escape, words.split()))
    return re.compile(rf"(?<![\d.,/-]){inside}(?!\d|[.,]\d)")


def _expected(shown: str, file: str, path: str, factor: str | None) -> str:
    """Return what a file has at a path, with as many decimals as it is shown with."""
    value: Any = load(file)
    try:
        for key in path.split("/"):
            value = value[int(key)] if isinstance(value, list) else value[key]
        if re.fullmatch(DATE, shown):
            return str(value)
        number = float(value) * int(factor or 1)
    except (KeyError, IndexError, ValueError, TypeError):
        return "no number there"
    sign, comma = "+" if shown[0] in "+-" else "", "," if "," in shown else ""
    return f"{number:{sign}{comma}.{len(shown.partition('.')[2])}f}"


def _block(file: str | None, words: str, measured: list[str]) -> str:
    if file is None:
        return markdown(["command", "measured", "machine", "result"], map(_row, measured))
    result = load(file)
    if words in result.get("tables", {}):
        columns, *rows = result["tables"][words]
        return markdown(columns, rows)
    from benchmarks.__main__ import BENCHMARKS

    benchmark = BENCHMARKS[result["benchmark"]]
    return str(getattr(benchmark, "page_table", benchmark.table)(result, *words.split()))


def _row(file: str) -> list[str]:
    result = load(file)
    machine = result["machine"]
    load_ = "" if result["load"] == "not noted" else f", load {result['load']}"
    kept = "; the run was not kept" if "transcribed" in result else ""
    return [
        f"`{result['command']}`",
        f"{result['date']} at `{result['commit']}`{kept}",
        f"{machine['processor']}, {machine['cores']} cores{load_}",
        f"[{file}](results/{file})",
    ]


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
