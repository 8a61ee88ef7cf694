"""Makes the pictures of README and documentation from a real sweep.

python docs/build_pictures.py                 all of them; runs `sweeps run mlp`, some minutes
python docs/build_pictures.py report mlflow   some of them
python docs/build_pictures.py --home mlruns --sweep mlp report   of a sweep that exists

Each picture is made in light and in dark, as `pictures/NAME-light.png` and `NAME-dark.png`, and
takes less than 200 kB. Chromium draws all of them. The terminal is a real one, 100 columns wide:
`terminal-live` is its screen in the middle of the sweep, `terminal` its screen in the end.
"""

from __future__ import annotations

import argparse
import fcntl
import html
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
TARGET: Final = Path(__file__).parent / "pictures"
MOST_BYTES: Final = 200_000
COLUMNS: Final = 100
ROWS: Final = 48
TRIALS: Final = 20
"""Trials of the sweep that is run for the pictures."""
SECONDS: Final = 3600
"""Longest that the sweep may take."""
PICTURES: Final = ("terminal", "report", "mlflow")
CHROMIUM: Final = ["--no-sandbox", "--disable-gpu"]

COLOURS: Final = {
    "light": {
        "paper": "#ffffff", "ink": "#24292f", "frame": "#d0d7de", "black": "#24292f",
        "red": "#b3261e", "green": "#1a7f37", "brown": "#7d5600", "blue": "#0550ae",
        "magenta": "#8250df", "cyan": "#0e6a7c", "white": "#6e7781",
    },
    "dark": {
        "paper": "#15181c", "ink": "#d7dce2", "frame": "#30363d", "black": "#6e7781",
        "red": "#ff8a80", "green": "#5fd38d", "brown": "#e3b341", "blue": "#79c0ff",
        "magenta": "#d2a8ff", "cyan": "#56d4dd", "white": "#f0f3f6",
    },
}  # fmt: skip
"""Colours of the terminal, by the names that a program gives them."""


