"""Writes `reference/outputs/`: what each command prints, by running it.

python docs/build_outputs.py [FOLDER]   write it (into FOLDER, if one is named); takes minutes

All commands run one after another in one empty folder, on small sweeps of the embedded digits. What
a user would see in a pipe is kept as it is, but for three things: lines beyond `MOST` are counted,
the folder is called `/home/me/digits`, and the machine `desk`. `python docs/build_reference.py`
then takes the outputs into the pages of the commands.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TARGET: Final = Path(__file__).parent / "reference" / "outputs"
MOST: Final = 40
"""Lines of an output that are shown."""
FOLDER: Final = "/home/me/digits"
SECONDS: Final = 300
"""Longest that a command may take."""

SESSION: Final = """
plan          sweeps plan smoke
run           sweeps run smoke --trials 15
list          sweeps list
best          sweeps best smoke
trials        sweeps trials smoke
trials        sweeps trials smoke 0
report        sweeps report smoke
compare       sweeps compare smoke:0 smoke:3
replay        sweeps replay smoke 0
export        sweeps export smoke model
enqueue       sweeps enqueue smoke --like best learning_rate=0.002
note          sweeps note smoke 3 "a second look at this one"
note          sweeps note smoke
confirm       sweeps confirm smoke --top 2 --folds 8
best          sweeps best smoke --ensemble
sync          sweeps sync smoke
doctor        sweeps doctor
gc            sweeps gc --keep-top 3 --dry-run
init          sweeps init mine
-             sweeps run mine/space.yaml --name mine --trials 1 --quiet
share         sweeps share mine mine.sweep
import        sweeps import mine.sweep --home elsewhere
trust         sweeps trust mine mine --home elsewhere --yes
-             sweeps run fit.yaml --trials 2 --quiet
-             sed -i s/half/0.5/ fit.py
retry         sweeps retry fit --same-code
status        sweeps status
&             sweeps run smoke --name long {long} --quiet
status        sweeps status
pause         sweeps pause long
resume        sweeps resume long
status        sweeps status long  # until Ctrl-C
stop          sweeps stop long 0
stop          sweeps stop long
rename        sweeps rename long longer
archive       sweeps archive longer
delete        sweeps delete longer --yes
ui            sweeps ui smoke --no-browser --port 5000  # until Ctrl-C
data          digitexp data digits20
train         digitexp train --epochs 5 --output net
evaluate      digitexp evaluate net
calibrate     digitexp calibrate net
check         digitexp check net
robustness    digitexp robustness net
transfer      digitexp transfer --from digits20 --data sklearn-digits {little}
parameters    digitexp parameters
softmax       digitexp softmax 2 1 0.1 --temperature 0.5
activations   digitexp activations
pages         digitexp pages smoke champion net
""".replace("{long}", "--set epochs=10000 --set early_stopping_patience_epochs=null").replace(
    "{little}", "--source-images 200 --images-per-class 5 --seeds 2 --set epochs=2"
)
"""The page of a command, and what is typed. `-` is not shown; `&` runs beside what follows."""

FILES: Final = {
    "fit.py": "import json\nprint(json.dumps({'result': {'loss': half}}))\n",
    "fit.yaml": "command: python3 fit.py {lr}\nobjective: {metric: loss, direction: minimize}\n"
    "parameters:\n  lr: {type: float, low: 0.001, high: 0.5}\n",
}
"""A script with a mistake, which is mended on the way."""
ADDRESS: Final = re.compile(r"\b(https?|tcp)://\S")
"""Printed by servers when they answer."""


def build(target: Path, session: str = SESSION) -> None:
    """Run a session and write each command's part of it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "digits"
        folder.mkdir()
        for file, text in FILES.items():
            (folder / file).write_text(text, encoding="utf-8")
        shown: dict[str, list[str]] = {}
        beside: list[subprocess.Popen[str]] = []
        for line in session.strip().splitlines():
            page, typed = line.split(maxsplit=1)
            command, _, remark = (part.strip() for part in typed.partition("  #"))
            print(f"$ {command}", file=sys.stderr)
            if page == "&":
                beside.append(_started(command, folder))
                _wait_for(lambda: "long" in _printed("sweeps status", folder))
                if beside[-1].poll() is not None:
                    raise SystemExit(beside[-1].communicate()[0])
                continue
            text = _plainly(_printed(command, folder, remark == "until Ctrl-C"), folder)
            if page == "-":
                continue
            name = f"{command.split()[0]}-{page}"
            shown.setdefault(name, []).append(f"$ {command}\n{_shortened(text)}".rstrip())
        for process in beside:
            process.wait(SECONDS)
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    for name, parts in shown.items():
        (target / f"{name}.txt").write_text("\n".join(parts) + "\n", encoding="utf-8")


def _started(command: str, folder: Path) -> subprocess.Popen[str]:
    dropped = ("SWEEPS_", "MLFLOW_", "GITHUB_", "FORCE_COLOR", "DISPLAY", "WAYLAND")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    program, _, rest = command.partition(" ")
    ours = program in {"sweeps", "digitexp"}
    return subprocess.Popen(
        f"exec {sys.executable} -m {program} {rest}" if ours else f"exec {command}",
        shell=True, executable="/bin/bash", cwd=folder, text=True, stdin=subprocess.DEVNULL,
        env=kept
        | {"COLUMNS": "100", "TERM": "dumb", "PYTHONPATH": os.pathsep.join(paths)}
        | {"SWEEPS_STATE": "off"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _printed(command: str, folder: Path, until_interrupted: bool = False) -> str:
    """Return what a command printed.

    One that would run on is interrupted, as by Ctrl-C, three seconds after it has printed an
    address; one that prints none (`sweeps status NAME`) after 30 seconds.
    """
    process = _started(command, folder)
    assert process.stdout is not None
    if not until_interrupted:
        return process.communicate(timeout=SECONDS)[0]
    lines: list[str] = []
    reading = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))  # type: ignore[union-attr]
    reading.start()
    most = 30 if "status" in command else SECONDS
    _wait_for(lambda: ADDRESS.search("".join(lines)) or process.poll() is not None, most)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    process.wait(SECONDS)
    reading.join()
    return "".join(lines)


def _wait_for(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until a condition holds, but no longer than this."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.2)


def _plainly(text: str, folder: Path) -> str:
    text = text.replace(f" on {platform.node()} ", " on desk ")
    text = text.replace(str(folder.resolve()), FOLDER).replace(str(folder), FOLDER)
    text = text.replace(str(Path.home()), "/home/me") if str(Path.home()) != "/" else text
    return re.sub(r"\?token=[\w-]+", "?token=...", re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


def _shortened(text: str) -> str:
    lines = text.rstrip().splitlines()
    if len(lines) <= MOST + 3:
        return "\n".join(lines)
    return "\n".join([*lines[:MOST], f"... ({len(lines) - MOST} lines more)"])


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
