import numpy as np
import pytest

from benchmarks import same


@pytest.mark.nightly
def test_equals_are_hardly_ever_called_different():
    random = np.random.default_rng(0)
    samples = np.array([np.arange(1000).reshape(4, 250)[b % 4] for b in range(20)])
    easy = random.random(1000) < 0.9
    correct = easy[samples][None].repeat(6, axis=0) & (random.random((6, 20, 250)) < 0.98)
    found = same.draw(correct, samples, draws=40)
    assert found["better_than_all"] <= 0.1
    assert found["best_missed"] <= 0.2
    result = {"folds": 20, "seeds": 6, "draws": 40, "rows": [{"net": "x", **found}]}
    assert "| x | " in same.table(result)
