"""The components are scikit-learn's, and what they restore is what they stand for."""

import numpy as np
import pytest

from digitexp.pages.decision_regions import AT_ONCE, PrincipalComponents
from tests.digitexp.pages.factories import make_trial


@pytest.fixture(scope="module")
def vectors():
    images = make_trial().train_images
    return images.reshape(len(images), -1)


def test_components_and_shares_are_those_of_scikit_learn(vectors):
    from sklearn.decomposition import PCA

    expected = PCA(3, svd_solver="full").fit(vectors.astype(np.float64))
    found = PrincipalComponents.fit(vectors)
    np.testing.assert_allclose(found.mean, expected.mean_, atol=1e-7)
    np.testing.assert_allclose(found.shares, expected.explained_variance_ratio_, rtol=1e-6)
    signs = np.sign((found.components * expected.components_).sum(axis=1))
    np.testing.assert_allclose(found.components, expected.components_ * signs[:, None], atol=1e-6)
    np.testing.assert_allclose(
        found.project(vectors), expected.transform(vectors.astype(np.float64)) * signs, atol=1e-5
    )


def test_more_vectors_than_are_taken_at_once_give_what_numpy_gives():
    vectors = np.random.default_rng(0).normal(size=(AT_ONCE + 700, 5)) * [5, 4, 3, 2, 1] + 10
    values = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    np.testing.assert_allclose(PrincipalComponents.fit(vectors).shares, values[:3] / values.sum())


def test_the_largest_entry_of_a_component_is_positive_whatever_the_order_of_the_vectors(vectors):
    found, mirrored = PrincipalComponents.fit(vectors), PrincipalComponents.fit(-vectors[::-1])
    largest = np.abs(found.components).argmax(axis=1)
    assert (found.components[np.arange(3), largest] > 0).all()
    np.testing.assert_allclose(mirrored.components, found.components, atol=1e-6)


def test_points_of_the_slice_are_restored_and_lie_where_they_were(vectors):
    found = PrincipalComponents.fit(vectors)
    points = np.array([[0.0, 0, 0], [1, -2, 0.5]])
    np.testing.assert_allclose(found.restore(points)[0], found.mean)
    np.testing.assert_allclose(found.project(found.restore(points)), points, atol=1e-12)


def test_vectors_that_are_all_alike_have_no_variance():
    found = PrincipalComponents.fit(np.full((4, 6), 0.5))
    assert found.shares.tolist() == [0, 0, 0]
    assert np.isfinite(found.project(np.ones((1, 6)))).all()


@pytest.mark.parametrize("shape", [(0, 5), (4, 2)])
def test_nothing_to_project_is_refused(shape):
    with pytest.raises(ValueError, match="1 or more, 3 or more"):
        PrincipalComponents.fit(np.ones(shape))