def main() -> None:
    """Make the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--home", type=Path, help="of the sweep, if it exists")
    parser.add_argument("--sweep", default="mlp", help="its name; a space of the catalogue")
    asked = parser.parse_args()
    wanted = asked.pictures or PICTURES
    if unknown := set(wanted) - set(PICTURES):
        parser.error(f"no pictures {', '.join(sorted(unknown))}; there are: {', '.join(PICTURES)}")
    if "terminal" in wanted and asked.home:
        parser.error("a terminal is shown as the sweep runs; leave --home out")
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, _chromium() as browser:
        folder = Path(scratch) / "digits"
        folder.mkdir()
        home = asked.home.resolve() if asked.home else folder / "mlruns"
        if not asked.home:
            screens = _run_in_a_terminal(f"sweeps run {asked.sweep} --trials {TRIALS}", folder)
            if "terminal" in wanted:
                for name, screen in screens.items():
                    _in_both_colours(browser, name, lambda colour, s=screen: _page(s, colour))
        if "report" in wanted:
            _report(browser, asked.sweep, home, folder)
        if "mlflow" in wanted:
            _mlflow(browser, asked.sweep, home, folder)


@contextmanager
def _chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield browser
        browser.close()


# The terminal


def _run_in_a_terminal(command: str, folder: Path) -> dict[str, Any]:
    """Run a command in a terminal; return its screen in the middle and in the end, by name."""
    import pyte

    screen = pyte.HistoryScreen(COLUMNS, ROWS, history=2000)
    stream = pyte.ByteStream(screen)
    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = _started(command, folder, inside, TERM="xterm-256color", COLORTERM="")
    os.close(inside)
    shown: dict[str, Any] = {}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                stream.feed(os.read(terminal, 65536))
            except OSError:  # the command has ended, and with it the terminal
                break
        if "terminal-live" not in shown and _recorded(folder) >= TRIALS * 3 // 4:
            shown["terminal-live"] = _lines(screen, command)
    if process.wait(60) != 0:
        raise SystemExit("\n".join(screen.display))
    return {**shown, "terminal": _lines(screen, command)}


def _recorded(folder: Path) -> int:
    return sum(path.read_bytes().count(b'"ended 2"') for path in folder.rglob("journal.jsonl"))


def _lines(screen: Any, command: str) -> list[list[Any]]:
    """Return the characters of a screen, line by line; the command stands first if it fits."""
    import pyte

    rows = [[screen.buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)]
    while rows and not _text(rows[-1]).strip():
        rows.pop()
    if not screen.history.top:
        plain = pyte.screens.Char
        rows.insert(0, [plain(letter) for letter in f"$ {command}".ljust(COLUMNS)])
    return rows


def _text(row: list[Any]) -> str:
    return "".join(letter.data for letter in row)


def _page(rows: list[list[Any]], colour: str) -> str:
    """Return a page that looks like the terminal."""
    colours = COLOURS[colour]

    def style(letter: Any) -> str:
        ink, paper = (
            colours.get(letter.fg, f"#{letter.fg}"),
            colours.get(letter.bg, f"#{letter.bg}"),
        )
        ink = colours["ink"] if letter.fg == "default" else ink
        paper = "transparent" if letter.bg == "default" else paper
        ink, paper = (colours["paper"], ink) if letter.reverse else (ink, paper)
        return f"color:{ink};background:{paper};" + ("font-weight:bold" if letter.bold else "")

    def line(row: list[Any]) -> str:
        groups = ((key, "".join(x.data for x in part)) for key, part in groupby(row, style))
        return "".join(f'<span style="{key}">{html.escape(text)}</span>' for key, text in groups)

    text = "\n".join(map(line, rows))
    frame = f"padding:14px 18px;border:1px solid {colours['frame']};border-radius:8px"
    font = "font:13px/1.35 'DejaVu Sans Mono',monospace"
    return (
        f'<body style="margin:0;background:{colours["paper"]}"><pre id="shown" style="margin:0;'
        f'display:inline-block;{font};color:{colours["ink"]};{frame}">{text}</pre></body>'
    )


def _in_both_colours(browser: Any, name: str, page_of: Callable[[str], str]) -> None:
    for colour in COLOURS:
        context = browser.new_context(
            device_scale_factor=1.5, viewport={"width": 1000, "height": 900}
        )
        page = context.new_page()
        page.set_content(page_of(colour))
        _keep(page.locator("#shown").screenshot(), f"{name}-{colour}.png")
        page.close()


# The report and MLflow


def _report(browser: Any, sweep: str, home: Path, folder: Path) -> None:
    written = folder / "report.html"
    command = f"sweeps report {sweep} --home {home} --output {written}"
    ran = _started(command, folder, subprocess.PIPE)
    said = ran.communicate(timeout=SECONDS)[0]
    if ran.returncode:
        raise SystemExit(said)
    for colour in COLOURS:
        context = browser.new_context(
            color_scheme=colour, offline=True, viewport={"width": 1280, "height": 860}
        )
        page = context.new_page()
        page.goto(written.as_uri())
        page.wait_for_timeout(3000)  # charts are drawn
        _keep(page.screenshot(), f"report-{colour}.png")
        context.close()


def _mlflow(browser: Any, sweep: str, home: Path, folder: Path) -> None:
    from playwright.sync_api import TimeoutError as NotFound

    with _served(f"sweeps ui {sweep} --home {home} --port 0 --no-browser", folder) as address:
        for colour in COLOURS:
            context = browser.new_context(
                color_scheme=colour, viewport={"width": 1440, "height": 900}
            )
            context.add_init_script(REMEMBERED)
            page = context.new_page()
            page.goto(f"{address}&compareRunsMode=CHART")
            page.get_by_text("Parallel Coordinates").first.wait_for(timeout=60_000)
            page.wait_for_function("document.querySelectorAll('canvas').length > 1", timeout=60_000)
            with suppress(NotFound):  # a hint above the charts
                page.locator("[data-component-type=alert] button").last.click(timeout=5000)
            page.wait_for_timeout(4000)
            _keep(page.screenshot(), f"mlflow-{colour}.png")
            context.close()


REMEMBERED: Final = """
try { localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true") } catch {}
"""
"""What MLflow's page remembers of a visitor to whom it has shown its assistant."""


@contextmanager
def _served(command: str, folder: Path) -> Iterator[str]:
    """Run a server; give the address that it prints, and end it by Ctrl-C."""
    process = _started(
        command.replace("--port 0", f"--port {_free_port()}"), folder, subprocess.PIPE
    )
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"MLflow UI: (http\S+)", line):
                yield found[1]
                return
        raise SystemExit("".join(said))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _started(command: str, folder: Path, output: int, **environment: str) -> Any:
    dropped = ("SWEEPS_", "MLFLOW_", "GITHUB_", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "DISPLAY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    program, _, rest = command.partition(" ")
    return subprocess.Popen(
        [sys.executable, "-m", program, *rest.split()],
        cwd=folder, stdin=output if output != subprocess.PIPE else subprocess.DEVNULL,
        stdout=output, stderr=output if output != subprocess.PIPE else subprocess.STDOUT, text=True,
        env=kept
        | {"PYTHONPATH": os.pathsep.join(paths), "SWEEPS_STATE": "off"}
        | environment,
    )  # fmt: skip


def _keep(picture: bytes, name: str) -> None:
    """Store a picture; one that is too large gets fewer colours, then fewer pixels."""
    from PIL import Image

    image = Image.open(io.BytesIO(picture)).convert("RGB")
    stored = _png(image)
    for colours, share in ((256, 1.0), (128, 1.0), (64, 1.0), (64, 0.75), (32, 0.5)):
        if len(stored) < MOST_BYTES:
            break
        size = (round(image.width * share), round(image.height * share))
        smaller = image if share == 1 else image.resize(size, Image.Resampling.LANCZOS)
        stored = _png(smaller.quantize(colours, dither=Image.Dither.NONE))
    (TARGET / name).write_bytes(stored)
    print(f"{TARGET / name}: {len(stored) // 1000} kB")


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
