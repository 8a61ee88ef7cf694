"""An experiment whose code was edited: its sweep does not go on as if nothing had happened."""

import dataclasses
import html
import importlib
import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import digitexp
import sweeps
from sweeps.cli import app
from sweeps.errors import TrialsError, UsageError
from sweeps.experiments.code import RevisedCode, code_of, load_same
from sweeps.experiments.loading import load_experiment
from sweeps.home import Home
from sweeps.manage.sharing import import_sweep, share_sweep, trust_sweep
from sweeps.records import RecordStore
from sweeps.records.code import CodeHistory, SourceFile
from sweeps.records.schema import json_bytes
from sweeps.workspace.provenance import is_mixed
from tests.sweeps import journals
from tests.sweeps.conftest import TOY

NET = """\
from net_parts import scale
from tests.sweeps.toy_experiment import ToyExperiment


class Net(ToyExperiment):
    def train(self, spec, data, on_epoch):
        import net_late
        return super().train(spec, data, on_epoch)


experiment = Net()
"""

DIGITS = "digitexp.experiment:experiment"


@pytest.fixture
def net(tmp_path, monkeypatch):
    """A space beside an experiment of one's own, which two more files belong to."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "net.py").write_text(NET)
    (folder / "net_parts.py").write_text('def scale():\n    return "relu"\n')
    (folder / "net_late.py").write_text("late = 1\n")
    (folder / "unrelated.py").write_text("nothing = 0\n")
    space = folder / "net.yaml"
    space.write_text(TOY.replace("tests.sweeps.toy_experiment:", "net:"))
    monkeypatch.syspath_prepend(str(folder))
    forget()
    yield space
    forget()


def forget():
    """Have modules imported anew, as the next command does."""
    for name in [
        name for name in sys.modules if name.split("_")[0].split(".")[0] in {"net", "kit"}
    ]:
        del sys.modules[name]
    importlib.invalidate_caches()


def edit(space, name, old, new):
    file = space.parent / name
    text, before = file.read_text(), file.stat().st_mtime
    assert old in text
    file.write_text(text.replace(old, new))
    # Python takes a .pyc for that of a source of the same size and second; nobody edits so fast.
    os.utime(file, (before + 1, before + 1))
    forget()


KIT = {
    "__init__.py": "",
    "net.py": """\
from tests.sweeps.toy_experiment import ToyExperiment


class Shipped(ToyExperiment):
    revision = 1

    def train(self, spec, data, on_epoch):
        import kit.layers
        return super().train(spec, data, on_epoch)

    def draw(self, spec, result):
        from kit import pictures
        return super().draw(spec, result)


experiment = Shipped()
""",
    "layers.py": "width = 3\n",
    "pictures.py": "colour = 0\n",
    "cli.py": "import kit.net\n",
}
OWN_OF_KIT = """\
from kit.net import Shipped


class Own(Shipped):
    pass


