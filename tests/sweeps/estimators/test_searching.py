"""A search in one call, the estimator that it is, and the same in a file by the commands."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import loguniform, rankdata
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RandomizedSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import estimator_checks_generator
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.errors import UsageError
from sweeps.estimators import searching
from tests.sweeps.conftest import table
from tests.sweeps.estimators.test_experiment import BINARY, NAMES, X
from tests.sweeps.estimators.test_spaces import CONDITIONAL
from tests.tools import need

SPACE = {"C": loguniform(1e-3, 10), "class_weight": [None, "balanced"]}
QUIET = {"workers": 0, "progress": "quiet"}


class Counting(LogisticRegression):
    fits = 0

    def fit(self, *parts, **more):
        Counting.fits += 1
        return super().fit(*parts, **more)


@pytest.fixture
def search(make_home):
    def search(estimator=None, space=SPACE, y=NAMES, x=X, home="home", **options):
        options = QUIET | {"trials": 4, "home": home and make_home(home)} | options
        return sweeps.search(estimator or LogisticRegression(), space, x, y, **options)

    return search


@pytest.fixture
def _migrated(monkeypatch, migrated_database):
    """Put an empty MLflow store into the temporary home of a search: its migrations take long."""

    def made(**options):
        folder = tempfile.TemporaryDirectory(**options)
        shutil.copy(migrated_database, f"{folder.name}/mlflow.db")
        return folder

    monkeypatch.setattr(searching, "tempfile", SimpleNamespace(TemporaryDirectory=made))


def test_the_best_of_all_answers_as_an_estimator_of_scikit_learn(search):
    found = search(scoring="neg_log_loss", cv=3)
    results, model = found.cv_results_, LogisticRegression(**found.best_params_).fit(X, NAMES)
    theirs = RandomizedSearchCV(LogisticRegression(), SPACE, n_iter=2, cv=3).fit(X, NAMES)
    timed = {"std_fit_time", "mean_score_time", "std_score_time"}
    assert results.keys() == theirs.cv_results_.keys() - timed
    means = results["mean_test_score"]
    assert results["rank_test_score"].tolist() == rankdata(-means, "min").tolist()
    assert (found.best_score_, found.best_index_) == (means.max(), means.argmax())
    assert found.best_params_ == results["params"][found.best_index_]
    assert found.classes_.tolist() == ["no", "perhaps", "yes"]
    assert np.array_equal(found.predict(X), model.predict(X))
    assert found.predict_proba(X) == pytest.approx(model.predict_proba(X))
    assert found.score(X, NAMES) == pytest.approx(found.scorer_(model, X, NAMES))
    assert not hasattr(search(refit=False, name="other"), "predict")


def test_what_a_kernel_does_not_have_is_masked(search, tmp_path):
    (tmp_path / "svc.yaml").write_text(CONDITIONAL)
    found = search(SVC(), tmp_path / "svc.yaml", trials=8).cv_results_
    assert list(found["param_gamma"].mask) == [one["kernel"] == "linear" for one in found["params"]]


@pytest.mark.parametrize("sizes", [[(2,), (2, 3)], [(2, 2), (3, 3)]])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_tuples_are_values(search, sizes):
    found = search(MLPClassifier(max_iter=2), {"hidden_layer_sizes": sizes}, trials=2, cv=2)
    assert {one["hidden_layer_sizes"] for one in found.cv_results_["params"]} == set(sizes)
    assert found.best_estimator_.hidden_layer_sizes == found.best_params_["hidden_layer_sizes"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"space": {"C": 3}}, "C: received 3"),
        ({"space": {"Q": [1, 2]}}, "has no parameter 'Q'"),
        ({"name": "a b"}, "sweep name 'a b'"),
        ({"data": "digits"}, "the samples are X and y"),
        ({"scoring": ["r2", "accuracy"]}, "scoring"),
    ],
)
def test_a_mistake_is_one_usage_error_and_creates_nothing(tmp_path, options, said):
    options = {"space": SPACE, "home": tmp_path / "none"} | QUIET | options
    with pytest.raises(UsageError) as raised:
        sweeps.search(LogisticRegression(), X=X, y=NAMES, **options)
    assert said in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_the_same_search_goes_on_and_another_of_its_name_is_refused(search):
    Counting.fits = 0
    first = search(Counting())
    assert Counting.fits == 4 * 5 + 1
    more = search(Counting(), trials=6)
    assert Counting.fits == 6 * 5 + 2, "two trials more, and the best again"
    assert more.cv_results_["params"][:4] == first.cv_results_["params"]
    others = {"estimator": Counting(tol=0.1)}, {"x": X + 1}, {"y": BINARY}, {"scoring": "f1_macro"}
    for other in others:
        with pytest.raises(UsageError, match="Counting"):
            search(**{"estimator": Counting()} | other)
    assert Counting.fits == 6 * 5 + 2


@pytest.mark.usefixtures("_migrated")
def test_without_a_home_nothing_is_left(search, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = search(home=None)
    assert (found.sweep_, list(tmp_path.iterdir())) == (None, [])
    assert found.best_params_ == search(home="home").best_params_


def test_too_few_samples_are_searched_and_a_confirmation_says_how_many_it_needs(search):
    found = search(x=X[:70], y=NAMES[:70])
    with pytest.raises(UsageError, match=r"70 samples are too few .* 80 or more are needed"):
        found.sweep_.confirm(folds=8, top=2, progress="quiet")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_has_the_same_trials(search, workers):
    alone, others = search(), search(home="other", workers=workers)
    assert table(alone.sweep_) == table(others.sweep_)
    assert alone.best_score_ == others.best_score_


@pytest.mark.slow
def test_an_export_needs_no_pickle_and_other_processes_say_where_the_search_is(
    search, tmp_path, monkeypatch
):
    sweep = search().sweep_
    sweeps.export(sweep, tmp_path / "out", trial=0)
    code = (tmp_path / "out" / "README.md").read_text().split("```")[1].removeprefix("python")
    words = [sys.executable, "-I", "-c", f"{code}\nprint(*model.predict({X[:20].tolist()}))"]
    ran = subprocess.run(words, cwd=tmp_path / "out", capture_output=True, text=True, check=True)
    answers = sweep.trial(0).load_model().predict(X[:20]).tolist()
    assert ran.stdout.split() == answers
    container = re.search(r"`(mlflow models .*)`\n# (.*)", code)
    served = f"print(*mlflow.pyfunc.load_model('served').predict({X[:20].tolist()}))"
    words[3:] = [f"{code}\n{container[2]}\n{served}"]
    monkeypatch.delenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION")  # as MLflow has it for its users
    ran = subprocess.run(words, cwd=tmp_path / "out", capture_output=True, text=True, check=True)
    assert ran.stdout.split() == answers
    words = [sys.executable, "-m", *container[1].split()]
    subprocess.run(words, cwd=tmp_path / "out", check=True)
    assert "_serve(" in (tmp_path / "out" / "image" / "Dockerfile").read_text()
    words = [sys.executable, "-m", "sweeps", "confirm", sweep.info.name, "--home", sweep.home.path]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "exists only where its search was called" in ran.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if path.read_bytes()[:2] in (b"\x80\x04", b"\x80\x05")]


@pytest.mark.nightly
def test_boosted_trees_of_another_library_are_searched_confirmed_and_exported(search, tmp_path):
    need("lightgbm")
    from lightgbm import LGBMClassifier

    space = {"num_leaves": [4, 8, 16], "learning_rate": loguniform(0.01, 0.3)}
    x, y = make_classification(400, random_state=0)
    found = search(LGBMClassifier(n_estimators=20, verbose=-1), space, y, x, scoring="roc_auc")
    conclusions = found.sweep_.confirm(folds=8, top=2, progress="quiet")
    assert any("model is verified" in one.lead for one in conclusions)
    sweeps.export(found.sweep_, tmp_path / "out")  # loads it in an empty process
    assert "lightgbm.basic.Booster" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
def test_the_champion_of_an_own_score_is_verified(search):
    found = search(scoring=lambda model, x, y: float(np.mean(model.predict(x) == y)))
    conclusions = found.sweep_.confirm(folds=8, top=2, progress="quiet")
    assert any("model is verified" in one.lead for one in conclusions)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["neg_mean_absolute_error", "r2"])
def test_an_experiment_in_a_file_does_all_that_commands_ask(tmp_path, make_home, metric):
    def run(*words):
        ran = CliRunner().invoke(app, [*map(str, words)])
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    run("init", tmp_path / "own", "--kind", "scikit-learn")
    file, space = tmp_path / "own" / "experiment.py", tmp_path / "own" / "space.yaml"
    text = file.read_text().replace("# test=load_test", "test=load").replace("=50", "=5")
    file.with_name("boosted.py").write_text(text.replace("neg_mean_absolute_error", metric))
    text = space.read_text().replace("experiment: experiment", "experiment: boosted")
    space.write_text(text.replace("neg_mean_absolute_error", metric))
    home = "--home", make_home()
    run("run", space, "--name", "own", "--trials", 4, "--workers", 0, *home)
    assert "An ensemble" in run("best", "own", "--ensemble", *home)
    words = "--folds", 8, "--top", 2, "--workers", 0, "--json"
    found = json.loads(run("confirm", "own", *words, "--test", *home))
    assert (found["metric"], found["method"]) == (metric, "samples and seeds")
    run("export", "own", tmp_path / "out", *home)
    assert (tmp_path / "out" / "model.skops").is_file()
    whole = json.loads(run("confirm", "own", *words, "--refit", *home))
    assert whole["refit"] == "own-refit"
    run("export", "own", tmp_path / "all", *home)
    assert "samples equal those" in (tmp_path / "all" / "README.md").read_text()


CHECKED = sweeps.SweepSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, trials=2, cv=2, **QUIET)
CHECKS = [check for _, check in estimator_checks_generator(CHECKED)]


@pytest.mark.slow
@pytest.mark.usefixtures("_migrated")
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # scikit-learn's own
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.func.__name__)
def test_it_is_an_estimator_of_scikit_learn(check):
    if "array_api" not in check.func.__name__:  # other libraries of arrays
        check(CHECKED)
