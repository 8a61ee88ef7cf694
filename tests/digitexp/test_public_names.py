"""Names of experiments in spaces and records that are older than the modules' places."""

import subprocess
import sys

import pytest

from digitexp import PUBLIC_NAMES
from search_spaces.loading import load_space
from sweeps.experiments.loading import load_experiment

STORED = {
    "digitexp.experiment:experiment": "digits",
    "digitexp.experiment:experiment@folds": "digits",
    "digitexp.keras_experiment.applications:experiment": "applications",
}


@pytest.mark.parametrize(("path", "name"), STORED.items())
def test_a_stored_path_is_the_experiment_of_its_module(path, name):
    assert load_experiment(path, None).name == name


def test_a_space_that_ships_names_a_stored_path():
    assert load_space("smoke").experiment in STORED


@pytest.mark.parametrize("old_first", [True, False])
@pytest.mark.parametrize("public", PUBLIC_NAMES)
def test_both_names_are_one_module_whichever_is_imported_first(public, old_first):
    names = [public, PUBLIC_NAMES[public]]
    if public == "digitexp.keras_experiment":
        names = [f"{name}.applications" for name in names]
    names = names if old_first else names[::-1]
    code = (
        "import importlib, sys; "
        f"one, other = map(importlib.import_module, {names!r}); "
        "assert one is other, (one, other); "
        "assert one.__name__ == one.__spec__.name; "
        "assert sys.modules[one.__name__] is one; "
        "assert one.__name__.startswith('digitexp.experiments.')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_program_writes_goes_on_working():
    from digitexp.experiment import DigitExperiment
    from digitexp.keras_experiment import KerasExperiment

    assert DigitExperiment.__module__ == "digitexp.experiments.digits"
    assert KerasExperiment.__module__ == "digitexp.experiments.keras_experiment.experiment"
    with pytest.raises(ModuleNotFoundError, match=r"named 'digitexp\.keras_experiment\.nothing'"):
        __import__("digitexp.keras_experiment.nothing")