experiment = Own()
"""


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """Makes an experiment that ships in a package, in a checkout or as an installed release."""

    def make(place="checkout"):
        folder = tmp_path / place / "kit"
        folder.mkdir(parents=True)
        for name, text in KIT.items():
            (folder / name).write_text(text)
        (folder.parent / "net_own.py").write_text(OWN_OF_KIT)
        released(folder, "1.0")
        for name, path in (("kit", "kit.net"), ("own", "net_own")):
            text = TOY.replace("tests.sweeps.toy_experiment:", f"{path}:")
            (folder / f"{name}.yaml").write_text(text)
        monkeypatch.syspath_prepend(str(folder.parent))
        forget()
        return folder / "kit.yaml"

    yield make
    forget()


def released(folder, version):
    """Have a package say this version of itself, as pip does."""
    about = folder.parent / "kit.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kit\nVersion: {version}\n")
    (about / "top_level.txt").write_text("kit\n")
    importlib.invalidate_caches()


def run(space, make_home, **options):
    return sweeps.run(
        str(space), home=make_home(), progress="quiet", workers=0, **{"trials": 2, **options}
    )


def history(sweep):
    return CodeHistory(sweep.home.store(sweep.info.id))


def test_an_edited_file_is_refused_with_its_lines_and_the_ways_out(net, make_home):
    run(net, make_home)
    edit(net, "net_parts.py", "relu", "tanh")
    with pytest.raises(UsageError) as refused:
        run(net, make_home, trials=3)
    said = str(refused.value)
    assert "net_parts.py" in said
    assert '-    return "relu"' in said
    assert '+    return "tanh"' in said
    assert "net.py" not in said.replace("net_parts.py", "")
    for way in ("extend=True", "name=", "same_code=True"):
        assert way in said
    assert len(sweeps.load("net", make_home()).rows()) == 2


@pytest.mark.parametrize("name", ["net.py", "net_parts.py", "net_late.py"])
def test_every_file_it_imports_counts_at_once_or_late(net, make_home, name):
    run(net, make_home)
    (net.parent / name).write_text((net.parent / name).read_text() + "\nmore = 1\n")
    forget()
    with pytest.raises(UsageError, match=name):
        run(net, make_home, trials=3)


def test_files_beside_it_that_it_does_not_import_do_not_count(net, make_home):
    run(net, make_home)
    edit(net, "unrelated.py", "0", "1")
    assert len(run(net, make_home, trials=3).rows()) == 3


def test_a_changed_comment_is_the_same_code_when_somebody_says_so(net, make_home):
    run(net, make_home)
    edit(net, "net.py", "experiment = Net()", "experiment = Net()  # mine")
    sweep = run(net, make_home, trials=3, same_code=True)
    digests = [record.environment["code"] for record in records(sweep)]
    assert len(digests) == 3
    assert len(set(digests)) == 2
    assert len(history(sweep).all()) == 2
    assert history(sweep).all()[1].same_as == digests[0]
    assert len(run(net, make_home, trials=4).rows()) == 4  # from now on without saying it again


def test_extended_it_goes_on_as_another_generation(net, make_home):
    run(net, make_home)
    edit(net, "net_parts.py", "relu", "tanh")
    sweep = run(net, make_home, trials=3, extend=True)
    assert sweep.info.generation == 2
    assert len(run(net, make_home, trials=4).rows()) == 4
    edit(net, "net_parts.py", "tanh", "relu")
    with pytest.raises(UsageError, match=r"net_parts\.py"):
        run(net, make_home, trials=5)


def test_a_report_says_which_trials_were_trained_by_other_code(net, make_home):
    run(net, make_home)
    edit(net, "net.py", "experiment = Net()", "experiment = Net()  # mine")
    run(net, make_home, trials=3, same_code=True)
    assert "the same code" not in reported(make_home())
    edit(net, "net_parts.py", "relu", "tanh")
    run(net, make_home, trials=5, extend=True)
    said = reported(make_home())
    assert "Not all trials were trained by the same code: trials 0 to 2 by " in said
    assert "; trials 3, 4 by " in said
    assert '-    return "relu"' in said
    assert '+    return "tanh"' in said


def test_retry_names_only_ways_out_that_it_has(net, make_home):
    edit(net, "net.py", "import net_late", 'raise OSError("gone")')
    with suppress(TrialsError):
        run(net, make_home)
    edit(net, "net.py", 'raise OSError("gone")', "import net_late")
    refused = CliRunner().invoke(app, ["retry", "net", "--home", str(make_home())])
    assert refused.exit_code == 2, refused.output
    assert "--same-code" in refused.stderr
    assert "--name" not in refused.stderr
    mended = CliRunner().invoke(app, ["retry", "net", "--same-code", "--home", str(make_home())])
    assert mended.exit_code == 0, mended.output


def test_a_sweep_without_a_digest_goes_on_and_has_one_then(net, make_home, capsys):
    sweep = run(net, make_home)
    store = sweep.home.store(sweep.info.id)
    fingerprint = {k: v for k, v in sweep.info.fingerprint.items() if k != "code"}
    journals.rewrite(store, lambda one: None if one["kind"] == "code 1" else one)
    journals.alter(store, "begun", fingerprint=fingerprint)
    edit(net, "net_parts.py", "relu", "tanh")
    sweeps.run(str(net), home=make_home(), progress="plain", workers=0, trials=3)
    assert "its code was not recorded" in capsys.readouterr().err
    sweeps.run(str(net), home=make_home(), progress="plain", workers=0, trials=4)
    assert "its code was not recorded" not in capsys.readouterr().err
    edit(net, "net_parts.py", "tanh", "elu")
    with pytest.raises(UsageError, match=r"net_parts\.py"):
        run(net, make_home, trials=5)


def test_a_script_counts_with_what_it_imports_and_with_files_its_command_names(tmp_path, make_home):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train.py").write_text(
        'import helper\nprint(\'{"result": {"score": 1}}\')\nhelper.x\n'
    )
    (folder / "helper.py").write_text("x = 1\n")
    (folder / "settings.json").write_text("{}")
    space = folder / "script.yaml"
    space.write_text(
        f"command: {sys.executable} train.py settings.json {{lr}}\n"
        "objective: {metric: score, direction: maximize}\n"
        "parameters:\n  lr: {type: float, low: 0, high: 1}\n"
    )
    run(space, make_home)
    for name in ("train.py", "helper.py", "settings.json"):
        before = (folder / name).read_text()
        (folder / name).write_text(before + "\n")
        with pytest.raises(UsageError, match=name):
            run(space, make_home, trials=3)
        (folder / name).write_text(before)
    assert len(run(space, make_home, trials=3).rows()) == 3


@pytest.fixture
def revised(make_home, monkeypatch):
    """A sweep of two trials of the digits, whose experiment has another revision since."""
    from digitexp.experiments.digits import DigitExperiment

    options = {"home": make_home(), "progress": "quiet", "workers": 0}
    options["overrides"] = ["epochs=2", "engine=compiled"]
    sweep = sweeps.run("smoke", trials=2, **options)
    (code,) = history(sweep).all()
    assert code.revision == DigitExperiment.revision
    assert not code.files
    assert "digitexp/models.py" in code.shipped
    monkeypatch.setattr(DigitExperiment, "revision", DigitExperiment.revision + 1)
    return sweep, options


@pytest.mark.slow
def test_what_is_shipped_here_counts_by_its_number(revised):
    sweep, options = revised
    for more in ({}, {"same_code": True}):
        with pytest.raises(UsageError, match=r"revision 2 .* then, 3 now\)\. .* extend=True$"):
            sweeps.run("smoke", trials=3, **options, **more)
    with pytest.raises(UsageError, match=r"revision 2 .* then, 3 now"):
        sweeps.replay(sweep, 0)
    with pytest.raises(UsageError, match="trainings of today: same_code=True"):
        sweep.confirm(progress="quiet", folds=8)
    assert len(sweeps.run("smoke", trials=3, extend=True, **options).rows()) == 3
    assert len(sweeps.run("smoke", trials=4, **options).rows()) == 4


@pytest.mark.slow
def test_a_revision_counts_for_trainings_and_not_for_their_models(revised):
    sweep, _ = revised
    store, info = sweep.home.store(sweep.info.id), sweep.info
    record, _ = store.read_all()
    assert load_same(store, info, record).name == "digits"
    with pytest.raises(RevisedCode, match="gives other numbers by now"):
        load_same(store, info, record, to_train=True)


@pytest.mark.slow
def test_a_confirmation_of_another_revision_draws_other_folds(revised, monkeypatch):
    from digitexp.experiments.digits import DigitExperiment

    sweep, _ = revised
    words = ["confirm", "smoke", "--top", "2", "--workers", "0", "--same-code", "--folds"]

    def confirm(*more):
        return CliRunner().invoke(app, [*words, *more, "--home", str(sweep.home.path)])

    confirmed = confirm("8")  # of an earlier search, by trainings of today
    assert confirmed.exit_code == 0, confirmed.output
    monkeypatch.setattr(DigitExperiment, "revision", DigitExperiment.revision + 1)
    refused = confirm("12")
    assert refused.exit_code == 2
    assert "Draw other folds:" in refused.stderr
    assert "sweeps confirm smoke --fresh 1" in refused.stderr
    assert confirm("8", "--fresh", "1").exit_code == 0


def test_another_version_of_a_package_is_said_and_not_refused(net, make_home, monkeypatch, capsys):
    run(net, make_home)
    import sweeps.workspace.provenance

    real = sweeps.workspace.provenance.version_of
    monkeypatch.setattr(
        sweeps.workspace.provenance,
        "version_of",
        lambda name: "99" if name == "numpy" else real(name),
    )
    sweeps.run(str(net), home=make_home(), progress="plain", workers=0, trials=3)
    assert "numpy" in capsys.readouterr().err


@pytest.mark.tensorflow
def test_other_kernels_of_tensorflow_are_said_and_not_refused(net, make_home, monkeypatch, capsys):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    run(net, make_home)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "false")
    sweep = sweeps.run(str(net), home=make_home(), progress="plain", workers=0, trials=3)
    assert "oneDNN's kernels in TensorFlow on then, off now" in capsys.readouterr().err
    assert is_mixed(record.environment for record in sweep.home.store(sweep.info.id).read_all())


def test_doctor_names_the_files_that_were_edited_since(net, make_home):
    run(net, make_home)
    home = str(make_home())
    assert "edited" not in CliRunner().invoke(app, ["doctor", "net", "--home", home]).output
    edit(net, "net_parts.py", "relu", "tanh")
    examined = CliRunner().invoke(app, ["doctor", "net", "--home", home])
    assert "its code was edited since trial 1 was trained (net_parts.py)" in examined.output
    assert "all is well" not in examined.output
    assert "agree in 1 sweep; not well: 'net'" in examined.output
    assert examined.exit_code == 0, "records, study and MLflow agree"


@pytest.mark.slow
def test_what_was_declared_goes_with_a_shared_sweep(net, make_home, tmp_path):
    run(net, make_home)
    edit(net, "net.py", "experiment = Net()", "experiment = Net()  # mine")
    sweep = run(net, make_home, trials=3, same_code=True)
    share_sweep(sweep.home, sweep.info, tmp_path / "net.sweep")
    other = Home.resolve(make_home("other"))
    arrived, _ = import_sweep(other, tmp_path / "net.sweep", f"sqlite:///{other.path}/mlflow.db")
    trust_sweep(other, arrived, net.parent)
    brought = sweeps.load("net", other.path)
    assert [code.digest for code in history(brought).all()] == [
        code.digest for code in history(sweep).all()
    ]
    assert (
        len(sweeps.run(str(net), home=other.path, trials=4, workers=0, progress="quiet").rows())
        == 4
    )


def test_a_state_that_was_lost_costs_its_text_and_no_more(net, make_home):
    run(net, make_home)
    edit(net, "net.py", "experiment = Net()", "experiment = Net()  # mine")
    sweep = run(net, make_home, trials=3, same_code=True)
    first, second = history(sweep).all()
    history(sweep).path(first).unlink()
    assert history(sweep).all() == [second]
    assert history(sweep).same_as(first.identity) == {first.identity, second.identity}
    assert len(run(net, make_home, trials=4).rows()) == 4


@pytest.mark.parametrize("space", ["kit", "own"])
def test_the_package_that_an_experiment_comes_from_counts(kit, make_home, space):
    file = kit().with_name(f"{space}.yaml")
    sweep = run(file, make_home)
    (code,) = history(sweep).all()
    assert set(code.shipped) == {"kit/__init__.py", "kit/net.py", "kit/layers.py"}
    edit(file, "pictures.py", "0", "1")
    edit(file, "cli.py", "kit.net", "kit.layers")
    assert len(run(file, make_home, trials=3).rows()) == 3, (
        "what draws and what asks trains nothing"
    )
    edit(file, "layers.py", "3", "4")
    with pytest.raises(UsageError, match=r"kit/layers\.py") as refused:
        run(file, make_home, trials=4)
    assert "-width = 3" in str(refused.value)
    assert "+width = 4" in str(refused.value)
    home = str(make_home())
    for words in (["replay", space, "0"], ["export", space, str(file.parent / "out")]):
        refused = CliRunner().invoke(app, [*words, "--home", home])
        assert refused.exit_code == 2, refused.output
        assert "+width = 4" in refused.stderr
    examined = CliRunner().invoke(app, ["doctor", space, "--home", home])
    assert "edited since trial 2 was trained (kit/layers.py)" in examined.output
    assert len(run(file, make_home, trials=4, same_code=True).rows()) == 4
    edit(file, "layers.py", "4", "5")
    with pytest.raises(UsageError, match=r"\n *-width = 4\n"):
        run(file, make_home, trials=5)


def test_a_release_counts_by_its_version_and_what_was_edited_in_it(kit, make_home, capsys):
    file = kit("site-packages")
    sweep = run(file, make_home)
    (code,) = history(sweep).all()
    assert code.release == "kit 1.0"
    assert {source.text for source in code.shipped.values()} == {None}
    edit(file, "layers.py", "3", "4")
    with pytest.raises(UsageError, match=r"kit/layers\.py"):
        run(file, make_home, trials=3)
    released(file.parent, "1.1")  # whose number says that it trains as before
    assert len(run(file, make_home, trials=3).rows()) == 3
    edit(file, "layers.py", "4", "5")
    with pytest.raises(UsageError, match=r"kit/layers\.py"):
        run(file, make_home, trials=4)
    released(file.parent, "1.2")
    edit(file, "net.py", "revision = 1", "revision = 2")
    with pytest.raises(UsageError, match="revision"):
        run(file, make_home, trials=4)


def test_a_sweep_without_the_code_of_its_package_goes_on_and_has_it_then(kit, make_home, capsys):
    file = kit()
    sweep = run(file, make_home)
    folder = sweep.home.store(sweep.info.id).folder
    without_package(folder)
    edit(file, "layers.py", "3", "4")
    home = str(make_home())
    assert CliRunner().invoke(app, ["replay", "kit", "0", "--home", home]).exit_code == 0
    sweeps.run(str(file), home=make_home(), progress="plain", workers=0, trials=3)
    assert "the code of kit was not recorded" in capsys.readouterr().err
    sweeps.run(str(file), home=make_home(), progress="plain", workers=0, trials=4)
    assert "the code of kit was not recorded" not in capsys.readouterr().err
    edit(file, "layers.py", "4", "5")
    with pytest.raises(UsageError, match=r"\n *-width = 4\n"):
        run(file, make_home, trials=5)


def without_package(folder):
    """Make of a sweep what earlier versions wrote: own files and the number, no more."""
    store = RecordStore(folder)
    (code,) = CodeHistory(store).all()
    assert code.shipped
    before = replace(code, shipped={}, release=None)
    recode(store, before, before.identity)

    def change(one):
        if one["kind"] != "common 1":
            return one
        return {**one, "environment": {**one["environment"], "code": before.identity}}

    journals.rewrite(store, change)


def recode(store, code, identity):
    """Make of the one code of a sweep another one."""
    text = store.keep_text(json_bytes(dataclasses.asdict(code)))
    journals.alter(store, "code", text=text)
    fingerprint = {**store.info().fingerprint, "code": identity}
    journals.alter(store, "begun", fingerprint=fingerprint)


def reported(home):
    page = home / "net.html"
    words = ["report", "net", "--output", str(page), "--home", str(home)]
    assert CliRunner().invoke(app, words).exit_code == 0
    return html.unescape(page.read_text(encoding="utf-8"))


def records(sweep):
    return sweep.home.store(sweep.info.id).read_all()


PYTHONS = """
command: >-
  {python} train.py --lr {{lr}} --fold {{fold}}
