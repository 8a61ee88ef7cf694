"""Milliseconds from what somebody does in `digitexp explore` to what changes in the page.

A convolutional network answers, in a Chromium without a graphics card. Three-dimensional pictures
are drawn by the processor, too. The start of the command counts until it listens, and the first
paint from the request of the page. A stroke is drawn on the pad: the time is that from the pen's
lift to the last change. A slider or a button of a tool is moved: until the frame that shows it.
"""

from __future__ import annotations

import argparse
import math
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.timing import at_least_one

ZERO = [(0.5 + 0.22 * math.sin(t / 6.4), 0.5 - 0.34 * math.cos(t / 6.4)) for t in range(41)]
"""A stroke, in shares of the pad's side."""
FLAGS = ["--no-sandbox", "--disable-quic", "--use-angle=swiftshader",
         "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]  # fmt: skip
MOVES = {
    "an epoch of the film": ("training", "#back", "#on"),
    "a move of the temperature": ("softmax", "#temperature", None),
    "a move of the plane": ("decision_regions", "#position", None),
}
"""Tool, what is moved, and what takes it back."""
LIFTED = """() => {
  window.waits = [];
  let lifted = null, answered = null;
  const pad = document.getElementById("pad");
  pad.addEventListener("pointerup", () => { lifted = performance.now(); answered = null; });
  new MutationObserver(() => requestAnimationFrame(() => { answered = performance.now(); }))
    .observe(document.getElementById("answered"), { attributes: true });
  window.isQuiet = () => {
    if (lifted === null || answered === null || performance.now() - answered < 300) return false;
    window.waits.push(answered - lifted);
    lifted = null;
    return true;
  };
}"""
MOVE = """async (control) => {
  const frame = () => new Promise((shown) => requestAnimationFrame(shown));
  await frame();
  const start = performance.now();
  if (control.type === "range") {
    const step = Number(control.step) || 0.05, value = Number(control.value);
    control.value = value + step > Number(control.max) ? Number(control.min) : value + step;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  } else control.click();
  await frame();
  await frame();
  return performance.now() - start;
}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of this benchmark."""
    parser.add_argument("--times", type=at_least_one, default=20, help="of each (default 20)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train a network, start the explorer, and play."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or find_spec("playwright") is None or find_spec("dash") is None:
        raise RuntimeError("explorer: Chromium and the extras dev and explorer are needed")
    import sweeps

    with tempfile.TemporaryDirectory(prefix="explorer-") as folder:
        home = Path(folder) / "mlruns"
        sweeps.run("cnn", trials=1, overrides=["epochs=4"], home=home, workers=0, progress="quiet")
        waits = {"until it listens": [], "until the first paint": []}  # type: dict[str, list[float]]
        with _explorer(home, waits["until it listens"]) as address:
            waits |= _played(chromium, address, options.times, waits["until the first paint"])
    return {"times": options.times, "milliseconds": {
        what: {"median": statistics.median(found), "max": max(found), "n": len(found)}
        for what, found in waits.items()
    }}  # fmt: skip


def table(result: Mapping[str, Any]) -> str:
    """Return a line for each thing done."""
    rows = [
        f"| {what} | {found['median']:.0f} | {found['max']:.0f} | {found['n']} |"
        for what, found in result["milliseconds"].items()
    ]
    return "\n".join(["| | median, ms | longest, ms | times |", "|---|---|---|---|", *rows])


@contextmanager
def _explorer(home: Path, waits: list[float]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["explore", "--home", str(home), "--port", str(port), "--no-browser"]
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "digitexp", *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    waits.append(1000 * (time.perf_counter() - started))
    try:
        yield line.split()[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def _played(chromium: str, address: str, times: int, paints: list[float]) -> dict[str, list[float]]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(address)
        page.locator(".bars").wait_for()
        paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        paints.append(float(page.evaluate(paint)))
        found = {"from the pen's lift to the answer": _drawn(page, times)}
        for what, (tool, moved, back) in MOVES.items():
            page.locator(f"#tab-{tool}").click()
            frame = page.frame_locator(f"#frame-{tool}")
            frame.locator(moved).wait_for()
            page.wait_for_timeout(3000)  # its first drawing is no move
            controls = [frame.locator(name) for name in (moved, back) if name]
            found[what] = [controls[n % len(controls)].evaluate(MOVE) for n in range(times)]
        browser.close()
    return found


def _drawn(page: Any, times: int) -> list[float]:
    page.evaluate(LIFTED)
    for _ in range(times):
        box = page.locator("#pad").bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in ZERO]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
            page.wait_for_timeout(10)
        page.mouse.up()
        page.wait_for_function("window.isQuiet()")
        page.get_by_role("button", name="Clear").click()
        page.wait_for_timeout(300)
    waits: list[float] = page.evaluate("window.waits")
    return waits
