"""Which code may rebuild a registered model."""

import warnings

import pytest

from sweeps.records.code import ExperimentCode, SourceFile

OWN = {"net.py": SourceFile("a" * 64)}
SHIPPED = {"digitexp/models.py": SourceFile("b" * 64)}
EDITED = {"digitexp/models.py": SourceFile("c" * 64)}


@pytest.fixture(scope="module")
def may_rebuild():
    with warnings.catch_warnings():  # of MLflow's own, while it reads the class
        warnings.simplefilter("ignore")
        from sweeps.tracking.served_model import _may_rebuild
    return _may_rebuild


def told_by(code):
    return {"code": [code.digest], "shipped": [code.identity]}


@pytest.mark.parametrize(
    ("files", "then", "now", "may"),
    [
        ({}, 2, 2, False),  # edited within a revision
        ({}, 1, 2, True),
        ({}, 1, 3, True),
        ({}, 2, 1, False),  # an earlier one knows nothing of later ones
        (OWN, 1, 2, False),  # the number says nothing of a user's own code
    ],
)
def test_a_later_revision_rebuilds_the_models_of_the_earlier_ones(
    may_rebuild, files, then, now, may
):
    recorded = ExperimentCode(files, then, shipped=SHIPPED)
    assert may_rebuild(recorded, told_by(recorded))
    assert may_rebuild(ExperimentCode(files, now, shipped=EDITED), told_by(recorded)) is may
