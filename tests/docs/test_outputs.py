"""The outputs in the reference are what the commands print now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

OUTPUTS = Path(__file__).parents[2] / "docs" / "reference" / "outputs"
BY_THE_CLOCK = {
    "run", "status", "pause", "resume", "stop", "confirm", "retry",
}  # fmt: skip
"""Commands that print what happens when it happens, or how long something will take."""


def without_numbers(text):
    """The words of a text; numbers, durations, ids and the widths of columns differ by the run."""
    text = re.sub(r"\b[0-9a-f]{8,}\b", "#", text)
    text = re.sub(r"[-+]?\d[\d.,:]*(e[-+]?\d+)?", "#", text)
    text = re.sub(r"#(\s*(h|min|ms|s)\b(\s*#)?)+", "#", text)
    return re.sub(r"[-─━═]{2,}", " ", text).split()


@pytest.mark.nightly
@pytest.mark.tensorflow
def test_the_outputs_of_the_reference_are_those_of_today(tmp_path):
    script = OUTPUTS.parents[1] / "build_outputs.py"
    subprocess.run([sys.executable, str(script), str(tmp_path / "now")], check=True, env=os.environ)
    now = {path.stem: path.read_text("utf-8") for path in (tmp_path / "now").iterdir()}
    stored = {path.stem: path.read_text("utf-8") for path in OUTPUTS.iterdir()}
    assert now.keys() == stored.keys()
    differing = [
        name
        for name in sorted(now)
        if name.partition("-")[2] not in BY_THE_CLOCK
        and without_numbers(now[name]) != without_numbers(stored[name])
    ]
    assert differing == [], "run: python docs/build_outputs.py && python docs/build_reference.py"


def test_numbers_durations_and_widths_are_no_difference():
    one = without_numbers("trial 3  0.91  3 min 02 s\nid 1a2b3c4d  ---- 1e-05")
    assert one == without_numbers("trial 12   0.9   42 s\nid 99aabbcc ------- 0.5")
    assert one != without_numbers("trial 12   0.9   soon\nid 99aabbcc ------- 0.5")
