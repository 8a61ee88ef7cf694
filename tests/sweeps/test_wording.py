"""Messages that advise a command name one that works as it stands."""

from __future__ import annotations

import json
import shlex
import sys
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import pytest

from sweeps import wording
from sweeps.interval import Interval
from sweeps.wording import (
    format_lead,
    fresh_name,
    how_to_install,
    install_command,
    lead_in_words,
    plus_minus,
    unsigned_span,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("metric", "called"),
    [
        ("best_val_mae", "mae"),
        ("best_val_kind_auc", "kind_auc"),
        ("best_val_accuracy", "accuracy"),
        ("val_loss", "loss"),
        ("best_val_", "best_val_"),
        ("interval_score", "interval_score"),
        ("rmse", "rmse"),
    ],
)
def test_on_fresh_folds_no_metric_has_the_name_of_the_validation_sets(metric, called):
    assert fresh_name(metric) == called


@pytest.mark.parametrize(
    ("metric", "direction", "value", "lead"),
    [
        ("best_val_accuracy", "maximize", 0.25, "+5.00 points"),
        ("best_val_accuracy", "minimize", 0.25, "-5.00 points"),
        ("best_val_mae", "minimize", 0.15, "0.0500 better"),
        ("best_val_mae", "minimize", 0.25, "0.0500 worse"),
        ("score", "maximize", 0.25, "0.0500 better"),
        ("score", "maximize", 0.15, "0.0500 worse"),
    ],
)
def test_plus_and_better_are_better_whichever_way_a_metric_goes(metric, direction, value, lead):
    assert format_lead(metric, direction, value, 0.2) == lead


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Return a function that says what pip noted of the install; none of it is in a clone."""

    class Noted(Distribution):
        def __init__(self, note):
            self.note = note

        def read_text(self, filename):
            return self.note if filename == "direct_url.json" else None

        def locate_file(self, path):
            raise NotImplementedError

    def command(note):
        text = None if note is None else json.dumps(note)
        monkeypatch.setattr(wording, "distribution", lambda _: Noted(text))
        return install_command("dashboard", tmp_path)

    return command


def test_in_a_clone_the_extra_is_installed_with_its_pins(monkeypatch):
    monkeypatch.chdir(ROOT)
    pip = f"{sys.executable} -m pip install"
    if Path(sys.executable).is_relative_to(ROOT):
        pip = pip.replace(f"{ROOT}/", "")
    assert install_command("dashboard") == f"{pip} -e '.[dashboard]' -c constraints.txt"


def test_elsewhere_the_clone_is_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = install_command("dashboard")
    assert said.endswith(f" -m pip install -e '{ROOT}[dashboard]' -c {ROOT}/constraints.txt")


@pytest.mark.parametrize(
    ("note", "named"),
    [
        (None, "digit-sweeps[dashboard]"),
        (
            {"url": "file:///tmp/digit_sweeps-0.1.0-py3-none-any.whl", "archive_info": {}},
            "digit-sweeps[dashboard] @ file:///tmp/digit_sweeps-0.1.0-py3-none-any.whl",
        ),
        (
            {"url": "https://git.example/s", "vcs_info": {"vcs": "git", "commit_id": "1a2b"}},
            "digit-sweeps[dashboard] @ git+https://git.example/s@1a2b",
        ),
    ],
    ids=["of an index", "of a file", "of a repository"],
)
def test_without_a_clone_it_is_named_as_it_was_installed(
    installed, note, named, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)  # from where the interpreter is named in full
    assert installed(note) == f"{sys.executable} -m pip install '{named}'"


def test_where_pip_knows_of_no_install_the_name_is_all(monkeypatch, tmp_path):
    def unknown(_):
        raise PackageNotFoundError

    monkeypatch.setattr(wording, "distribution", unknown)
    assert install_command("docs", tmp_path).endswith("pip install 'digit-sweeps[docs]'")


def test_a_package_of_an_extra_is_installed_by_it():
    said = how_to_install(["tensorflow", "keras.layers", "torch"])
    assert said == f"; install the extra 'keras': {install_command('keras')}"
    assert how_to_install(["torch", ""]) == ""


def test_a_shell_reads_the_command_as_it_is_meant(monkeypatch, tmp_path):
    project = tmp_path / "it's $HOME"
    project.mkdir()
    (project / "pyproject.toml").touch()
    words = shlex.split(install_command("docs", project))
    assert words[-4:] == ["-e", f"{project}[docs]", "-c", f"{project}/constraints.txt"]


def test_a_number_has_the_decimals_that_its_interval_supports():
    found = [
        Interval(0.83063, 0.7674, 0.8939, "number"),
        Interval(45012.3, 44100.0, 45900.0, "number"),
    ]
    assert [plus_minus(one) for one in found] == ["0.831±0.063", "45012±912"]
    assert plus_minus(Interval(0.84, 0.6, 1.0, "number")) == "0.84±0.24"  # cut above
    lead = Interval(0.0312, -0.001, 0.064, "number")
    assert lead_in_words(lead) == "0.031 better"
    assert lead_in_words(-lead) == "0.031 worse"
    assert lead_in_words(Interval(0.0046, -0.001, 0.01)) == "+0.46 points"
    assert unsigned_span(found[0]) == "0.767 to 0.894"


@pytest.mark.parametrize(
    ("count", "shown"), [(0, 0), (7, 7), (99, 99), (136, 140), (583891, 580000)]
)
def test_an_estimated_number_says_no_more_than_two_digits(count, shown):
    assert wording.rough(count) == shown
