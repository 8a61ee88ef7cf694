"""README.zh-CN.md says what README.md says: the same sections, commands, figures and links."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![A-Za-z0-9_.])[+-]?\d+(?:\.\d+)*")


@dataclass(frozen=True)
class Section:
    level: int
    title: str
    text: str
    """Without its code blocks."""
    blocks: tuple[str, ...]


def sections(page):
    """The sections of a page, in order; `# ` inside a code block is no heading."""
    text = page.read_text(encoding="utf-8")
    code = BLOCK.findall(text)
    marked = BLOCK.sub("\0", text)
    starts = list(HEADING.finditer(marked))
    found, used = [], 0
    for start, following in zip_longest(starts, starts[1:]):
        body = marked[start.end() : following.start() if following else None]
        count = body.count("\0")
        blocks = tuple(code[used : used + count])
        used += count
        found.append(Section(len(start[1]), start[2], body.replace("\0", ""), blocks))
    return found


def links(text):
    return Counter(re.findall(r"\]\(([^)]+)\)", text))


def figures(text):
    """Numbers as they are written; minus signs and dashes between numbers are told apart."""
    return Counter(NUMBER.findall(re.sub(r"(?<=\d)-(?=\d)", " ", text)))


PAIRS = list(zip(sections(ENGLISH), sections(CHINESE), strict=False))


def test_both_have_the_same_headings_by_level():
    english, chinese = sections(ENGLISH), sections(CHINESE)
    for number, (one, other) in enumerate(zip_longest(english, chinese), 1):
        assert one is not None, f"README.zh-CN.md has a heading too many: {other.title!r}"
        assert other is not None, f"README.zh-CN.md lacks heading {number}: {one.title!r}"
        assert one.level == other.level, (
            f"heading {number}: {one.title!r} is of level {one.level}, "
            f"{other.title!r} of level {other.level}"
        )


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].title)
def test_a_section_has_the_same_commands_to_the_byte(pair):
    english, chinese = pair
    for number, (one, other) in enumerate(zip_longest(english.blocks, chinese.blocks), 1):
        assert one == other, (
            f"code block {number} of {english.title!r} differs in README.zh-CN.md:\n"
            f"--- README.md\n{one}\n--- README.zh-CN.md\n{other}"
        )


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].title)
def test_a_section_has_the_same_figures(pair):
    english, chinese = (figures(section.text) for section in pair)
    assert english - chinese == Counter(), f"{pair[1].title}: figures that are missing"
    assert chinese - english == Counter(), f"{pair[1].title}: figures too many"


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].title)
def test_a_section_has_the_same_tables_and_links(pair):
    english, chinese = (
        [line.count("|") for line in section.text.splitlines() if line.startswith("|")]
        for section in pair
    )
    assert english == chinese, f"{pair[1].title}: rows or columns of its tables differ"
    own = {"README.md": 1, "README.zh-CN.md": 1}
    one, other = (links(section.text) - Counter(own) for section in pair)
    assert one == other, f"{pair[1].title}: links differ"


def test_each_page_leads_to_the_other_before_anything_else():
    for page, other in ((ENGLISH, CHINESE), (CHINESE, ENGLISH)):
        first = page.read_text(encoding="utf-8").split("\n\n")[1]
        assert f"]({other.name})" in first


def test_a_heading_inside_a_block_is_none_and_a_block_belongs_to_its_section(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# a\n\n```sh\n# no heading\n```\n\n## b\n\ntext 1-2, +0.5\n\n```\nx\n```\n")
    first, second = sections(page)
    assert (first.level, first.title, first.blocks) == (1, "a", ("```sh\n# no heading\n```",))
    assert (second.title, second.blocks) == ("b", ("```\nx\n```",))
    assert figures(second.text) == Counter(["1", "2", "+0.5"])
