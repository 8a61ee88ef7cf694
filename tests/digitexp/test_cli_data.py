import json
import sys

import numpy as np
import pytest

from digitexp.cli import main


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Return a function that runs `digitexp ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["digitexp", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_the_default_source_is_shown_as_a_table(run, tmp_path):
    code, out, err = run("data")
    assert (code, err) == (0, "")
    for fact in ("digits20", "20x20", "pixels divided by 255", "a9ac799e", "cad53c43", "f4f39ca2"):
        assert fact in out
    assert "4000" in out
    assert "--preview FILE.png" in out
    assert list(tmp_path.iterdir()) == []


def test_json_holds_every_fact(run):
    code, out, err = run("data", "sklearn-digits", "--json", "--split-seed", "3")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert facts["shape"] == [8, 8]
    assert facts["pixels"] == [0.0, 1.0]
    assert facts["test_digest"] is None
    assert facts["split"]["seed"] == 3
    assert facts["split"]["train"] + facts["split"]["validation"] == 1797
    assert sum(row["validation"] for row in facts["classes"].values()) == 359


def test_another_split_seed_gives_another_split(run):
    digests = {
        json.loads(run("data", "--json", "--split-seed", seed)[1])["split"]["digest"]
        for seed in ("0", "1")
    }
    assert len(digests) == 2


def test_the_preview_is_written_and_said(run, tmp_path):
    code, out, _ = run("data", "--preview", "look.png")
    assert code == 0
    assert "preview: look.png" in out
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")


def test_square_brackets_in_a_name_are_shown_as_they_are(run, tmp_path):
    images = np.arange(40 * 16, dtype=np.uint16).reshape(40, 4, 4) % 251
    path = tmp_path / "my [bold] set.npz"
    np.savez(path, images=images.astype(np.uint8), labels=np.arange(40) % 2)
    assert "my [bold] set" in run("data", str(path))[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digit20"], "Did you mean 'digits20'?"),
        (["no/such/folder"], "no file or folder of that name"),
        (["--preview", "look.jpg"], "expected a file name ending in .png"),
        (["--preview", "no/look.png"], "there is no folder 'no'"),
        (["--split-seed", "-1"], "--split-seed"),
        (["--prevew", "look.png"], "--prevew"),
        (["digits20", "extra"], "extra"),
        (["."], "a folder without either"),
    ],
)
def test_a_mistake_is_one_message_exit_2_and_leaves_nothing(run, tmp_path, arguments, message):
    code, out, err = run("data", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_as_preview_is_refused(run, tmp_path):
    (tmp_path / "a.png").mkdir()
    code, _, err = run("data", "--preview", "a.png")
    assert code == 2
    assert "is a folder" in err


def test_help_names_both_commands(run):
    code, out, _ = run("--help")
    assert code == 0
    assert "data" in out
    assert "train" in out
