"""The table of one's own models: ratios of the sums, and a floor that is missed is said."""

import pytest

from benchmarks.own import _timed, table

SECONDS = {
    "dense": {"auto": [0.1, 0.1], "epochs": [2.0, 3.0], "fit": [4.0, 4.0]},
    "image": {"auto": [1.0, 3.0], "epochs": [2.0, 1.9], "fit": [4.0, 4.0]},
}


def test_ratios_are_those_of_sums_and_missed_floors_are_said():
    shown = table({"trials": 2, "epochs": 3, "seconds": SECONDS})
    rows = [line.split(" | ") for line in shown.splitlines() if line.startswith("|")]
    dense, image = rows[2:]
    assert rows[0][-2] == "fit / auto"
    assert dense[1:] == ["compiled", "0.10", "2.50", "4.00", "25.0", "40.0", "30: kept |"]
    assert image[1:] == ["graph", "2.00", "1.95", "4.00", "1.0", "2.0", "0.97: missed |"], "0.975"


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_the_peer_trains_the_configurations_it_is_given():
    numbers = {"units_1": 8, "units_2": 8, "learning_rate": 0.01, "dropout": 0.1, "l2": 1e-5}
    configurations = [{**numbers, "batch_size": size} for size in (64, 128)]
    seconds = _timed("fit", "mixed", configurations, 1)
    assert len(seconds) == 2
    assert min(seconds) > 0
