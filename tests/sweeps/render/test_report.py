"""The report of a sweep of sixty trials, some failed and many pruned: what it says, and whence."""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import re

import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.analysis.data import read_sweep
from sweeps.cli import app
from sweeps.errors import SamplesWarning
from sweeps.render.section import Code
from sweeps.render.sections import report_sections
from sweeps.render.sections.verdict import verdict_section
from tests.sweeps.confusing_experiment import SPACE, ConfusingExperiment
from tests.sweeps.factories import altered

SECTIONS = [
    "verdict", "history", "curves", "confusion", "mistakes", "importances", "parameters",
    "trouble", "reproduce",
]  # fmt: skip


def run_confusing(home, trials, **options):
    home.mkdir()
    space = home / "confusing.yaml"
    space.write_text(SPACE)
    return sweeps.run(str(space), trials=trials, home=home, workers=0, progress="quiet", **options)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    return run_confusing(tmp_path_factory.mktemp("swept") / "mlruns", 60)


@pytest.fixture(scope="module")
def page(swept, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "confusing.html"
    words = ["report", "confusing", "--output", str(file), "--home", str(swept.home.path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(file), "the path is the last line"
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sections(swept):
    return report_sections(read_sweep(swept.info, swept.home.store(swept.info.id)))


def test_it_is_one_file_that_asks_for_nothing_else(page):
    assert len(page.encode()) < 2e6, "plotly.js is in it with what it draws, and no more"
    assert "default-src 'none'" in page, "the browser would refuse anything from elsewhere"
    before_plotly = page[: page.index("<script>")]
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", before_plotly)


def test_export_is_advised_where_the_best_kept_its_weights(swept):
    data = read_sweep(swept.info, swept.home.store(swept.info.id))
    dropped = tuple(altered(one, weights_sha256=None) for one in data.records)
    with_weights, without = (
        next(block.text for block in verdict_section(one).blocks if isinstance(block, Code))
        for one in (data, dataclasses.replace(data, records=dropped))
    )
    advice = r"sweeps export confusing model +# the model to take: as a file, if its experiment"
    assert re.search(advice, with_weights)
    assert "sweeps export" not in without
    assert "sweeps ui confusing" in without
    script = dataclasses.replace(data, info=dataclasses.replace(data.info, experiment="script:a"))
    wrote = [altered(one, files_sha256="0" * 64) for one in data.records]
    assert not script.exported(0)
    assert "command" in dataclasses.replace(script, records=tuple(wrote)).exported(0)


def test_every_section_is_there_in_its_order(sections, page):
    assert [section.anchor for section in sections] == SECTIONS
    assert re.findall(r'<section id="([\w-]+)"', page) == SECTIONS
    named = re.findall(r'<a href="#([\w-]+)">', page[page.index("<nav") : page.index("</nav>")])
    assert [name for name in named if name != "trials"] == SECTIONS


def test_the_verdict_comes_first_and_does_not_claim_too_much(swept, page):
    verdict = page[page.index('<section id="verdict"') : page.index('<section id="history"')]
    best = swept.best()
    lead = f"Trial {best.number} leads on the validation set: best_val_accuracy {best.value:.4f}"
    assert lead in verdict
    assert "Not confirmed" in verdict
    assert not re.search("is better|is more accurate|best observed", verdict)
    history = page[page.index('<section id="history"') : page.index('<section id="curves"')]
    assert f"are #1, trial {best.number}, and the next different?" in history
    assert "cannot be told" in verdict
    assert "60 of 60 trials" in verdict


def test_the_learning_rate_is_found_to_matter_and_units_hardly(sections):
    (chart,) = next(s for s in sections if s.anchor == "importances").charts
    shares: dict[str, float] = {}
    for bars in chart.marks:
        shares |= zip(bars.labels, bars.values, strict=True)
    assert max(shares, key=shares.get) == "learning_rate"
    assert "noise (reference)" in shares


def test_every_failed_trial_is_explained(swept, page):
    failed = [row for row in swept.rows() if row.state == "FAILED"]
    assert failed
    trouble = page[page.index('<section id="trouble"') :]
    for row in failed:
        assert f'<td class="number">{row.trial}</td><td>{row.reason}</td>' in trouble


def test_pictures_of_the_worst_mistakes_are_pngs_with_what_went_wrong(page):
    figure = r'<figure title="([^"]+)"><img alt="[^"]+" src="data:image/png;base64,([^"]+)"'
    shown = re.findall(figure, page)
    assert 10 <= len(shown) <= 40
    assert all(base64.b64decode(png).startswith(b"\x89PNG") for _, png in shown)
    assert "wrong in" in shown[0][0]


def test_the_space_in_it_is_the_space_that_was_run(swept, page, tmp_path):
    (content,) = re.findall(r'download="space.json" href="data:text/plain;base64,([^"]+)"', page)
    (tmp_path / "space.json").write_bytes(base64.b64decode(content))
    planned = CliRunner().invoke(app, ["plan", str(tmp_path / "space.json"), "--json",
                                       "--home", str(tmp_path / "home")])  # fmt: skip
    assert planned.exit_code == 0, planned.output
    space = json.loads(planned.stdout)["space"]
    assert space == json.loads(json.dumps(dict(swept.info.space)))


@pytest.mark.slow
def test_the_command_in_it_continues_the_same_sweep(swept, page, tmp_path):
    line = re.search(r"sweeps run space\.json --name confusing --trials[^\n<]+", page)[0]
    (content,) = re.findall(r'download="space.json" href="data:text/plain;base64,([^"]+)"', page)
    (tmp_path / "space.json").write_bytes(base64.b64decode(content))
    words = line.replace("space.json", str(tmp_path / "space.json")).split()[1:]
    result = CliRunner().invoke(app, [*words, "--home", str(swept.home.path), "--quiet"])
    assert result.exit_code == 0, result.output
    assert len(swept.rows()) == 60, "nothing was left to run, and nothing was refused"


def test_it_is_the_same_page_each_time(swept, tmp_path):
    one, other = (swept.report(tmp_path / name).read_text(encoding="utf-8") for name in "ab")
    assert one == other


@pytest.mark.slow
def test_a_regression_is_reported_without_what_it_has_not(finished_toy, tmp_path):
    sweep = finished_toy(trials=12)
    page = sweep.report(tmp_path / "toy.html").read_text(encoding="utf-8")
    found = re.findall(r'<section id="([\w-]+)"', page)
    assert found == [name for name in SECTIONS if name not in {"confusion", "mistakes"}]
    assert "Each trial was trained once" in page


@pytest.mark.parametrize("mode", ["raise", "diverge"])
def test_a_sweep_without_a_complete_trial_is_reported_too(finished_toy, tmp_path, mode):
    sweep = finished_toy(trials=2, overrides=(f"mode={mode}",))
    page = sweep.report(tmp_path / "toy.html").read_text(encoding="utf-8")
    assert "no trial completed" in page


def test_an_empty_sweep_has_nothing_to_report(tmp_path):
    result = CliRunner().invoke(app, ["report", "nothing", "--home", str(tmp_path)])
    assert result.exit_code == 2


SAMPLES = {
    "labels raise": (
        "validation_labels",
        lambda self, data: {}["split"],
        "KeyError: &#39;split&#39;",
    ),
    "too few labels": ("validation_labels", lambda self, data: [0, 1], "returned 2 labels, and"),
    "no labels": ("validation_labels", lambda self, data: ["a"], "invalid literal for int()"),
    "picture raises": ("picture", lambda self, data: b"", "takes 2 positional arguments"),
    "no picture": ("picture", lambda self, data, index: "a", "it returned str, not the bytes of"),
}


@pytest.mark.parametrize(("member", "answer", "said"), SAMPLES.values(), ids=SAMPLES)
def test_a_report_says_why_it_shows_no_samples(swept, tmp_path, monkeypatch, member, answer, said):
    monkeypatch.setattr(ConfusingExperiment, member, answer)
    file = tmp_path / "confusing.html"
    words = ["report", "confusing", "--output", str(file), "--home", str(swept.home.path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("confusing: its samples cannot be shown: ")
    assert html.unescape(said) in line
    page = file.read_text(encoding="utf-8")
    (section,) = re.findall(r'<section[^>]*id="mistakes".*?</section>', page, re.DOTALL)
    assert "The samples cannot be shown:" in section
    assert said in section
    assert member in section


@pytest.mark.slow
def test_what_an_experiment_cannot_show_makes_no_run_incomplete(tmp_path, monkeypatch):
    monkeypatch.setattr(ConfusingExperiment, "picture", lambda self, data: b"")
    with pytest.warns(SamplesWarning, match="samples cannot be shown: `picture` of experiment"):
        run_confusing(tmp_path / "mlruns", 40)
    synced = CliRunner().invoke(app, ["sync", "--home", str(tmp_path / "mlruns")])
    assert synced.exit_code == 0, synced.output
    (page,) = (tmp_path / "mlruns" / "artifacts").rglob("report.html")
    assert "The samples cannot be shown: `picture` of experiment" in page.read_text("utf-8")
