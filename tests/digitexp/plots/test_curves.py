import math
import subprocess
import sys

import numpy as np
import pytest

from digitexp.plots import colors
from digitexp.plots.training import draw_curves, rate_drops
from tests.digitexp.plots.pictures import pixels, share_of

HISTORY = {
    "loss": [2.0, 1.0, 0.6, 0.5, 0.45],
    "accuracy": [0.3, 0.6, 0.8, 0.85, 0.9],
    "val_loss": [1.9, 1.1, 0.8, 0.7, 0.75],
    "val_accuracy": [0.35, 0.55, 0.75, 0.8, 0.79],
    "learning_rate": [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4],
}


def test_rate_drops_are_the_first_epochs_with_a_lower_rate():
    assert rate_drops(HISTORY["learning_rate"]) == [3, 5]
    assert rate_drops([1e-3]) == []


def test_the_picture_is_wide_and_shows_both_curves():
    png = draw_curves(HISTORY, 4, "a title")
    assert pixels(png).shape == (481, 1248, 3)
    assert share_of(png, colors.TRAIN) > 0.002
    assert share_of(png, colors.VALIDATION) > 0.002


def test_the_same_history_gives_the_same_bytes():
    assert draw_curves(HISTORY, 4) == draw_curves(HISTORY, 4)


@pytest.mark.parametrize(
    ("history", "best"),
    [
        ({**HISTORY, "learning_rate": [1e-3] * 5}, 4),
        (HISTORY, 2),
        (HISTORY, None),
    ],
)
def test_best_epoch_and_rate_drops_change_the_picture(history, best):
    assert draw_curves(history, best) != draw_curves(HISTORY, 4)


@pytest.mark.parametrize(
    "history",
    [
        {name: values[:1] for name, values in HISTORY.items()},
        {
            **HISTORY,
            "loss": [9e4, 1.0, 0.6, 0.5, math.nan],
            "val_loss": [1.9, 1, 0.8, 0.7, math.nan],
        },
        {**{name: [math.nan] for name in HISTORY}, "learning_rate": [1e-3]},
        {name: values * 20 for name, values in HISTORY.items()},
    ],
    ids=["one epoch", "diverged late", "diverged at once", "many epochs"],
)
def test_unusual_histories_are_drawn(history):
    best = None if math.isnan(history["val_loss"][0]) else 1
    assert pixels(draw_curves(history, best)).std() > 5


OTHERS = {
    "one epoch": ({name: values[:1] for name, values in HISTORY.items()}, 1),
    "many epochs and drops": (
        {
            **{name: values * 12 for name, values in HISTORY.items()},
            "learning_rate": [0.5 ** (i // 7) for i in range(60)],
        },
        33,
    ),
    "logarithmic": ({**HISTORY, "loss": [5e3, 1.0, 0.6, 0.5, 0.4]}, 3),
    "no drop": ({**HISTORY, "learning_rate": [1e-3] * 5}, None),
    "nothing measured": ({**{name: [math.nan] for name in HISTORY}, "learning_rate": [1]}, None),
}


@pytest.mark.parametrize("other", OTHERS)
def test_an_earlier_picture_leaves_no_trace(other):
    first = draw_curves(HISTORY, 4, "first")
    between = draw_curves(*OTHERS[other], "second")
    assert draw_curves(HISTORY, 4, "first") == first
    assert draw_curves(*OTHERS[other], "second") == between


@pytest.mark.parametrize(
    ("rates", "best", "epochs"),
    [
        ([1, 1, 0.5, 0.5, 0.2], 4, [2.5, 4, 4.5]),
        ([1, 1, 1, 1, 1], 2, [2]),
        ([1, 0.5, 0.5, 0.5, 0.5], None, [1.5]),
    ],
)
def test_best_epoch_and_drops_stand_where_they_belong(rates, best, epochs):
    flat = dict.fromkeys(HISTORY, [1.0] * 5)
    picture = pixels(draw_curves({**flat, "learning_rate": rates}, best))
    above_the_curves = picture[100:200, 80:640]
    lines = np.flatnonzero((above_the_curves < 210).all(axis=2).mean(axis=0) > 0.2) + 80
    starts = [int(column) for column in lines if column - 1 not in lines]
    assert starts == pytest.approx([77 + (epoch - 0.5) * (617 - 77) / 5 for epoch in epochs], abs=1)


def test_the_legend_names_drops_only_where_there_are_some():
    legend = slice(445, 470), slice(400, 900)
    steady = {**HISTORY, "learning_rate": [1e-3] * 5}
    widths = [
        np.ptp(np.nonzero((pixels(draw_curves(history, 4))[legend] < 200).any(axis=(0, 2))))
        for history in (HISTORY, steady)
    ]
    assert widths[0] > widths[1] + 100


def test_matplotlib_stays_out():
    code = (
        "import sys; from digitexp.plots.training import draw_curves;"
        "from digitexp.experiments.pictures import draw_matrix; import numpy as np;"
        "draw_curves({k: [1.0] for k in "
        "('loss', 'accuracy', 'val_loss', 'val_accuracy', 'learning_rate')}, 1);"
        "draw_matrix(np.eye(2, dtype=int), ['a', 'b'], 1);"
        "assert 'matplotlib' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stderr == ""
