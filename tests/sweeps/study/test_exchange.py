"""A sweep written as a study, and studies of others read from a copy of their file, or refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import TrialState

from search_spaces.objectives import Objective
from sweeps.errors import UsageError
from sweeps.study.exchange import export_study, read_other_study
from tests.sweeps.factories import make_info, make_record


def sampled(trial, outcome="complete", **domains):
    """Return a record whose parameters were drawn from distributions: `x=(0.5, distribution)`."""
    params = {name: value for name, (value, _) in domains.items()}
    texts = {name: distribution_to_json(domain) for name, (_, domain) in domains.items()}
    return make_record(trial, outcome=outcome, params=params, distributions=texts)


def load(file, info):
    return optuna.load_study(study_name=info.name, storage=f"sqlite:///{file}")


@pytest.fixture
def exported(tmp_path):
    """Write records as a study, and read it back with Optuna."""

    def export(records, **changes):
        file, info = tmp_path / "a?b" / "study of 50%.db", make_info(**changes)
        export_study(info, records, file)
        assert [path.name for path in file.parent.iterdir()] == [file.name]
        return load(file.rename(tmp_path / "study.db"), info)

    return export


def test_every_trial_is_there_as_optuna_would_have_noted_it(exported):
    x, kind = FloatDistribution(1e-3, 1, log=True), CategoricalDistribution(["a", None, True])
    records = [
        sampled(0, x=(0.5, x), kind=(None, kind)),
        sampled(1, "pruned", x=(0.25, x), kind=(True, kind)),
        sampled(2, "failed", x=(0.125, x)),
        sampled(3, "diverged", x=(1.0, x)),
    ]
    study = exported(records)
    assert (study.study_name, study.direction.name) == ("mlp", "MAXIMIZE")
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.PRUNED]
    assert [trial.state for trial in study.trials] == states
    assert [trial.value for trial in study.trials] == [records[0].objective, None, None, None]
    assert [trial.params for trial in study.trials] == [dict(one.params) for one in records]
    assert study.trials[0].distributions == {"x": x, "kind": kind}
    assert [trial.intermediate_values for trial in study.trials] == [
        dict(enumerate(records[0].result.history["val_accuracy"])),
        dict(enumerate(records[1].result.history["val_accuracy"])),
        {},
        {},
    ]
    assert [trial.constraints.get("diverged") for trial in study.trials] == [-1, -1, None, 1]
    assert study.trials[0].user_attrs == {
        "trial": 0, "origin": records[0].origin, "attempt": 1, "reason": "early_stopping",
        **records[0].result.metrics,
    }  # fmt: skip
    for trial, record in zip(study.trials, records, strict=True):
        assert trial.datetime_start == datetime.fromtimestamp(record.started_at / 1000)
        assert trial.duration.total_seconds() == pytest.approx(record.seconds)
    table = study.trials_dataframe()
    assert list(table["state"]) == ["COMPLETE", "PRUNED", "FAIL", "PRUNED"]
    assert table["value"][0] == records[0].objective
    assert list(table["params_x"]) == [0.5, 0.25, 0.125, 1.0]


def test_a_trial_without_an_outcome_is_left_out_and_the_others_keep_their_numbers(tmp_path):
    again = [make_record(2, outcome="interrupted"), make_record(2, 2)]
    records = [make_record(0), make_record(1, outcome="interrupted"), *again, make_record(4)]
    file = tmp_path / "study.db"
    assert export_study(make_info(), records, file) == (3, [1, 3])
    trials = load(file, make_info()).trials
    assert [trial.user_attrs["trial"] for trial in trials] == [0, 2, 4]
    assert [trial.user_attrs["attempt"] for trial in trials] == [1, 2, 1]
    assert read_other_study(file, "mlp", 3) == ("mlp", ["maximize"], trials)


def test_several_objectives_have_their_names_values_and_directions(exported):
    second = Objective("val_loss", "minimize")
    records = [make_record(0), make_record(1), make_record(2, outcome="failed")]
    for record in records[:2]:
        record.trained.metrics["val_loss"] = 1.0 + record.trial
    study = exported(records, other_objectives=(second,))
    assert [way.name for way in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.values for trial in study.trials] == [
        [records[0].objective, 1.0], [records[1].objective, 2.0], None,
    ]  # fmt: skip
    assert list(study.trials_dataframe()["values_val_loss"][:2]) == [1.0, 2.0]
    assert study.best_trials


A_TO_B, B_TO_D = CategoricalDistribution(["a", "b"]), CategoricalDistribution(["b", "d"])
JOINED = {
    "a wider range": (
        (0.5, FloatDistribution(0, 1)), (1.5, FloatDistribution(0.25, 2)), FloatDistribution(0, 2),
    ),
    "another step": (
        (2, IntDistribution(0, 8, step=2)), (9, IntDistribution(3, 9, step=3)),
        IntDistribution(0, 9),
    ),
    "a wider logarithmic range": (
        (8, IntDistribution(8, 16, log=True)), (2, IntDistribution(2, 8, log=True)),
        IntDistribution(2, 16, log=True),
    ),
    "another scale": (
        (0.0, FloatDistribution(0, 1)), (0.5, FloatDistribution(0.25, 2, log=True)),
        FloatDistribution(0, 2),
    ),
    "fractions": (
        (3, IntDistribution(1, 5)), (0.5, FloatDistribution(0, 2)), FloatDistribution(0, 5),
    ),
    "more choices": (("a", A_TO_B), ("d", B_TO_D), CategoricalDistribution(["a", "b", "d"])),
    "choices in place of a range": (
        (3, IntDistribution(1, 5)), ("a", A_TO_B), CategoricalDistribution(["a", "b", 3]),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("first", "second", "joint"), JOINED.values(), ids=JOINED)
def test_a_parameter_of_an_extended_sweep_has_one_distribution(exported, first, second, joint):
    study = exported([sampled(n, p=one) for n, one in enumerate([first, second, second])])
    assert [trial.params["p"] for trial in study.trials] == [first[0], second[0], second[0]]
    assert {trial.distributions["p"] for trial in study.trials} == {joint}
    assert optuna.search_space.intersection_search_space(study.trials) == {"p": joint}


def test_parameters_without_a_distribution_are_choices(exported):
    records = [make_record(0), make_record(1)]
    study = exported(records)
    assert [trial.params for trial in study.trials] == [dict(one.params) for one in records]


def test_a_metric_named_like_an_attribute_gives_way(exported):
    record = make_record(0)
    record.trained.metrics["trial"] = 7.0
    (trial,) = exported([record]).trials
    assert (trial.user_attrs["trial"], trial.user_attrs["metric.trial"]) == (0, 7.0)


def test_what_cannot_be_written_is_refused_and_nothing_is_left(tmp_path):
    file = tmp_path / "study.db"
    with pytest.raises(UsageError, match="sweep 'mlp' has no trial with an outcome"):
        export_study(make_info(), [make_record(0, outcome="interrupted")], file)
    assert not list(tmp_path.iterdir())
    file.write_text("mine")
    with pytest.raises(UsageError, match=r"study.db exists; give another name, nothing was"):
        export_study(make_info(), [make_record(0)], file)
    with pytest.raises(UsageError, match="cannot be written"):
        export_study(make_info(), [make_record(0)], file / "study.db")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("study.db", "mine")]


@pytest.fixture
def database(tmp_path):
    """A file with a study `mine` of one trial."""
    path = tmp_path / "study.db"
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="mine")
    study.add_trial(optuna.create_trial(value=0.5))
    return path


def execute(path, statement):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_study_of_an_older_optuna_is_read_and_stays_of_that_version(database):
    execute(database, "DROP INDEX ix_trials_study_id")
    execute(database, "UPDATE alembic_version SET version_num = 'v3.0.0.d'")
    before = database.read_bytes()
    name, directions, trials = read_other_study(database, None, 10)
    assert (name, directions, [trial.values for trial in trials]) == ("mine", ["minimize"], [[0.5]])
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["study.db"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE alembic_version SET version_num = 'v9.0.0.a'", "studies of a newer Optuna"),
        ("DELETE FROM alembic_version", "no study of Optuna"),
        ("DROP TABLE alembic_version", "no study of Optuna"),
        ("DROP TABLE version_info", "no study of Optuna"),
        ("DROP TABLE trial_values", "no such table: trial_values"),
        ("UPDATE trial_values SET value_type = 'x'", "'x' is not among the defined enum values"),
        ("DELETE FROM studies", "there is no study 'mine'"),
        (
            "CREATE TRIGGER t AFTER UPDATE ON alembic_version BEGIN DELETE FROM trials; END",
            "it holds a trigger",
        ),
        ("CREATE VIEW v AS SELECT * FROM trials", "it holds the view 'v'"),
    ],
)
def test_a_file_that_holds_no_such_study_is_refused_and_left_as_it_is(database, statement, said):
    execute(database, statement)
    before = database.read_bytes()
    with pytest.raises(UsageError) as refused:
        read_other_study(database, "mine", 10)
    assert str(refused.value).startswith(str(database))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert database.read_bytes() == before


def test_a_study_of_too_many_trials_is_refused(database):
    optuna.load_study(study_name="mine", storage=f"sqlite:///{database}").add_trial(
        optuna.create_trial(value=1.0)
    )
    assert len(read_other_study(database, "mine", 2)[2]) == 2
    with pytest.raises(UsageError, match="study 'mine' has more than 1 trials; refused"):
        read_other_study(database, "mine", 1)
    optuna.create_study(study_name="other", storage=f"sqlite:///{database}")
    with pytest.raises(UsageError, match="it holds mine, other; name one"):
        read_other_study(database, None, 10)
