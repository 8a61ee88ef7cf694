"""`sweeps confirm A B --test` of sweeps that have no test set in common."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.confirm.access_log import AccessLog, Entry
from sweeps.home import Home
from tests.sweeps.voting_experiment import SPACE

PART = "ce" * 32  # the digest of the experiment's test set
EXPERIMENT = "tests.sweeps.voting_experiment:experiment"


@pytest.fixture
def run(tmp_path, make_home, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "same_answers.py").write_text(
        "from tests.sweeps.voting_experiment import experiment\n__all__ = ['experiment']\n"
    )

    def run(name, experiment=EXPERIMENT, **options):
        space = tmp_path / f"{name}.yaml"
        space.write_text(SPACE.replace(EXPERIMENT, experiment))
        options = {"trials": 2, "workers": 0, "progress": "quiet", **options}
        return sweeps.run(str(space), name=name, home=make_home(), **options)

    return run


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "other",
    [
        {"data": "others"},
        {"data": "drawn"},  # of the same name, but what it holds has changed
        {"experiment": "same_answers:experiment"},
    ],
    ids=["another source", "a source that changed", "another experiment"],
)
def test_it_is_refused_before_anything_is_trained_or_read(run, make_home, other):
    one, two = run("one"), run("two", **other)
    home = Home(make_home())
    access_log = AccessLog(home, PART)
    entry = Entry(one.info.id, "one", "winner", "trial-1", one.info.id, ["0000-1"], ["w"])
    evaluation = access_log.freeze([entry], ["accuracy"], "")
    access_log.keep(evaluation, {"labels": np.arange(3)})
    before = contents(home.path / "test"), contents(home.sweeps_folder)
    # With a reason: nothing but the data stands in the way of another evaluation.
    words = ["confirm", "one", "two", "--test", "--again", "both at once", "--workers", "0"]
    refused = CliRunner().invoke(app, [*words, "--home", str(home.path)])
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert refused.stderr == (
        "error: --test reads one test set: name sweeps of one experiment and one source\n"
    )
    assert (contents(home.path / "test"), contents(home.sweeps_folder)) == before
    assert access_log.all() == [evaluation]
    assert {info.name for info in home.sweeps()} == {one.name, two.name}
