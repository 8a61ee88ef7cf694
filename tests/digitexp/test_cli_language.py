"""--language and --font, and their variables, on every command that draws."""

import sys

import pytest

from digitexp.cli import main
from tests.tools import need

COMMANDS = {
    "activations": ["activations", "picture.png"],
    "data": ["data", "sklearn-digits", "--preview", "picture.png"],
    "evaluate": ["evaluate", "run"],
    "train": ["train", "--output", "run", "--data", "sklearn-digits", "--epochs", "1", "--quiet"],
}


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run `digitexp` in an empty folder; return its exit code and what it said on stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["digitexp", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, capsys.readouterr().err

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_font_there_is_one_message_and_nothing_is_made(
    run, tmp_path, tmp_path_factory, command
):
    empty = tmp_path_factory.mktemp("no fonts")
    code, message = run(*COMMANDS[command], "--language", "zh", "--font", empty)
    assert code == 2
    assert message.startswith("digitexp: --language zh needs a font")
    assert message.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_variables_say_the_same_as_the_options(run, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("DIGITEXP_LANGUAGE", "zh")
    monkeypatch.setenv("DIGITEXP_FONT", str(tmp_path_factory.mktemp("no fonts")))
    assert run("activations")[0] == 2
    assert run("data", "sklearn-digits")[0] == 0  # draws nothing
    assert run("activations", "--language", "en")[0] == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_another_language_is_refused(run, tmp_path, command):
    code, message = run(*COMMANDS[command], "--language", "fr")
    assert code == 2
    assert "'fr'" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("command", ["activations", "data", "train"])
def test_with_a_font_pictures_differ_in_their_words_only(run, tmp_path, command):
    need("a Chinese font")
    assert run(*COMMANDS[command])[0] == 0
    english = contents(tmp_path)
    more = ["--language", "zh", *(["--overwrite"] if command == "train" else [])]
    assert run(*COMMANDS[command], *more)[0] == 0
    chinese = contents(tmp_path)
    changed = {name for name in english if english[name] != chinese[name]}
    assert english.keys() == chinese.keys()
    assert {name for name in english if name.endswith(".png")} == changed - {"metrics.json"}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_what_is_drawn_of_a_training_differs_in_its_words_only(run, tmp_path):
    need("a Chinese font")
    assert run(*COMMANDS["train"])[0] == 0
    assert run(*COMMANDS["evaluate"])[0] == 0
    english = contents(tmp_path)
    assert run(*COMMANDS["evaluate"], "--language", "zh")[0] == 0
    chinese = contents(tmp_path)
    changed = {name for name in english if english[name] != chinese[name]}
    assert changed == {"predictions.png", "errors.png"}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
