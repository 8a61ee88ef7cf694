"""The whole way in one notebook: what is committed is what an execution gives."""

import copy
import re
from itertools import pairwise

import pytest

NAME = "handwritten_digits.ipynb"
PICTURES = {
    "data", "activations", "train", "grid", "gallery", "augment", "schedules", "sure",
    "attack", "attacked", "serve",
}  # fmt: skip
EXACT = ("data", "balance", "activations", "softmax", "temperature", "logits", "sparse",
         "parameters")  # fmt: skip
"""Cells before anything is trained: their words are the same on every machine."""

executing = [
    pytest.mark.tensorflow,
    pytest.mark.nightly,  # a minute; notebooks are executed in test_notebook.py
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def committed(read_notebook):
    return read_notebook(NAME)


@pytest.fixture(scope="module")
def executed(committed, execute_notebook, tmp_path_factory):
    """The notebook after an execution, and the names of what that left in its folder."""
    notebook, folder = copy.deepcopy(committed), tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        execute_notebook(notebook, folder, cell_seconds=600)
    return notebook, [path.name for path in folder.iterdir()]


def code(notebook):
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def words(cell):
    """Everything that a cell says as text; a stream may arrive in pieces."""
    said = [o.text if o.output_type == "stream" else o.data["text/plain"] for o in cell.outputs]
    return "".join(said)


def kinds(cell):
    return {(o.output_type, *sorted(o.get("data", ()))) for o in cell.outputs}


def test_it_has_every_section_in_order(committed):
    texts = [cell.source for cell in committed.cells if cell.cell_type == "markdown"]
    numbers = [int(n) for text in texts for n in re.findall(r"^## (\d+) ", text, re.MULTILINE)]
    assert numbers == list(range(1, 12))
    assert texts[-1].startswith("## What to read next")


def test_it_is_committed_with_the_outputs_of_one_whole_execution(committed):
    cells = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(o.output_type == "error" for cell in cells for o in cell.outputs)


def test_nothing_in_it_is_of_a_machine_or_a_moment(committed):
    for cell in code(committed).values():
        assert not cell.metadata
        assert not re.search(r"/(home|root|tmp|work|Users)/|\b0x[0-9a-f]{6}", words(cell)), cell.id


def test_its_pictures_are_shown(committed):
    shown = {name for name, cell in code(committed).items() if ("image/png" in str(kinds(cell)))}
    assert shown == PICTURES
    pictures = [
        o.data["image/png"]
        for cell in code(committed).values()
        for o in cell.outputs
        if "image/png" in o.get("data", ())
    ]
    assert all(5_000 < len(picture) < 250_000 for picture in pictures)


def test_every_section_asserts_what_it_says(committed):
    sections = "\n".join(
        f"{cell.source if cell.cell_type == 'code' else ''}\n"
        f"{'== section' if cell.source.startswith('## ') else ''}"
        for cell in committed.cells
    ).split("== section")[1:]
    assert all("assert " in section for section in sections[:-1])


class TestExecuted:
    pytestmark = executing

    def test_it_runs_to_its_end_and_leaves_nothing(self, executed):
        notebook, left = executed
        assert list(code(notebook))[-1] == "clean"
        assert code(notebook)["clean"].execution_count == len(code(notebook))
        assert left == []

    def test_what_is_committed_is_of_the_same_kind(self, committed, executed):
        now = code(executed[0])
        for name, cell in code(committed).items():
            assert kinds(cell) == kinds(now[name]), name

    @pytest.mark.parametrize("name", EXACT)
    def test_what_no_training_decides_is_what_is_committed(self, name, committed, executed):
        assert words(code(committed)[name]) == words(code(executed[0])[name])

    def test_the_network_of_the_tutorial_is_about_as_good_as_ever(self, executed):
        right, errors = re.search(
            r"(\d+) of 1000 images right .*, (\d+) errors", words(code(executed[0])["wrong"])
        ).groups()
        assert 880 <= int(right) <= 950
        assert int(right) + int(errors) == 1000

    def test_convolutions_and_augmentation_are_better_still(self, executed):
        html = code(executed[0])["compare"].outputs[-1].data["text/html"]
        shares = [float(share) for share in re.findall(r"<td>([\d.]+)%</td>", html)]
        validation = shares[1::2]
        assert len(validation) == 3
        assert all(after > before for before, after in pairwise(validation))
        assert validation[-1] > 96

    def test_the_checklist_finds_the_rate_that_was_too_high(self, executed):
        said = words(code(executed[0])["check"])
        assert "fail" in said
        assert "learning_rate is 10; up to 0.01 is usual. Lower it." in said
