import numpy as np
import pytest
from sklearn import metrics

from sweeps.by_sample import by_sample, over_groups

RANDOM = np.random.default_rng(0)
SAMPLES = 200
BINARY = (RANDOM.random(SAMPLES) < 0.3).astype(int)
SHARES = np.round(1 / (1 + np.exp(1 - BINARY - RANDOM.normal(size=SAMPLES))), 2)
CLASSES = RANDOM.integers(0, 4, SAMPLES)
SCORES = RANDOM.dirichlet(np.ones(4), SAMPLES) + 0.3 * np.eye(4)[CLASSES]
SCORES /= SCORES.sum(axis=1, keepdims=True)
NUMBERS = RANDOM.normal(size=SAMPLES)
FITTED = NUMBERS + RANDOM.normal(size=SAMPLES) / 2


def of_classes(measure, **more):
    """Return a metric of predicted classes as one of their scores."""

    def measured(true, given, weights):
        classes = given.argmax(axis=1) if given.ndim == 2 else given > 0.5
        return measure(true, classes, sample_weight=weights, **more)

    return measured


def of_scores(measure, sign=1, **more):
    return lambda true, given, weights: sign * measure(true, given, sample_weight=weights, **more)


MACRO, WEIGHTED = {"average": "macro"}, {"average": "weighted"}
BY_NAME = {
    "best_val_auc": (BINARY, SHARES, of_scores(metrics.roc_auc_score)),
    "roc_auc_ovr": (CLASSES, SCORES, of_scores(metrics.roc_auc_score, multi_class="ovr")),
    "roc_auc_ovr_weighted": (
        CLASSES,
        SCORES,
        of_scores(metrics.roc_auc_score, multi_class="ovr", **WEIGHTED),
    ),
    "average_precision": (BINARY, SHARES, of_scores(metrics.average_precision_score)),
    "r2": (NUMBERS, FITTED, of_scores(metrics.r2_score)),
    "val_rmse": (NUMBERS, FITTED, of_scores(metrics.root_mean_squared_error)),
    "neg_root_mean_squared_error": (
        NUMBERS,
        FITTED,
        of_scores(metrics.root_mean_squared_error, sign=-1),
    ),
    "f1": (BINARY, SHARES, of_classes(metrics.f1_score)),
    "f1_macro": (CLASSES, SCORES, of_classes(metrics.f1_score, **MACRO)),
    "f1_weighted": (CLASSES, SCORES, of_classes(metrics.f1_score, **WEIGHTED)),
    "precision": (BINARY, SHARES, of_classes(metrics.precision_score)),
    "recall_macro": (CLASSES, SCORES, of_classes(metrics.recall_score, **MACRO)),
    "jaccard": (BINARY, SHARES, of_classes(metrics.jaccard_score)),
    "balanced_accuracy": (CLASSES, SCORES, of_classes(metrics.balanced_accuracy_score)),
    "cohen_kappa": (CLASSES, SCORES, of_classes(metrics.cohen_kappa_score)),
    "matthewsCorrcoef": (CLASSES, SCORES, of_classes(metrics.matthews_corrcoef)),
    "neg_log_loss": (BINARY, SHARES, of_scores(metrics.log_loss, sign=-1)),
    "a mean needs no name": (CLASSES, SCORES, of_scores(metrics.log_loss)),
    "nor this": (CLASSES, SCORES, of_classes(metrics.accuracy_score)),
    "nor that": (NUMBERS, FITTED, of_scores(metrics.mean_absolute_error)),
    "or this": (NUMBERS, FITTED, of_scores(metrics.mean_squared_error)),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_values_are_the_metric_and_its_slope_in_the_weight_of_each_sample(name):
    true, given, measure = BY_NAME[name]
    weights, step = np.ones(SAMPLES), 1e-3
    value = measure(true, given, weights)
    found = by_sample(name, true, given, value)
    assert found.mean() == pytest.approx(value, rel=1e-9)
    for sample in range(0, SAMPLES, 17):
        moved = np.zeros(SAMPLES)
        moved[sample] = step
        ahead, back = (measure(true, given, weights + sign * moved) for sign in (1, -1))
        slope = (ahead - back) / (2 * step) * SAMPLES
        assert found[sample] - value == pytest.approx(slope, abs=1e-6), name


def test_the_variance_of_an_auc_by_sample_is_that_of_delong():
    values = by_sample("auc", BINARY, SHARES, metrics.roc_auc_score(BINARY, SHARES))
    above = SHARES[BINARY == 1][:, None] - SHARES[BINARY == 0]
    won = (above > 0) + 0.5 * (above == 0)
    of_delong = sum(won.mean(axis=axis).var() / won.shape[1 - axis] for axis in (0, 1))
    assert values.var() / SAMPLES == pytest.approx(of_delong)


def test_an_area_on_a_grid_of_thresholds_is_known_and_keeps_its_value():
    exact = metrics.roc_auc_score(BINARY, SHARES)
    assert by_sample("val_auc", BINARY, SHARES, exact - 0.004).mean() == pytest.approx(
        exact - 0.004
    )
    assert by_sample("val_auc", BINARY, SHARES, exact - 0.02) is None


@pytest.mark.parametrize(
    ("name", "true", "given", "value"),
    [
        ("auc", np.zeros(5, int), np.linspace(0, 1, 5), 0.7),  # one class only
        ("roc_auc", np.arange(5) % 2, np.full((5, 3), 1 / 3), 0.5),  # class 2 has no sample
        ("f1", BINARY, SHARES, 0.123),  # computed otherwise
        ("median_absolute_error", NUMBERS, FITTED, np.median(np.abs(NUMBERS - FITTED))),
        ("r2", np.ones(5), np.ones(5), float("nan")),
        ("auc", BINARY, SHARES[:-1], 0.7),
        ("mae", np.zeros(0), np.zeros(0), 0.0),
    ],
)
def test_what_is_not_known_of_each_sample_has_no_values(name, true, given, value):
    assert by_sample(name, true, given, value) is None


def test_a_perfect_fit_has_values_too():
    assert by_sample("rmse", NUMBERS, NUMBERS, 0.0).tolist() == [0.0] * SAMPLES


def test_names_of_classes_are_compared_as_they_are():
    names = np.array(["cat", "dog", "cat", "owl"])
    given = np.array(["cat", "cat", "cat", "owl"])
    f1 = metrics.f1_score(names, given, average="macro", zero_division=0)
    assert by_sample("f1_macro", names, given, f1).mean() == pytest.approx(f1)
    assert by_sample("acc", names, given, 75.0).tolist() == [100, 0, 100, 100]


def test_groups_of_several_sizes_have_the_mean_of_their_samples():
    groups = np.repeat([7, 2, 30, 5], [10, 50, 90, 50])
    values, numbers = over_groups(NUMBERS, groups)
    assert numbers.tolist() == [2, 5, 7, 30]
    assert values.mean() == pytest.approx(NUMBERS.mean())
    alone, _ = over_groups(NUMBERS, np.arange(SAMPLES))
    assert alone == pytest.approx(NUMBERS)


def test_groups_have_the_error_that_other_groups_show():
    random = np.random.default_rng(1)

    def drawn():
        sizes = random.integers(1, 20, 60)
        of_group = np.repeat(random.normal(size=60), sizes)
        return of_group + random.normal(size=sizes.sum()), np.repeat(np.arange(60), sizes)

    means, errors = [], []
    for _ in range(400):
        values, groups = drawn()
        of_groups, _ = over_groups(values, groups)
        means.append(values.mean())
        errors.append(of_groups.var(ddof=1) / 60)
    assert np.var(means) == pytest.approx(np.mean(errors), rel=0.2)
