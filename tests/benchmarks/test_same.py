import numpy as np
import pytest

from benchmarks import same


def trained(random, share):
    """Return (6, 20, 250) answers of a net that knows so many of 1000 images, and their numbers."""
    samples = np.array([np.arange(1000).reshape(4, 250)[b % 4] for b in range(20)])
    easy = random.random(1000) < share
    return easy[samples][None].repeat(6, axis=0) & (random.random((6, 20, 250)) < 0.98), samples


@pytest.mark.nightly
@pytest.mark.parametrize("nets", [1, 2])
def test_equals_are_hardly_ever_called_different(nets):
    random = np.random.default_rng(0)
    banks = [trained(random, 0.9) for _ in range(nets)]
    found = same.draw([right for right, _ in banks], banks[0][1], draws=40)
    assert found["better_than_all"] <= 0.1
    assert found["best_missed"] <= 0.2
    result = {"folds": 20, "seeds": 6, "draws": 40, "rows": [{"net": "x", **found}]}
    assert "| x | " in same.table(result)


def test_mixed_finalists_differ_by_image_and_not_on_average():
    random = np.random.default_rng(1)
    (good, samples), (poor, _) = trained(random, 0.95), trained(random, 0.5)
    found = same.draw([good, poor], samples, draws=20)
    assert found["accuracy"] == pytest.approx(0.98 * 0.725, abs=0.03)
    assert found["better_than_all"] <= 0.2, "though images differ by half of all"


def test_it_fails_where_errors_are_more_frequent_than_promised():
    row = {"net": "x", "accuracy": 0.9, "better_than_all": 0.05, "best_missed": 0.08}
    assert same.failures({"draws": 1000, "rows": [row]}) == ["x: best_missed 0.08"]