objective: {{metric: loss, direction: minimize}}
metrics: {{loss: '{pattern}'}}
parameters: {{lr: {{type: float, low: 0.1, high: 1}}}}
defaults: {{sampler: random}}
"""


@pytest.fixture
def interpreted(tmp_path, make_home):
    """Run, in two environments of Python, a script; return the first, the second and how."""
    for name in ("old", "new"):
        python = tmp_path / f"its {name}" / "python3"
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\n# {name}\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
    script = tmp_path / "train.py"
    script.write_text("import sys\nprint('loss', sys.argv[2])\n")
    space, home = tmp_path / "mine.yaml", str(make_home())

    def run(name, *words, command="run", pattern=r"loss (\S+)"):
        python = f"'{tmp_path / f'its {name}' / 'python3'}'"
        space.write_text(PYTHONS.format(python=python, pattern=pattern.replace("'", "''")))
        named = str(space) if command == "run" else "mine"
        words = [command, named, "--workers", "0", "--home", home, *words]
        return CliRunner().invoke(app, words)

    assert run("old", "--trials", "2").exit_code == 0
    return tmp_path / "its old" / "python3", run


def test_which_python_runs_a_script_is_no_part_of_its_sweep(interpreted, make_home):
    old, run = interpreted
    old.unlink()  # its environment has moved
    ended = run("new", "--trials", "3")
    assert ended.exit_code == 0, ended.output
    command = f"'{old.parents[1] / 'its new' / 'python3'}' train.py --lr {{lr}} --fold {{fold}}"
    assert f"its script is run by another Python from now on: {command}" in ended.stderr
    assert "is run by" not in run("new", "--trials", "4").stderr
    sweep = sweeps.load("mine", make_home())
    assert [row.state for row in sweep.rows()] == ["COMPLETE"] * 4
    assert sweep.info.generation == 1
    replayed = CliRunner().invoke(app, ["replay", "mine", "0", "--home", str(make_home())])
    assert replayed.exit_code == 0, replayed.output
    extended = run("new", "--trials", "5", "--extend", "--set", "lr=0.2..0.9")
    assert extended.exit_code == 0, extended.output
    assert sweeps.load("mine", make_home()).info.generation == 2
    doctor = CliRunner().invoke(app, ["doctor", "mine", "--home", str(make_home())])
    assert doctor.exit_code == 0, doctor.output


def test_code_that_an_earlier_version_took_the_python_for_is_the_same(interpreted, make_home):
    _, run = interpreted
    home = Home(make_home())
    store = home.store(home.get("mine").id)
    (code,) = CodeHistory(store).all()
    assert list(code.files) == ["train.py"]
    before = dataclasses.replace(code, files={**code.files, "python3": SourceFile("0" * 64)})
    recode(store, before, before.digest)
    ended = run("old", "--trials", "3")
    assert ended.exit_code == 0, ended.output


def test_a_command_that_differs_otherwise_is_refused_in_readable_words(interpreted):
    _, run = interpreted
    refused = run("new", "--trials", "3", pattern=r"the loss (\S+)")
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.split())
    assert r"metrics: loss 'loss (\S+)' there, loss 'the loss (\S+)' asked" in said
    assert "script:" not in said
    assert "command" not in said
    assert "space, " not in said


TRAINS = """\
import json, sys
from sweeps.experiment import TrialSpec, begin_only_training
from sweeps.experiments.loading import load_experiment

