"""What a sweep took: its history by seconds of training, and what its trials cost."""

import pytest

from sweeps.analysis.data import SweepData
from sweeps.records import RecordStore
from sweeps.render.section import Folded, Points
from sweeps.render.sections.trials import history_section
from tests.sweeps.factories import altered
from tests.sweeps.render.builders import START, record, sweep_info


def trained(trial, objective, began, ended, **changes):
    made = record(trial, objective, **changes)
    times = {"started_at": START + 1000 * began, "finished_at": START + 1000 * ended}
    return altered(made, **times)


@pytest.fixture
def data(tmp_path):
    """Two at once, then a night of rest, then one that was tried twice; trial 1 ends first."""
    records = (
        trained(0, 0.7, 0, 20),
        trained(1, 0.8, 0, 10),
        trained(2, 0.6, 10, 30),
        altered(trained(3, None, 5000, 5010, outcome="failed"), ends_trial=False),
        trained(3, 0.9, 5010, 5030, attempt=2),
        trained(4, None, 5030, 5040, outcome="diverged"),
    )
    return SweepData(sweep_info(), RecordStore(tmp_path), records, 5, None)


def test_trainings_side_by_side_count_once_and_pauses_do_not(data):
    assert data.seconds_until == {0: 20, 1: 10, 2: 30, 3: 60, 4: 70}
    assert data.seconds == 70, "the night is no time of the sweep"


def test_a_machine_whose_clock_was_never_set_trains_for_a_while_too(tmp_path):
    first = altered(trained(0, 0.7, 0, 20), started_at=0, finished_at=20_000)
    data = SweepData(sweep_info(), RecordStore(tmp_path), (first,), 1, None)
    assert data.seconds == 20


def test_the_history_has_the_best_so_far_by_seconds_of_training(data):
    by_trial, by_time = history_section(data).charts
    assert (by_trial.name, by_time.name) == ("history", "history-seconds")
    line, points, diverged, leader = by_time.marks
    assert (list(line.x), list(line.y)) == ([10, 20, 30, 60, 70], [0.8, 0.8, 0.8, 0.9, 0.9])
    assert isinstance(points, Points)
    assert (list(points.x), list(points.y)) == ([10, 20, 30], [0.8, 0.7, 0.6])
    assert list(diverged.x) == [70]
    assert (list(leader.x), list(leader.y), leader.is_diamond) == ([60], [0.9], True)
    assert leader.name == by_trial.marks[-1].name == "trial 3 (leads)"


def test_the_table_of_all_trials_has_the_metrics_beside_the_objective(data):
    (folded,) = (b for b in history_section(data).blocks if isinstance(b, Folded))
    (table,) = folded.blocks
    column = table.columns.index("best_val_loss")
    assert table.columns[column - 1] == "best_val_accuracy"
    assert [row[column] for row in table.rows] == ["0.2500"] * 4 + [""], "one diverged"
