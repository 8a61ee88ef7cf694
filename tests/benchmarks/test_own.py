"""The table of one's own models: ratios of the sums, and a floor that is missed is said."""

import pytest

from benchmarks.own import _timed, table

SECONDS = {
    "dense": {"graph": [1.0, 1.0], "epochs": [2.0, 3.0], "fit": [4.0, 4.0],
              "compiled": [0.8, 0.9]},
    "image": {"graph": [1.0, 3.0], "epochs": [2.0, 1.9], "fit": [4.0, 4.0]},
}  # fmt: skip


def test_ratios_are_those_of_sums_and_missed_floors_are_said():
    shown = table({"trials": 2, "epochs": 3, "seconds": SECONDS})
    rows = [line.split(" | ") for line in shown.splitlines() if line.startswith("|")]
    dense, image = rows[2:]
    assert rows[0][-2] == "graph / compiled"
    assert dense[5:] == ["2.5", "4.0", "1.18", "kept |"]
    assert image[5:] == ["1.0", "2.0", "", "MISSED |"], "0.975 is under 1.0"


def test_a_result_of_the_former_engine_is_shown_as_it_was_measured():
    former = {"graph": [1.0], "epochs": [2.5], "fit": [4.0], "fused": [0.8]}
    heads = table({"trials": 1, "epochs": 3, "seconds": {"dense": former}}).splitlines()[2]
    assert "| fused s |" in heads
    assert "| graph / fused |" in heads


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_the_peer_trains_the_configurations_it_is_given():
    numbers = {"units_1": 8, "units_2": 8, "learning_rate": 0.01, "dropout": 0.1, "l2": 1e-5}
    configurations = [{**numbers, "batch_size": size} for size in (64, 128)]
    seconds = _timed("fit", "mixed", configurations, 1)
    assert len(seconds) == 2
    assert min(seconds) > 0
