"""Figures of README and docs against result files; how old these may be."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from benchmarks import evidence
from tests.tools import need

RESULT = {
    "benchmark": "speed", "command": "c", "date": "2026-01-05", "load": "1 to 2",
    "machine": {"processor": "p", "cores": 2},
    "ratios": [1.24, 0.0731], "tables": {"t": [["a", "b"], [1, 2.5]]},
}  # fmt: skip


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results with one file, `speed.json`."""
    monkeypatch.setattr(evidence, "RESULTS", tmp_path)
    (tmp_path / "speed.json").write_text(json.dumps(RESULT))
    return tmp_path


def page(text, *lines):
    return "\n".join([text, "", "<!--figures", *lines, "-->", ""])


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("text", "line", "wrong"),
    [
        ("it is 1.2 times", "1.2 times -> speed.json/ratios/0", None),
        ("1.24 first, then\n1.2 times", "then 1.2 times -> speed.json/ratios/0", None),
        ("+1.24", "+1.24 -> speed.json/ratios/0", None),
        ("7.3 %", "7.3 -> speed.json/ratios/1 x100", None),
        ("on 2026-01-05", "2026-01-05 -> speed.json/date", None),
        ("95 % and 95 %", "as set: 95 %", None),
        ("1.5 points", "at 0123abcd: 1.5", None),
        ("2026-01-06", "2026-01-06 -> speed.json/date", "the file has 2026-01-05"),
        ("1.3 times", "1.3 -> speed.json/ratios/0", "the file has 1.2"),
        ("-1.2", "-1.2 -> speed.json/ratios/0", "the file has +1.2"),
        ("1.2", "1.2 -> speed.json/ratios/2", "the file has no number there"),
        ("1.2", "1.2 -> speed.json/tables", "the file has no number there"),
        ("11.2 and 1.23", "1.2 -> speed.json/ratios/0", "'1.2': is not in the page"),
        ("1.2 of 3", "1.2 of 3 -> speed.json/ratios/0", "'1.2 of 3': one number"),
        ("`1.2`", "1.2 -> speed.json/ratios/0", "'1.2': is not in the page"),
        ("95 %", "as set: 95 %; 5 s", "'5 s' is not in the page"),
        ("1.2", "1.2 = speed.json/ratios/0", "neither a figure nor a measurement"),
    ],
)
def test_a_figure_is_compared_with_its_file(text, line, wrong):
    found = list(evidence.wrong_figures(page(text, line)))
    assert [one.startswith(f"{line}: {wrong}") for one in found] == ([True] if wrong else [])
    new = evidence.updated(page(text, line))
    assert (new == page(text, line)) == (not wrong or not wrong.endswith(("1.2", "-05")))
    if new != page(text, line):
        assert list(evidence.wrong_figures(new)) == []


@pytest.mark.usefixtures("results")
def test_figures_are_found_in_their_order():
    lines = ["1.2 -> speed.json/ratios/0", "0.07 -> speed.json/ratios/1"]
    assert list(evidence.wrong_figures(page("1.2, 0.07", *lines))) == []
    (found,) = evidence.wrong_figures(page("0.07, 1.2", *lines))
    assert "'0.07': is not in the page, or not in this order" in found
    twice = ["1.2 -> speed.json/ratios/0"] * 2
    assert evidence.updated(page("1.2, 1.3", twice[0], "1.3 -> speed.json/ratios/0")) == (
        page("1.2, 1.2", *twice)
    )


@pytest.mark.usefixtures("results")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("faster by 6.3 times", ["6.3"]),
        ("| 94 % | +0.51 | 1,200 ms |", ["94", "+0.51", "1,200"]),
        ("20 trials on 2 cores, Python 3.11.7, on 2026-11-28, `0.5 %`, 7 %", []),
        ("1.2 times, 1.2 times", ["1.2"]),
        ("```\n3.5 s\n```\n[a](b-1.5.md) <!--table speed.json t-->\n| 1 | 2.5 |\n<!--end-->", []),
    ],
)
def test_a_figure_without_a_source_is_found(text, found):
    lines = ["as set: 7 %"] if "7 %" in text else []
    lines += ["1.2 -> speed.json/ratios/0"] if "1.2" in text else []
    assert evidence.unmarked_figures(page(text, *lines)) == found


