"""The bundles of plotly.js in the packages: which they are, and that they draw what we draw."""

from __future__ import annotations

import hashlib
import re
import subprocess

import pytest

from sweeps.render.page import figure
from tests.sweeps.render.test_charts import CHARTS
from tests.tools import ROOT, need

VERSION = "4.1.1"
FLAT, IN_SPACE = ("scatter", "bar", "heatmap"), ("scatter", "scatter3d", "mesh3d")
SHA256 = {
    "sweeps/render/page/plotly.min.js": (
        FLAT, "27f2c83696979b2bf4229e735eef0881c111e8dd67a261b8cc6038f2978fe193",
    ),
    "digitexp/pages/plotly.min.js": (
        FLAT, "27f2c83696979b2bf4229e735eef0881c111e8dd67a261b8cc6038f2978fe193",
    ),
    "digitexp/pages/plotly-3d.min.js": (
        IN_SPACE, "f9742376975874463b7e26358630ca49ffbcbfbbc472f0c7e38e63bc92507e84",
    ),
}  # fmt: skip
LICENCES = sorted({f"{path.rpartition('/')[0]}/LICENSE-plotly.txt" for path in SHA256})


@pytest.mark.parametrize("path", SHA256)
def test_a_bundle_is_the_one_that_was_built(path):
    traces, expected = SHA256[path]
    content = (ROOT / path).read_bytes()
    first = content.splitlines()[0].decode()
    assert first.startswith(f"/* plotly.js v{VERSION} with {', '.join(traces)};")
    assert hashlib.sha256(content).hexdigest() == expected


def test_it_is_the_version_that_checks_our_figures():
    from plotly.offline import get_plotlyjs_version

    assert get_plotlyjs_version() == VERSION


@pytest.mark.parametrize("path", LICENCES)
def test_the_licences_of_all_that_is_in_it_lie_beside_it(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert f"plotly.js {VERSION} (MIT)" in text
    named = set(re.findall(r"^\S+ [\d.]+ \((.+)\)$", text, re.MULTILINE))
    assert named == {"MIT", "BSD-3-Clause", "Zlib"}, "as pyproject.toml says"


def test_reports_draw_nothing_that_it_lacks():
    drawn = {trace["type"] for chart in CHARTS.values() for trace in figure(chart)["data"]}
    assert drawn == set(FLAT)


@pytest.mark.parametrize("tool", ["softmax", "decision_regions"])
def test_pages_of_a_trial_draw_nothing_that_theirs_lacks(tool):
    from digitexp.pages.page import BUNDLES

    traces, _ = SHA256[f"digitexp/pages/{BUNDLES[tool]}"]
    script = (ROOT / f"digitexp/pages/{tool}.js").read_text(encoding="utf-8")
    types = set(re.findall(r'type: "(\w+)"', script)) - {"line", "log", "range"}
    assert types
    assert types <= set(traces)


@pytest.mark.nightly
def test_the_script_builds_the_same_bytes(tmp_path):
    need("npm")
    subprocess.run(["node", ROOT / ".ci/build-plotly.mjs", tmp_path], check=True)
    built = {path: hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() for path in SHA256}
    assert built == {path: digest for path, (_, digest) in SHA256.items()}
    for path in LICENCES:
        assert (tmp_path / path).read_bytes() == (ROOT / path).read_bytes()
