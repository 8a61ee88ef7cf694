import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from digitexp.apps.explorer import batch
from digitexp.apps.explorer.batch import Row, from_folder, read_rows, sorted_rows, to_csv, unpacked
from digitexp.apps.explorer.session import Choice
from digitexp.data.framing import cut_and_centre
from digitexp.experiments.recorded import CHAMPION
from tests.digitexp.apps.explorer.build_outside import FILE
from tests.digitexp.apps.explorer.test_pictures import file_of, stroke

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
OUTSIDE = np.load(FILE)


@pytest.fixture
def asked(session):
    return session.chosen(Choice("smoke", CHAMPION, None))


def zipped(files) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_mnist_pictures_get_the_answer_of_the_loaders_images(asked):
    images = OUTSIDE["images"][:40]
    rows = read_rows(asked, [(f"{i}.png", file_of(one)) for i, one in enumerate(images)])
    loaded = np.stack([cut_and_centre(one, (20, 20)) for one in images]).astype(np.float32) / 255
    expected = asked.answers(loaded)
    assert [row.answer for row in rows] == [one.first for one in expected]
    np.testing.assert_allclose(
        [row.probability for row in rows], [one.probability for one in expected], atol=1e-5
    )
    assert rows[0].picture.startswith("data:image/png;base64,")
    assert rows[0].trial == asked.trial.name


def test_a_line_for_every_file_also_for_what_is_no_picture(asked):
    blank, words = file_of(np.full((50, 50), 255, np.uint8)), b"words"
    inner = zipped({"a/1.png": file_of(stroke(40, 255, 0)), "notes.txt": words})
    torn = inner[: len(inner) // 2]
    files = unpacked([("x.zip", inner), ("blank.png", blank), ("y.zip", torn), ("z.txt", words)])
    notes = {row.file: (row.answer, row.note) for row in read_rows(asked, files)}
    assert list(notes) == ["x.zip/a/1.png", "x.zip/notes.txt", "blank.png", "y.zip", "z.txt"]
    assert notes["x.zip/a/1.png"][0] in asked.trial.class_names
    assert notes["x.zip/notes.txt"] == ("", "no picture: PNG and JPEG are read")
    assert notes["blank.png"] == ("", "blank: no ink on it")
    assert notes["y.zip"][1].startswith("a damaged zip")


def test_a_zip_that_would_fill_the_memory_is_refused(asked, monkeypatch):
    monkeypatch.setattr(batch, "MOST_UNPACKED", 1000)
    monkeypatch.setattr(batch, "MOST_BYTES", 100)
    monkeypatch.setattr(batch, "MOST_FILES", 2)
    found = dict(unpacked([("bomb.zip", zipped({"a": b"0" * 2000}))]))
    assert "more than" in found["bomb.zip"]
    assert "at most" in dict(unpacked([("large.zip", zipped({"a": b"0" * 200}))]))["large.zip/a"]
    many = dict(unpacked([("many.zip", zipped(dict.fromkeys("abc", b"")))]))
    assert many == {
        "many.zip/a": b"",
        "many.zip/b": b"",
        "many.zip": "3 files: the first 2 are read",
    }


def test_a_folder_is_read_and_no_folder_in_it(asked, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "secret.png").write_bytes(file_of(stroke(40, 255, 0)))
    (tmp_path / "b.jpg").write_bytes(file_of(stroke(80, 255, 0), "JPEG"))
    (tmp_path / "a.txt").write_text("words")
    rows = read_rows(asked, from_folder(tmp_path))
    assert [row.file for row in rows] == ["a.txt", "b.jpg"]
    for folder, said in [("some/where", "whole path"), (tmp_path / "away", "No such file")]:
        with pytest.raises(ValueError, match=said):
            list(from_folder(type(tmp_path)(folder)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no file in it"):
        list(from_folder(tmp_path / "empty"))


def test_rows_are_sorted_and_those_without_an_answer_stay_last():
    rows = [{"file": n, "probability": p} for n, p in (("a", 0.5), ("b", None), ("c", 0.9))]
    names = [r["file"] for r in sorted_rows(rows, "probability", falling=False)]
    assert names == ["a", "c", "b"]
    names = [r["file"] for r in sorted_rows(rows, "probability", falling=True)]
    assert names == ["c", "a", "b"]


def test_csv_holds_everything_but_pictures_and_no_formula(asked):
    rows = read_rows(asked, [("=1+2.png", file_of(stroke(40, 255, 0))), ("ä,b.txt", b"?")])
    read = list(csv.DictReader(io.StringIO(to_csv([row.to_dict() for row in rows]))))
    assert [one["file"] for one in read] == ["'=1+2.png", "ä,b.txt"]
    assert read[0]["answer"] == rows[0].answer
    assert float(read[0]["probability"]) == rows[0].probability
    assert read[1]["note"] == "no picture: PNG and JPEG are read"
    assert "picture" not in read[0]


def test_what_the_kernel_makes_up_is_not_waited_for():
    """Reading /proc/kmsg lasts until the kernel says something; all of these have no size."""
    rows = dict(from_folder(Path("/proc")))
    assert rows["meminfo"] == "it is empty"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n=", " ="])
@pytest.mark.parametrize("column", ["file", "answer", "second", "note", "trial"])
def test_no_text_of_the_table_is_a_formula(start, column):
    row = {**Row("a").to_dict(), column: f"{start}cmd()"}
    (read,) = csv.DictReader(io.StringIO(to_csv([row]), newline=""))
    assert read[column] == f"'{start}cmd()"
