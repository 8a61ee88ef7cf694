"""An estimator as an experiment: what scores the search, what scores folds, and with which."""

import numpy as np
import pandas as pd
import pytest
import sklearn.model_selection as splitting
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import fbeta_score, get_scorer, make_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from sweeps.estimators import SklearnExperiment
from sweeps.experiment import TrialSpec

N = 120
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(N, 4))
VALUES = X @ [2.0, -1.0, 0.5, 0.0] + RANDOM.normal(size=N)
BINARY = (VALUES > 0.7).astype(int)
NAMES = np.array(["no", "perhaps", "yes"])[np.digitize(VALUES, [-1.5, 1.5])]
GROUPS = np.arange(N) // 3
LINEAR, RIDGE = LogisticRegression(C=0.5), Ridge()
SHUFFLED = {"shuffle": True, "random_state": 0}
KFOLD = splitting.KFold(5, **SHUFFLED)


def faulty(*values, reason):
    return pytest.param(*values, marks=pytest.mark.xfail(strict=True, reason=reason))


def made(estimator=LINEAR, y=BINARY, x=X, groups=None, sample_weight=None, **options):
    """Return an experiment and its data."""
    parts = {"X": x, "y": y, "groups": groups, "sample_weight": sample_weight}
    experiment = SklearnExperiment(estimator, lambda: parts, **options)
    return experiment, experiment.prepare(None, 0)


def trained(experiment, data, seed=7, **config):
    spec = TrialSpec("sweep", 0, 1, seed, config)
    return experiment.train(spec, data, lambda epoch, metrics: None)


def first_fold(experiment, data):
    return next(iter(experiment.folds(data, 0, 4))).data


@pytest.mark.parametrize(
    ("estimator", "y", "options", "splits"),
    [
        (LINEAR, BINARY, {"scoring": "roc_auc"}, splitting.StratifiedKFold(5, **SHUFFLED)),
        (LINEAR, NAMES, {"cv": 3}, splitting.StratifiedKFold(3, **SHUFFLED)),
        (RIDGE, VALUES, {"scoring": "neg_mean_absolute_error"}, KFOLD),
        (RIDGE, np.c_[VALUES, -VALUES], {}, KFOLD),
        (RIDGE, VALUES, {"ordered": True}, splitting.TimeSeriesSplit(5)),
        (RIDGE, VALUES, {"groups": GROUPS}, splitting.GroupKFold(5, **SHUFFLED)),
        (RandomForestClassifier(3, random_state=0), np.c_[BINARY, 1 - BINARY], {}, KFOLD),
    ],
)
def test_a_search_scores_as_cross_val_score_does(estimator, y, options, splits):
    experiment, data = made(estimator, y, **options)
    rows, scoring = data.payload.rows, options.get("scoring")
    groups = GROUPS[rows] if "groups" in options else None
    expected = splitting.cross_val_score(
        estimator, X[rows], y[rows], groups=groups, scoring=scoring, cv=splits
    )
    result = trained(experiment, data)
    assert result.arrays["split_scores"] == pytest.approx(expected)
    assert result.metrics[experiment.metric] == pytest.approx(expected.mean())


WHETHER = st.booleans()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(80, 300), st.sampled_from([None, 2, 5]), WHETHER, WHETHER, st.integers(0, 3))
def test_no_sample_scores_twice(n, per_group, is_ordered, is_classified, seed):
    random = np.random.default_rng(n)
    groups = random.permutation(n) // per_group if per_group and not is_ordered else None
    y = np.arange(n) % 4 if is_classified else random.normal(size=n)
    estimator = LINEAR if is_classified else RIDGE
    experiment, data = made(estimator, y, np.zeros((n, 2)), groups, ordered=is_ordered)
    rows, fresh = data.payload.rows, data.payload.fresh
    assert sorted([*rows, *fresh]) == list(range(n))
    scored = []
    for fold in experiment.folds(data, seed, 4):
        trains, scores = fold.data.payload.fold
        assert np.array_equal(fresh[fold.samples], scores)
        assert not {*trains} & {*scores}
        assert {*rows} <= {*trains}, "the search's samples train every fold"
        assert not is_ordered or trains.max() < scores.min()
        assert groups is None or not {*groups[trains]} & {*groups[scores]}
        scored.append(scores)
    everyone = np.concatenate(scored)
    assert len({*everyone} - {*rows}) == len(everyone)
    assert is_ordered or {*everyone} == {*fresh}, "folds 0 to 3 score every fresh sample once"
    assert not is_ordered or rows.max() < fresh.min()
    if groups is not None:
        assert not {*groups[rows]} & {*groups[fresh]}
        for trains, scores in experiment._splits(data.payload):
            assert not {*groups[trains]} & {*groups[scores]}
    elif is_classified and not is_ordered:
        shares = [np.bincount(y[part], minlength=4) for part in (rows, fresh, *scored)]
        assert all(np.ptp(share) <= 2 for share in shares), "each part has its share of a class"


