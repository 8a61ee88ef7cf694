"""Confirmations of scripts, which divide their data by the number of a fold."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import sweeps
from sweeps.cli import app
from sweeps.confirm.checks import searched_by
from sweeps.confirm.comparison import Trainings
from sweeps.confirm.finalists import Scored

TRAIN = """
import argparse, csv, random

parser = argparse.ArgumentParser()
parser.add_argument("--inputs", type=int)
parser.add_argument("--fold", type=int)
parser.add_argument("--folds", type=int)
parser.add_argument("--out")
asked = parser.parse_args()

drawn = random.Random(7)
xs = [[drawn.gauss(0, 1) for _ in range(3)] for _ in range(120)]
ys = [sum(x) + drawn.gauss(0, 0.3) for x in xs]
searched, rest = list(range(30)), list(range(30, 120))
if asked.fold == 0:  # the search
    train, judge = rest, searched
else:
    repeat, place = divmod(asked.fold - 1, asked.folds)
    random.Random(repeat).shuffle(rest)
    judge = rest[place :: asked.folds]
    train = searched + [n for n in rest if n not in judge]
weights = [0.0] * 3
for _ in range(20):
    for n in train:
        error = sum(w * x for w, x in zip(weights, xs[n])) - ys[n]
        weights = [w - 0.02 * error * x * (k < asked.inputs)
                   for k, (w, x) in enumerate(zip(weights, xs[n]))]
said = [sum(w * x for w, x in zip(weights, xs[n])) for n in judge]
mae = sum(abs(s - ys[n]) for s, n in zip(said, judge)) / len(judge)
if SAMPLES:
    with open(asked.out + "/predictions.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample", "y_true", "y_pred"])
        writer.writerows([n, ys[n], s] for n, s in zip(judge, said))
print(f"epoch 1: val_mae {mae:.5f}")
"""
SPACE = f"""
command: {sys.executable} train.py --inputs {{inputs}} --fold {{fold}} --folds {{folds}} --out {{output}}
objective: {{metric: val_mae, direction: minimize}}
metrics: {{val_mae: 'val_mae (\\S+)'}}
parameters:
  inputs: {{type: int, low: 1, high: 3}}
baselines:
  blind: {{inputs: 1}}
  seeing: {{inputs: 3}}
