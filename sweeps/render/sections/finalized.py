"""What finalising said, as sections: verdict on fresh blocks, luck, readings of the test."""

from __future__ import annotations

from sweeps.records import Telling
from sweeps.render.section import Block, Section, Table, Text


def telling_section(telling: Telling) -> Section:
    """Return a telling as a section."""
    blocks: list[Block] = [Text(telling.lead, "lead")]
    if telling.rows:
        blocks.append(Table(telling.columns, telling.rows))
    blocks += [Text(line) for line in telling.lines]
    if telling.note:
        blocks.append(Text(telling.note, "note"))
    return Section(telling.anchor, telling.title, blocks)