@pytest.mark.parametrize(
    "options", [{"groups": np.arange(N) % 3}, {"groups": GROUPS, "ordered": True}]
)
def test_groups_that_cannot_be_kept_whole_are_refused(options):
    with pytest.raises(ValueError, match="groups"):
        list(SklearnExperiment.folds(*made(**options), 0, 4))


@pytest.mark.parametrize(
    ("estimator", "y", "scorings"),
    [
        (LINEAR, BINARY, ("accuracy", "roc_auc", "f1_macro", "neg_log_loss", "f1")),
        (SVC(), BINARY, ("accuracy", "roc_auc", "f1_macro")),
        (LINEAR, NAMES, ("accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr")),
        (RIDGE, VALUES, ("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error")),
    ],
)
def test_the_values_of_the_samples_of_a_fold_have_the_metric_as_their_mean(estimator, y, scorings):
    for scoring in scorings:
        experiment, data = made(estimator, y, scoring=scoring, test=lambda: (X[:30], y[:30]))
        fold = first_fold(experiment, data)
        result = trained(experiment, fold)
        model = experiment.load_model({}, result.weights, {})
        test = experiment.evaluate(model, experiment.test_set(None))
        for found, rows in ((result, fold.payload.fold[1]), (test, np.arange(30))):
            assert found.metrics[scoring] == get_scorer(scoring)(model, X[rows], y[rows])
            each = found.arrays[f"{scoring}_by_sample"]
            assert each.shape == (len(rows),)
            assert each.mean() == pytest.approx(found.metrics[scoring])


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_weights_reach_the_fit_of_the_last_step(depth):
    estimator, weights = LINEAR, RANDOM.uniform(1, 9, N)
    for _ in range(depth):
        estimator = make_pipeline(FunctionTransformer(), estimator)
    experiment, data = made(estimator, sample_weight=weights)
    fold = first_fold(experiment, data)
    model = experiment.load_model({}, trained(experiment, fold).weights, {})
    rows = fold.payload.fold[0]
    expected = LogisticRegression(C=0.5).fit(X[rows], BINARY[rows], weights[rows])
    assert model.predict_proba(X) == pytest.approx(expected.predict_proba(X))


@pytest.mark.parametrize("estimator", [LINEAR, SVC(), RandomForestClassifier(5)])
def test_a_refit_is_fitted_to_all_samples_and_is_known_by_what_it_says_of_the_search(estimator):
    experiment, data = made(estimator)
    result = experiment.refit(TrialSpec("sweep", 0, 1, 7, {}), data, 1, lambda *_: None)
    assert result.weights["rows"].tolist() == list(range(N))
    model = experiment.load_model({}, result.weights, {})
    (again,) = experiment.recomputed(model, {}, data).values()
    (kept,) = result.arrays.values()
    assert again.tolist() == kept.tolist()
    others = experiment.load_model({}, {**result.weights, "rows": data.payload.fresh}, {})
    (other,) = experiment.recomputed(others, {}, data).values()
    assert other.tolist() != kept.tolist()
    assert not experiment.recomputed(model, {}, data).keys() & trained(experiment, data).arrays


def test_estimators_among_the_values_are_cloned_for_each_training():
    forest = RandomForestClassifier(3)
    trained(*made(make_pipeline(SVC()), values={"svc": {"it": forest}}), svc="it")
    assert forest.random_state is None
    assert not hasattr(forest, "estimators_")


FRAME = pd.DataFrame({"a": X[:, 0]}).assign(b=X[:, 1])


@pytest.mark.parametrize(
    "x",
    [X, X[:, :2], FRAME],
)
def test_the_digest_follows_all_that_trains_and_not_how_it_lies_in_memory(x):
    parts = [{}, {"y": VALUES}, {"x": x + 1}, {"groups": GROUPS}, {"sample_weight": VALUES}]
    assert len({made(**{"x": x} | one)[1].digest for one in parts}) == len(parts)
    assert made(x=x.copy())[1].digest == made(x=x)[1].digest


BETA_1, BETA_5 = (make_scorer(fbeta_score, beta=beta) for beta in (1, 5))
OTHERS = {"estimator": LogisticRegression(C=2)}, {"cv": 3}, {"ordered": True}, {"scoring": "f1"}


@pytest.mark.parametrize("other", [*OTHERS, {"scoring": BETA_5}])
def test_the_identity_follows_estimator_score_and_splits(other):
    assert made(**{"scoring": BETA_1} | other)[0].identity() != made(scoring=BETA_1)[0].identity()
