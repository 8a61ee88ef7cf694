"""Words in another language: the catalogue, the font, and pictures that stay as they were."""

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib import get_data_path

import digitexp.plots
from digitexp.experiments import pictures
from digitexp.experiments.pictures import draw_matrix, draw_trial
from digitexp.plots.figures import draw_activations
from digitexp.plots.images import draw_preview
from digitexp.plots.language import (
    CHINESE,
    FAMILIES,
    face_of,
    find_chinese,
    in_language,
    say,
    say_parts,
)
from digitexp.plots.sheet import text_width
from digitexp.plots.training import draw_curves
from sweeps.render import confusion
from tests.digitexp.plots.pictures import pixels
from tests.digitexp.plots.test_curves import HISTORY
from tests.tools import need

LATIN = Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
COUNTS = np.diag([7] * 10).astype(np.uint32)
DIGITS = [str(digit) for digit in range(10)]
TITLE = "25-15  ·  learning rate 0.001  ·  batch 32  ·  early stopping"
PICTURES = {
    "curves": lambda: draw_curves(HISTORY, 4, TITLE),
    "confusion": lambda: draw_matrix(COUNTS, DIGITS, 4)["confusion_matrix.png"],
    "activations": draw_activations,
    "preview": lambda: draw_preview(np.zeros((3, 8, 8), "float32"), np.arange(3)),
}


@pytest.fixture
def chinese():
    need("a Chinese font")
    with in_language("zh"):
        yield


def said_in_the_code():
    """Texts that our pictures pass to `say`, literally."""
    folder = Path(digitexp.plots.__file__).parent
    for path in (*folder.glob("*.py"), Path(pictures.__file__), Path(confusion.__file__)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and "say" in ast.unparse(node.func).split("."):
                yield from (one.value for one in node.args if isinstance(one, ast.Constant))


def test_every_word_of_a_picture_has_a_translation():
    said = set(said_in_the_code())
    assert {"predicted", "true", "recall", "epoch", "value"} <= said
    assert said - set(CHINESE) == set()


def test_a_translation_takes_the_same_values():
    for english, chinese in CHINESE.items():
        names = {part.split("}")[0] for part in english.split("{")[1:]}
        assert {part.split("}")[0] for part in chinese.split("{")[1:]} == names


def test_english_says_what_stands_there():
    with in_language("en", Path("nowhere")):
        assert say("epoch") == "epoch"
        assert say("best epoch {epoch}: {value}", epoch=3, value=0.5) == "best epoch 3: 0.5"
        assert say_parts(TITLE) == TITLE


def test_a_language_holds_inside_its_context_only(chinese):
    assert say("epoch") == CHINESE["epoch"]
    with in_language("en"):
        assert say("epoch") == "epoch"
    assert say("epoch") == CHINESE["epoch"]


def test_an_empty_folder_has_no_font_and_the_message_says_what_to_install(tmp_path):
    with pytest.raises(ValueError, match="needs a font with Chinese letters") as refused:
        in_language("zh", tmp_path)
    message = str(refused.value)
    assert str(tmp_path) in message
    assert "apt-get install fonts-noto-cjk (or fonts-wqy-microhei" in message.replace("`", "")
    assert all(family in message for family in FAMILIES)


def test_a_font_without_the_letters_and_a_file_that_is_none_are_no_fonts(tmp_path):
    shutil.copy(LATIN, tmp_path / "wqy-microhei.ttf")
    (tmp_path / "NotoSansCJK-Regular.otf").write_bytes(b"no font")
    with pytest.raises(ValueError, match="there is none"):
        find_chinese(tmp_path)
    with pytest.raises(ValueError, match="there is none"):
        find_chinese(LATIN)


def test_a_font_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="there is no font file or folder"):
        find_chinese(tmp_path / "none.ttf")


def test_a_language_we_do_not_have_is_refused_with_those_we_have():
    with pytest.raises(ValueError, match="must be one of en, zh"):
        in_language("fr")


def test_a_title_is_translated_part_by_part(chinese):
    title = say_parts(TITLE + "  ·  learning rates  ·  dropout 0.1")
    assert title == (
        "25-15  ·  学习率 0.001  ·  批大小 32  ·  早停  ·  learning rates  ·  dropout 0.1"
    )


def test_numbers_stay_in_the_usual_font(chinese):
    assert face_of("0.25 · dropout", bold=False) is None
    assert face_of("损失", bold=False) == find_chinese()[0]
    width = text_width("0.25", 8)
    with in_language("en"):
        assert text_width("0.25", 8) == width


def test_every_letter_is_drawn_as_itself(chinese):
    # a font without a letter draws the same box for all of them
    from digitexp.plots.sheet import _letters

    letters = sorted({c for text in CHINESE.values() for c in text if "\u4e00" <= c <= "\u9fff"})
    face = find_chinese()[0]
    drawn = {_letters(letter, 20, bold=False, face=face)[0].tobytes() for letter in letters}
    assert len(letters) > 50
    assert len(drawn) == len(letters)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_in_chinese_has_the_size_of_the_english_one_and_other_words(chinese, name):
    with in_language("en"):
        english = pixels(PICTURES[name]())
    other = pixels(PICTURES[name]())
    assert english.shape == other.shape
    assert 0 < (english != other).any(axis=2).mean() < 0.05
    assert PICTURES[name]() == PICTURES[name]()


@pytest.mark.parametrize("name", ["confusion_matrix.png", "loss_curves.png"])
def test_what_a_training_leaves_is_in_chinese_as_well_and_its_numbers_are_not(chinese, name):
    confusion = np.stack([COUNTS] * len(HISTORY["loss"]))
    with in_language("en"):
        english = draw_trial(HISTORY, confusion, DIGITS, 4, TITLE)
    other = draw_trial(HISTORY, confusion, DIGITS, 4, TITLE)
    assert english[name] != other[name]
    assert english["confusion_matrix.json"] == other["confusion_matrix.json"]


def test_a_drawing_in_english_after_one_in_chinese_is_what_it_was_before():
    need("a Chinese font")
    before = draw_curves(HISTORY, 4, TITLE)
    with in_language("zh"):
        draw_curves(HISTORY, 4, TITLE)
    assert draw_curves(HISTORY, 4, TITLE) == before
