"""The framework from Python: what `import sweeps` offers beyond running a sweep."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sweeps
from search_spaces.loading import load_space
from search_spaces.python_space import space
from sweeps.errors import UsageError
from tests.sweeps.conftest import table

ROOT = Path(__file__).parents[2]
SPACE = """
@space(
    experiment="{experiment}",
    objective={{"metric": "score", "direction": "maximize"}},
    defaults={{"trials": 3, "sampler": "random"}},
)
def line(trial):
    return {{"x": trial.suggest_float("x", -1, 1), "epochs": 1}}
"""
SCRIPT = f"""
import sweeps
from search_spaces.python_space import space
from tests.sweeps.toy_experiment import experiment

{SPACE}
def run(**options):
    return sweeps.run(line, home="home", progress="quiet", **options)
"""


@space(
    experiment="tests.sweeps.toy_experiment:experiment",
    objective={"metric": "score", "direction": "maximize"},
    defaults={"trials": 3, "sampler": "random"},
)
def line(trial):
    """One parameter."""
    return {"x": trial.suggest_float("x", -1, 1), "epochs": 1}


def spaces_of_a_loop(high):
    @space(
        experiment="tests.sweeps.toy_experiment:experiment",
        objective={"metric": "score", "direction": "maximize"},
        defaults={"trials": 3, "sampler": "random"},
    )
    def line(trial):
        return {"x": trial.suggest_float("x", -1, high), "epochs": 1}

    return line


def python(folder, text, *arguments):
    """Run a script in a folder as its user would; return its outcome."""
    (folder / "search.py").write_text(text)
    return subprocess.run(
        [sys.executable, *(arguments or ("search.py",))],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_space_may_be_a_function_its_path_a_file_or_an_object(make_home, toy_space, monkeypatch):
    quiet = {"progress": "quiet", "workers": 0}
    by_function = sweeps.run(line, home=make_home("function"), **quiet)
    by_path = sweeps.run(f"{__name__}:line", home=make_home("path"), **quiet)
    by_object = sweeps.run(load_space(f"{__name__}:line"), home=make_home("object"), **quiet)
    assert by_function.name == "line"
    assert table(by_function) == table(by_path) == table(by_object)
    assert by_function.info.fingerprint == by_path.info.fingerprint == by_object.info.fingerprint
    assert len(sweeps.run(toy_space, home=make_home("file"), trials=1, **quiet).rows()) == 1


def test_workers_train_what_a_function_defined_in_a_function_proposes(make_home):
    home = make_home()
    sweep = sweeps.run(spaces_of_a_loop(1), home=home, workers=1, progress="quiet")
    again = sweeps.run(spaces_of_a_loop(1), home=home, workers=0, progress="quiet", trials=4)
    assert [row.state for row in again.rows()] == ["COMPLETE"] * 4
    assert again.info.id == sweep.info.id
    with pytest.raises(UsageError, match="exists with other options .space"):
        sweeps.run(spaces_of_a_loop(0.5), home=home, workers=0, progress="quiet")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (lambda trial: {}, "the function says no objective; decorate the function"),
        (7, "space 7: received int; give a name of the catalogue, the path of a .yaml file"),
        (Path("nowhere.yaml"), "nowhere.yaml: no such file"),
    ],
    ids=["undecorated", "number", "missing file"],
)
def test_what_is_no_space_is_refused(make_home, given, expected):
    with pytest.raises(UsageError, match=expected):
        sweeps.run(given, home=make_home(), progress="quiet")


@pytest.mark.slow
def test_a_script_gives_its_function_to_workers_and_other_processes_find_it(tmp_path, make_home):
    make_home("home")
    text = SCRIPT.format(experiment="tests.sweeps.toy_experiment:experiment")
    ran = python(tmp_path, text + 'if __name__ == "__main__":\n    run(workers=2)\n')
    assert ran.returncode == 0, ran.stderr
    sweep = sweeps.load("line", tmp_path / "home")
    assert sweep.info.space["body"]["function"] == "search:line"
    assert [row.state for row in sweep.rows()] == ["COMPLETE"] * 3
    more = python(tmp_path, text, "-c", "import search; print(len(search.run(trials=4).rows()))")
    assert (more.stdout, more.returncode) == ("4\n", 0), more.stderr


@pytest.mark.slow
def test_a_script_whose_experiment_is_in_itself_needs_a_guard_to_have_workers(tmp_path, make_home):
    make_home("home")
    text = SCRIPT.format(experiment="search:experiment")
    unguarded = python(tmp_path, text + "run(workers=1)\n")
    assert "search runs a sweep while it is imported" in unguarded.stderr
    assert not list((tmp_path / "home").rglob("*.record"))
    guarded = python(tmp_path, text + 'if __name__ == "__main__":\n    run(workers=1)\n')
    assert guarded.returncode == 0, guarded.stderr
    here = python(
        tmp_path, SCRIPT.format(experiment="__main__:experiment") + "run(workers=2, name='here')\n"
    )
    assert "workers 2: __main__:experiment exists in this notebook or script only" in here.stderr
    assert "or write search:experiment" in here.stderr
