"""A page in a frame: it is about a trial, as that was recorded, and what is moved there answers."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import FrameLocator, expect

from digitexp.numpy_functions import softmax
from sweeps.records import Record

PATIENCE = 120_000
"""Milliseconds: the machine may be busy, and draws in three dimensions without a card."""
PLANE = 3
HEADINGS = {
    "softmax": "Softmax and temperature",
    "training": "Training, epoch by epoch",
    "decision_regions": "Decision regions",
    "pad": "Draw a digit",
}
"""How the heading of a tool begins."""


def play(tool: str, frame: FrameLocator, record: Record) -> None:
    """Fail unless a tool shows what was recorded, and answers."""
    playing = {
        "softmax": _softmax, "training": _training, "decision_regions": _regions, "pad": _pad,
    }  # fmt: skip
    playing[tool](frame, record)


def _softmax(frame: FrameLocator, record: Record) -> None:
    """Move the temperature."""
    chart, moved = frame.locator("#probabilities"), frame.locator("#temperature")
    expect(frame.locator("#whose")).to_contain_text("image ", timeout=PATIENCE)
    number, logits = chart.evaluate("() => [IMAGES.numbers[state.image], state.logits]")
    assert record.result is not None
    recorded = record.result.arrays["validation_logits"][number]
    assert logits == pytest.approx(recorded.tolist(), abs=1e-3)
    assert _shown(chart) == pytest.approx(softmax(logits), abs=1e-6)
    for _ in range(5):
        moved.press("PageUp")
    expect(frame.locator("#temperature-value")).not_to_have_text("1", timeout=PATIENCE)
    temperature = 10 ** float(moved.input_value())
    assert temperature > 1.5
    assert frame.locator("#temperature-value").text_content() == f"{temperature:.3g}"
    expected = softmax(logits, temperature)
    assert _shown(chart) == pytest.approx(expected, abs=1e-6)
    largest = frame.locator("#largest").text_content().strip("> %")
    assert float(largest) == pytest.approx(100 * expected.max(), abs=0.1)


def _shown(chart):
    return chart.evaluate("chart => chart.data[0].x")


def _training(frame: FrameLocator, record: Record) -> None:
    """Go one epoch back, and on again."""
    assert record.result is not None
    history, counts = record.result.history, record.result.arrays["confusion"]
    last = len(history["val_accuracy"])
    expect(frame.locator("#epoch-value")).to_have_text(str(last), timeout=PATIENCE)
    for button, epoch in ((None, last), ("#back", last - 1), ("#on", last)):
        if button:
            frame.locator(button).click()
        expect(frame.locator("#epoch-value")).to_have_text(str(epoch), timeout=PATIENCE)
        drawn = [
            [int(text or 0) for text in row.locator("td").all_text_contents()]
            for row in frame.locator(".trial").first.locator(".counts tbody tr").all()
        ]
        assert drawn == counts[epoch - 1].tolist()
        accuracy = f"{100 * history['val_accuracy'][epoch - 1]:.1f} %"
        assert accuracy in frame.locator(".facts").first.text_content()
    frame.locator("#here").click()
    frame.locator("#steps").select_option("250")
    frame.locator("#train").click()
    expect(frame.locator("#train")).to_have_text("Stop", timeout=PATIENCE)
    expect(frame.locator("#train")).to_have_text("Train", timeout=PATIENCE)
    for facts in frame.locator(".facts").all():
        expect(facts).to_contain_text("step250 of 250", timeout=PATIENCE)
    best = frame.locator("body").evaluate(
        "() => Math.max(...MODES.here.trainings.map((one) => one.history.val_accuracy.at(-1)))"
    )
    assert best > 0.8


def _pad(frame: FrameLocator, record: Record) -> None:
    """Draw a stroke; ask the network for the answers that were recorded."""
    expect(frame.locator(".said").first).to_have_text("–", timeout=PATIENCE)
    box = frame.locator("#canvas").bounding_box()
    assert box is not None
    mouse, middle = frame.locator("#canvas").page.mouse, box["x"] + 0.5 * box["width"]
    mouse.move(middle, box["y"] + 0.15 * box["height"])
    mouse.down()
    for share in (0.3, 0.5, 0.7, 0.85):
        mouse.move(middle, box["y"] + share * box["height"])
    mouse.up()
    expect(frame.locator(".said").first).to_have_text("1", timeout=PATIENCE)
    assert record.result is not None
    found, numbers = frame.locator("body").evaluate(
        """() => [EXAMPLES.labels.map((_, i) => {
          const size = EXAMPLES.ink.length / EXAMPLES.labels.length;
          const ink = EXAMPLES.ink.subarray(i * size, (i + 1) * size);
          const pixels = Float64Array.from(ink, (value) => value / 255);
          return [...logitsOf(NETWORKS[0].net, pixels)];
        }), EXAMPLES.numbers]"""
    )
    recorded = record.result.arrays["validation_logits"][numbers]
    np.testing.assert_allclose(found, recorded, atol=1e-5 * np.abs(recorded).max())


def _regions(frame: FrameLocator, record: Record) -> None:
    """Move the plane."""
    expect(frame.locator("html[data-drawn='true']")).to_have_count(1, timeout=PATIENCE)
    assert record.result is not None
    counts = record.result.arrays["confusion"][int(record.result.metrics["best_epoch"]) - 1]
    plot, slider = frame.locator("#plot"), frame.locator("#position")
    assert plot.locator("canvas").count() > 0
    n_wrong, pairs = plot.evaluate("() => [DATA.n_wrong, DATA.pairs]")
    assert n_wrong == counts.sum() - np.trace(counts)
    for pair in pairs:
        first, second = pair["first"], pair["second"]
        assert (pair["there"], pair["back"]) == (counts[first, second], counts[second, first])
    heights = f"plot => [...new Set(plot.data[{PLANE}].z)]"
    (before,) = plot.evaluate(heights)
    slider.press("ArrowRight")
    (after,) = plot.evaluate(heights)
    assert after > before
    assert float(frame.locator("#at").text_content()) == pytest.approx(after, abs=0.006)