begin_only_training()
experiment = load_experiment("digitexp.experiment:experiment", None)
data = experiment.prepare(None, 0)
experiment.warm_up()
for engine in ("compiled", "keras"):
    spec = TrialSpec("x", 0, 1, 0, {"epochs": 1, "engine": engine})
    experiment.train(spec, data, lambda epoch, values: None)
ours = [m.__file__ for name, m in sys.modules.items() if name.partition(".")[0] == "digitexp"]
print(json.dumps(ours))
"""


@pytest.mark.slow
@pytest.mark.tensorflow
def test_every_module_that_a_training_of_digits_imports_counts(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TRAINS], capture_output=True, check=True, cwd=tmp_path, text=True
    )
    code = code_of(DIGITS, load_experiment(DIGITS, None))
    root = Path(digitexp.__file__).parents[1]
    trained = {str(Path(file).relative_to(root)) for file in json.loads(done.stdout)}
    assert "digitexp/training/train.py" in trained
    assert trained <= set(code.shipped)


@pytest.mark.keras
@pytest.mark.parametrize("path", [DIGITS, f"{DIGITS}@folds"])
def test_modules_of_digits_that_only_draw_or_ask_do_not_count(path):
    code = code_of(path, load_experiment(path, None))
    places = {name.split("/")[1] for name in code.shipped}
    assert {"models.py", "config.py", "training", "data", "weights_files.py"} <= places
    assert not {"cli", "apps", "pages", "plots", "__main__.py"} & places
