import io
import json

import pytest
from rich.console import Console

from sweeps.analysis.summary import listing_rows
from sweeps.render.summaries import render_listing
from tests.sweeps.render.builders import METRIC, START, record, sweep_info


@pytest.mark.parametrize(
    ("records", "asked", "running", "state"),
    [
        ([], 5, False, "EMPTY"),
        ([record(0, outcome="interrupted")], None, False, "EMPTY"),
        ([record(0, 0.9)], 1, False, "FINISHED"),
        ([record(0, 0.9)], None, False, "FINISHED"),
        ([record(0, 0.9)], 5, False, "UNFINISHED"),
        ([record(0, 0.9), record(1, outcome="interrupted")], None, False, "UNFINISHED"),
        ([record(0, 0.9)], 1, True, "RUNNING"),
        ([], None, True, "RUNNING"),
    ],
)
def test_a_sweep_has_one_of_four_states(records, asked, running, state):
    info = sweep_info()
    (row,) = listing_rows(
        [(info, records)],
        asked={} if asked is None else {info.id: asked},
        running={info.id} if running else set(),
    )
    assert row.state == state


def test_a_row_has_counts_and_the_best_observed():
    records = [record(0, 0.9), record(1, 0.95), record(2, outcome="failed")]
    (row,) = listing_rows([(sweep_info(), records)])
    assert (row.done, row.failed, row.best, row.best_trial) == (3, 1, 0.95, 1)
    assert json.loads(json.dumps(row.to_dict()))["metric"] == METRIC


def test_the_newest_sweep_comes_first():
    old, new = sweep_info(name="old", id="a"), sweep_info(name="new", id="b", created_at=START + 1)
    assert [row.name for row in listing_rows([(old, []), (new, [])])] == ["new", "old"]


def test_the_table_fits_80_columns_without_cutting_numbers_or_names():
    info = sweep_info(name="m[x]")
    rows = listing_rows([(info, [record(0, 0.9)]), (sweep_info(id="x"), [])], asked={info.id: 20})
    console = Console(file=io.StringIO(), width=80)
    console.print(render_listing(rows))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    for part in ("m[x]", "1/20", "0.9000", "UNFINISHED", "2025-06-15", "mlp-1a2b3c"):
        assert part in text
