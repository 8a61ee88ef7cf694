import numpy as np
import pytest

from digitexp.training.fused.engine import draw_masks


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2, 0.5, 0.95])
def test_the_share_dropped_is_the_rate_and_the_rest_is_scaled(rate):
    (mask,) = draw_masks(np.random.default_rng(3), [rate], [100], 4000, "float32")
    assert (mask.shape, mask.dtype) == ((4000, 100), np.float32)
    assert set(np.unique(mask)) <= {np.float32(0), np.float32(1 / (1 - rate))}
    deviation = np.sqrt(rate * (1 - rate) / mask.size)
    assert abs((mask == 0).mean() - rate) <= 4 * deviation + 2**-17
    assert mask.mean() == pytest.approx(1, abs=4 * deviation / (1 - rate) + 1e-4)


def test_decisions_are_independent_between_rows_columns_and_layers():
    first, second = draw_masks(np.random.default_rng(5), [0.5, 0.5], [64, 64], 8000, "float64")
    both = np.concatenate([first, second], axis=1) - 1.0
    correlations = both.T @ both / len(both) - np.eye(128)
    assert np.abs(correlations).max() < 5.5 / np.sqrt(8000)
    assert np.abs((both[1:] * both[:-1]).mean(axis=0)).max() < 5.5 / np.sqrt(8000)


def test_the_same_generator_state_gives_the_same_masks_and_moves_on():
    generators = [np.random.default_rng(7), np.random.default_rng(7)]
    first = [draw_masks(g, [0.3, 0.6], [5, 3], 11, "float32") for g in generators]
    for ours, theirs in zip(*first, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    again = draw_masks(generators[0], [0.3, 0.6], [5, 3], 11, "float32")
    assert any((a != b).any() for a, b in zip(first[0], again, strict=True))