def test_figures_and_blocks_are_written_anew_from_their_file(results):
    (results / "speed.json").write_text(json.dumps(RESULT | {"commit": "0123abcd"}))
    lines = ["measured speed.json; about code.py; 3 days", "{} -> speed.json/ratios/0"]
    blocks = "<!--table speed.json t-->\n{}\n<!--end-->\n<!--measured-->\n{}\n<!--end-->\n{} s"
    old = page(blocks.format("| old |", "", 9.9), lines[0], lines[1].format(9.9))
    table = "\n| a | b |\n| --- | --- |\n| 1 | 2.5 |\n"
    rows = (
        "\n| command | measured | machine | result |\n| --- | --- | --- | --- |\n"
        "| `c` | 2026-01-05 at `0123abcd` | p, 2 cores, load 1 to 2 "
        "| [speed.json](results/speed.json) |\n"
    )
    new = page(blocks.format(table, rows, 1.2), lines[0], lines[1].format(1.2))
    assert evidence.updated(old) == new
    assert evidence.updated(new) == new


@pytest.mark.parametrize("page", evidence.pages(), ids=lambda p: str(p.relative_to(evidence.ROOT)))
def test_every_figure_is_that_of_its_file(page):
    text = page.read_text(encoding="utf-8")
    assert list(evidence.wrong_figures(text)) == []
    assert evidence.updated(text) == text, "run: python -m benchmarks.evidence"
    if page in evidence.strict_pages():
        assert evidence.unmarked_figures(text) == []


def test_no_comment_stands_inside_a_sentence():
    for path in evidence.pages():
        text = evidence.CODE.sub(" ", path.read_text(encoding="utf-8"))
        assert not re.search(r"[^\n]<!--|-->[^\n]", text), path.name


def test_every_page_of_evidence_has_a_file_and_every_file_a_page():
    named = {one.file for one in evidence.measurements()}
    assert named == {path.name for path in evidence.RESULTS.glob("*.json")}
    claims = {path for path in evidence.EVIDENCE.glob("*.md") if path.name != "README.md"}
    assert {one.page for one in evidence.measurements()} == claims
    for one in evidence.measurements():
        assert [path for path in one.about if not (evidence.ROOT / path).exists()] == []
        assert set(evidence.load(one.file)) >= {"command", "date", "commit", "machine", "load"}


@pytest.mark.nightly
@pytest.mark.parametrize("one", evidence.measurements(), ids=lambda one: one.file)
def test_no_measurement_is_older_than_its_code_by_more_than_its_page_allows(one):
    need("a git checkout")
    assert evidence.too_old(one) is None


def test_a_measurement_whose_code_has_changed_since_is_too_old(results, tmp_path, monkeypatch):
    def git(*words, day="01"):
        moment = f"2026-01-{day}T12:00:00+00:00"
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True,
            capture_output=True, text=True,
            env={"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment, "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        return done.stdout.strip()

    def change(path, day):
        (tmp_path / path).write_text(day)
        git("add", path)
        git("commit", "-qm", f"change {path}", day=day)

    need("a git checkout")
    git("init", "-q")
    change("code.py", "05")
    (results / "speed.json").write_text(json.dumps(RESULT | {"commit": git("rev-parse", "HEAD")}))
    monkeypatch.setattr(evidence, "ROOT", tmp_path)
    one = evidence.Measurement(tmp_path / "speed.md", "speed.json", ("code.py",), 3)
    change("other.py", "20")
    change("code.py", "08")
    assert evidence.too_old(one) is None
    change("code.py", "12")
    assert "change code.py) is 7 days younger, 3 are allowed" in evidence.too_old(one)
