"""The language of pictures, and its font: `with in_language("zh"):` holds for all inside.

Words of the field follow the usage of Chinese textbooks (Zhou Zhihua, Machine Learning, 2016).
Names in braces are filled in by the picture. Words that Chinese texts leave in English (ReLU,
sigmoid, dropout, L2) are not here.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

LANGUAGES = ("en", "zh")

SEPARATOR = "  ·  "
"""Between the parts of a title that describes a configuration."""

CHINESE: Mapping[str, str] = MappingProxyType(
    {
        # curves
        "loss": "损失",
        "accuracy": "准确率",
        "{name} (logarithmic)": "{name}（对数坐标）",
        "epoch": "训练轮次",
        "training": "训练集",
        "validation": "验证集",
        "learning rate falls": "学习率下降",
        "best epoch {epoch}: {value}": "最佳轮次 {epoch}：{value}",
        # confusion matrix
        "Validation after epoch {epoch}: {right} of {total} right ({share})": (
            "第 {epoch} 轮后的验证集：{total} 张中 {right} 张正确（{share}）"
        ),
        "predicted": "预测类别",
        "true": "真实类别",
        "recall": "召回率",
        "right": "正确",
        "wrong": "错误",
        # preview
        "{shown} of {total} images, {height}x{width}": (
            "共 {total} 张图像，展示 {shown} 张，每张 {height}×{width} 像素"
        ),
        # activations
        "value": "函数值",
        "slope: what a gradient is multiplied by": "斜率：梯度所乘的因子",
        # gallery
        "the validation part": "验证集",
        "{count} images of {part}": "{part}的 {count} 张图像",
        "{shown} of {total} images of {part}, at random: {right} right, {wrong} wrong": (
            "从{part}的 {total} 张图像中随机取 {shown} 张：{right} 张正确，{wrong} 张错误"
        ),
        "All {total} images of {part}: {right} right, {wrong} wrong": (
            "{part}的全部 {total} 张图像：{right} 张正确，{wrong} 张错误"
        ),
        "actual | predicted;  {cross} and a thick frame: wrong": (
            "真实 | 预测；  {cross} 和粗框：错误"
        ),
        "No error among {among}": "{among}中没有错误",
        "1 error among {among}": "{among}中有 1 个错误",
        "{errors} errors among {among}": "{among}中有 {errors} 个错误",
        "{shown} of {errors} errors among {among}": "{among}中有 {errors} 个错误，展示 {shown} 个",
        "actual | predicted, and how probable that was said to be; the most confident first": (
            "真实 | 预测，以及给出的概率；最有把握的排在最前"
        ),
        # titles: parts of a configuration, and why a training ended
        "learning rate": "学习率",
        "batch": "批大小",
        "no hidden layer": "无隐藏层",
        "early stopping": "早停",
        "max epochs": "达到最大轮次",
        "diverged": "发散",
    }
)


FAMILIES = {
    "Noto Sans CJK": "NotoSansCJK*",
    "Noto Sans SC": "NotoSans*SC*",
    "Source Han Sans": "SourceHanSans*",
    "WenQuanYi Micro Hei": "wqy-microhei*",
    "WenQuanYi Zen Hei": "wqy-zenhei*",
    "Droid Sans Fallback": "DroidSansFallback*",
    "PingFang": "PingFang*",
    "Hiragino Sans GB": "Hiragino Sans GB*",
    "Microsoft YaHei": "msyh.*",
    "SimHei": "simhei*",
}
"""Sans-serif families for simplified Chinese and their files, the best for small letters first:
those of Debian, then those that come with macOS and Windows."""

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
SIMPLIFIED = ("SC", "CN", "GB")
"""Marks of the face with the letters of the mainland in a file that holds several."""


@dataclass(frozen=True)
class Face:
    """One face of a font file; files such as .ttc hold several."""

    path: Path
    index: int = 0


@lru_cache(maxsize=8)
def find_chinese(where: Path | None = None) -> tuple[Face, Face]:
    """Return a regular and a bold face that have every Chinese letter our pictures need.

    Args:
        where: A font file, or a folder to look into with all below it; None = the system's fonts.

    Returns:
        The faces; the same twice where the font has no bold file.

    Raises:
        ValueError: There is no such file or folder, or no font there has the letters.
    """
    regular = next((path for path in _candidates(where) if _has_the_letters(path)), None)
    if regular is None:
        place = "among the fonts of this system" if where is None else f"in '{where}'"
        raise ValueError(
            f"--language zh needs a font with Chinese letters; {place} there is none. Looked for: "
            f"{', '.join(FAMILIES)}, and then any other that has the letters. On Debian or Ubuntu "
            "install one with `apt-get install fonts-noto-cjk` (or fonts-wqy-microhei, smaller), "
            "or name a file or a folder with --font or DIGITEXP_FONT."
        )
    bold = regular.with_name(regular.name.replace("Regular", "Bold"))
    if not bold.is_file():
        bold = regular
    return _face(regular), _face(bold)


def _candidates(where: Path | None) -> list[Path]:
    """Return font files, known families first, in an order that is the same on every start."""
    if where is None:
        from matplotlib import font_manager

        files: Iterable[Path] = map(Path, font_manager.findSystemFonts())
    elif where.is_dir():
        files = (path for path in where.rglob("*") if path.suffix.lower() in SUFFIXES)
    elif where.is_file():
        return [where]
    else:
        raise ValueError(f"there is no font file or folder '{where}' (--font, DIGITEXP_FONT).")
    return sorted(files, key=_rank)


def _rank(path: Path) -> tuple[int, bool, str]:
    """Sort by family, its regular face first."""
    patterns = list(FAMILIES.values())
    known = (i for i, one in enumerate(patterns) if fnmatch.fnmatch(path.name.lower(), one.lower()))
    other_weight = "regular" not in path.stem.lower() and "-" in path.stem
    return next(known, len(patterns)), other_weight, str(path)


def _has_the_letters(path: Path) -> bool:
    from matplotlib.ft2font import FT2Font

    needed = {ord(letter) for text in CHINESE.values() for letter in text}
    try:
        return needed <= set(FT2Font(str(path)).get_charmap())
    except (RuntimeError, OSError):  # not a font, or a damaged one
        return False


def _face(path: Path) -> Face:
    """Return the face for simplified Chinese of a file, the first where none is marked so."""
    from PIL import ImageFont

    if path.suffix.lower() in {".ttc", ".otc"}:
        for index in range(64):
            try:
                family, _ = ImageFont.truetype(path, 10, index=index).getname()
            except OSError:  # no more faces
                break
            if set(SIMPLIFIED) & set((family or "").split()):
                return Face(path, index)
    return Face(path)


FIRST_EAST_ASIAN = "\u2e80"
"""Letters from here on (Unicode's first block of CJK) are not in DejaVu Sans."""

_faces: ContextVar[tuple[Face, Face] | None] = ContextVar("faces", default=None)
"""Regular and bold face of the Chinese that is drawn now; None = English, in DejaVu Sans."""


def in_language(language: str = "en", font: Path | None = None) -> AbstractContextManager[None]:
    """Return a context in which pictures are drawn in a language; outside of any it is English.

    Args:
        language: `en` or `zh`.
        font: A font file, or a folder to look into; None = the system's fonts. English needs none.

    Raises:
        ValueError: There is no such language, or no font for it. It is raised by the call itself,
            before the `with`.
    """
    if language not in LANGUAGES:
        raise ValueError(
            f"--language is {language!r} (DIGITEXP_LANGUAGE sets it, too); it must be one of "
            f"{', '.join(LANGUAGES)}."
        )
    return _drawing_with(None if language == "en" else find_chinese(font))


@contextmanager
def _drawing_with(faces: tuple[Face, Face] | None) -> Iterator[None]:
    before = _faces.set(faces)
    try:
        yield
    finally:
        _faces.reset(before)


def say(text: str, **values: Any) -> str:
    """Return a text of the catalogue in the language of the context, with its values filled in.

    A text that is not in the catalogue, such as the name of somebody's metric, stays.
    """
    words = CHINESE.get(text, text) if _faces.get() else text
    return words.format(**values) if values else words


def say_parts(title: str) -> str:
    """Return a title such as `25-15  ·  batch 32`, each part in the language of the context."""
    if not _faces.get():
        return title
    parts = []
    for part in title.split(SEPARATOR):
        known = [text for text in CHINESE if part == text or part.startswith(f"{text} ")]
        longest = max(known, key=len, default="")
        parts.append(say(longest) + part.removeprefix(longest))
    return SEPARATOR.join(parts)


def face_of(text: str, *, bold: bool) -> Face | None:
    """Return the face a line is written in; None = DejaVu Sans."""
    faces = _faces.get()
    if faces is None or not any(letter >= FIRST_EAST_ASIAN for letter in text):
        return None
    return faces[bold]


def families() -> list[str]:
    """Return the font families of the context for matplotlib, which asks one after the other."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    known = {(entry.fname, entry.index) for entry in font_manager.fontManager.ttflist}
    names = ["DejaVu Sans"]
    for face in _faces.get() or ():
        if (str(face.path), face.index) not in known:
            font_manager.fontManager.addfont(face.path)
        names.append(FT2Font(str(face.path), face_index=face.index).family_name)
    return names