defaults: {{trials: 2, sampler: random}}
"""  # noqa: E501 - one command


@pytest.fixture
def script(tmp_path):
    """Write the script and its space; a text of the script may be replaced."""

    def write(samples=True, **replaced):
        text = TRAIN.replace("SAMPLES", str(samples))
        for old, new in replaced.values():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "train.py").write_text(text)
        (tmp_path / "space.yaml").write_text(SPACE)
        return tmp_path / "space.yaml"

    return write


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.mark.slow
@pytest.mark.parametrize("has_samples", [True, pytest.param(False, marks=pytest.mark.nightly)])
def test_a_script_is_confirmed_on_the_folds_that_it_divides(
    script, tmp_path, make_home, has_samples
):
    space, home = script(has_samples), make_home()
    sweep = sweeps.run(str(space), workers=2, home=home, progress="quiet")
    planned = run("plan", space, "--home", home)
    assert "by mae, on 20 folds, as the script divides by {fold}" in " ".join(
        planned.stdout.split()
    )
    (verdict, *_) = sweep.confirm(folds=20, progress="quiet")
    exported = run("export", sweep.name, tmp_path / "taken", "--home", home)
    assert exported.exit_code == 0, exported.output
    about = (tmp_path / "taken" / "README.md").read_text(encoding="utf-8")
    assert about.startswith(f"# {sweep.name}, champion baseline-seeing\n\nKeep ")
    assert "expect slightly worse" not in about
    assert "--fold 1 --folds 4 --out again" in about
    assert f"lies, which was `{tmp_path}`" in about
    assert verdict.lead.startswith("baseline-seeing is better than every other finalist")
    judged = "The samples of these folds have judged 2 finalists of 1 sweep"
    assert any(judged in line for line in verdict.lines)
    store = sweep.home.store(sweeps.load(f"{sweep.name}-confirmation", home).info.id)
    records = [store.read(record.key) for record in store.read_all()]
    folds = {re.search(r"--fold (\d+) --folds 4", one.result.summary)[1] for one in records}
    assert folds == {str(number) for number in range(1, 21)}
    trainings = Trainings.read(store, scored=Scored.by("val_mae", "minimize"))
    answers = trainings.answers(["baseline-seeing", "baseline-blind"], range(8))["baseline-seeing"]
    first = np.concatenate([one.samples for one in answers[:4]])
    if has_samples:
        assert sorted(first) == list(range(30, 120))
        assert "for new samples and new seeds" in " ".join(verdict.lines)
        assert sorted(searched_by(sweep.home.store(sweep.info.id), sweep.info)) == list(range(30))
    else:
        assert len(first) == 0
        assert "one number per fold" in " ".join(verdict.lines)


GROUPS = {
    "names": ('["sample", "y_true", "y_pred"]', '["sample", "y_true", "y_pred", "group"]'),
    "rows": ("([n, ys[n], s] for", "([n, ys[n], s, f'patient {n}'] for"),
}
"""Replacements by which a script names a patient of each sample."""


@pytest.mark.slow
def test_groups_of_a_script_may_be_named_by_texts(script, make_home):
    sweep = sweeps.run(str(script(**GROUPS)), workers=0, home=make_home(), progress="quiet")
    (verdict, *_) = sweep.confirm(folds=20, progress="quiet")
    assert "for new samples and new seeds" in " ".join(verdict.lines)
    assert verdict.lead.startswith("baseline-seeing is better than every other finalist")


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, GROUPS])
def test_a_fold_of_what_scored_the_search_is_refused(script, make_home, more):
    space = script(
        leak=(
            "rest = list(range(30)), list(range(30, 120))",
            "rest = list(range(30)), list(range(20, 120))",
        ),
        **more,
    )
    home = make_home()
    sweep = sweeps.run(str(space), workers=0, home=home, progress="quiet")
    refused = run("confirm", sweep.name, "--workers", 0, "--home", home)
    assert (refused.exit_code, refused.stdout) == (2, ""), refused.output
    assert re.search(
        r"the script, tried on fold 1, was scored on \d of the 30 samples that scored "
        "the search",
        refused.stderr,
    )
    assert [one.id for one in sweep.home.sweeps()] == [sweep.info.id]


@pytest.mark.parametrize(
    ("metric", "fold", "scored"),
    [
        ("acc", "", "in the search"),
        ("val_acc", "", "on the validation set"),
        ("acc", "{fold}", "on the validation set"),
        ("acc", "{?fold --fold {fold}}", "on the validation set"),
        ("acc", "{{fold}}", "in the search"),
    ],
)
def test_only_a_script_that_divides_is_advised_to_confirm(
    tmp_path, make_home, monkeypatch, metric, fold, scored
):
    (tmp_path / "own.yaml").write_text(
        f"command: [sh, -c, 'echo \"acc $1\"', sh, '{{x}}', '{fold}']\n"
        f"objective: {{metric: {metric}, direction: maximize}}\n"
        f"metrics: {{{metric}: 'acc (.*)'}}\n"
        "parameters: {x: {type: categorical, choices: [1, 2]}}\n"
        "defaults: {trials: 2, sampler: grid}\n"
    )
    home = str(make_home())
    ended = run("run", tmp_path / "own.yaml", "--workers", 0, "--home", home)
    assert ended.exit_code == 0, ended.output
    report = tmp_path / "report.html"
    assert run("report", "own", "--home", home, "--output", report).exit_code == 0
    page = report.read_text(encoding="utf-8")
    monkeypatch.setenv("SWEEPS_HOME", home)
    said = [ended.output, page, run().output, run("report", "own", "--methods").output]
    divides = "fold" in fold and "{{" not in fold
    assert [("sweeps confirm own" in text) for text in said] == 4 * [divides]
    assert f"leads {scored}" in page
    assert ("validation set" in page) is (scored == "on the validation set")


def test_a_count_of_one_has_a_singular(tmp_path, make_home):
    (tmp_path / "one.yaml").write_text(
        "command: [sh, -c, 'echo \"acc $1\"', sh, '{x}', '{fold}']\n"
        "objective: {metric: acc, direction: maximize}\nmetrics: {acc: 'acc (.*)'}\n"
        "parameters: {x: {type: categorical, choices: [1, 2]}}\n"
    )
    home = make_home()
    ended = run("run", tmp_path / "one.yaml", "--trials", 1, "--workers", 0, "--home", home)
    assert "1 of 1 trial: 1 COMPLETE" in ended.stderr
    refused = run("confirm", "one", "--home", home)
    assert (refused.exit_code, "has 1 complete configuration; two or more" in refused.stderr) == (
        2,
        True,
    ), refused.output
