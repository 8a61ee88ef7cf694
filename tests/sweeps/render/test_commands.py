import pytest

from sweeps.analysis.summary import summarize
from sweeps.render.summaries import next_commands
from tests.sweeps.render.builders import record, sweep_info


def commands(name="mlp", asked=1, **options):
    summary = summarize(
        sweep_info(name=name), [record(0, 0.9)], asked=asked, seconds=1.0, stopped_by=None
    )
    return list(next_commands(summary, **options))


def test_a_finished_sweep_proposes_twice_as_many_trials():
    proposed = commands(run_command="sweeps run mlp --seed 3")
    assert proposed == ["sweeps ui mlp", "sweeps trials mlp", "sweeps run mlp --seed 3 --trials 2"]


def test_where_every_trial_failed_the_error_comes_first():
    failed = [record(trial, outcome="failed", error="boom") for trial in range(2)]
    summary = summarize(sweep_info(), failed, asked=2, seconds=1.0, stopped_by=None)
    assert list(next_commands(summary, run_command="sweeps run mlp", home_option="--home h")) == [
        f"sweeps trials {summary.name} 0 --home h",
        f"sweeps retry {summary.name} --home h",
        "sweeps run mlp --trials 4 --home h",
    ]


def test_an_unfinished_sweep_proposes_to_finish():
    assert commands(asked=20, run_command="sweeps run mlp")[2] == "sweeps run mlp --trials 20"


def test_without_the_command_that_ran_it_the_best_trial_is_proposed():
    assert commands()[2] == "sweeps best mlp"


def test_another_home_is_part_of_every_command():
    for command in commands(home_option="--home 'my runs'", run_command="sweeps run mlp"):
        assert command.endswith(" --home 'my runs'")


@pytest.mark.parametrize(("name", "quoted"), [("a b", "'a b'"), ("x;rm", "'x;rm'"), ("m-1", "m-1")])
def test_names_are_quoted_for_the_shell(name, quoted):
    assert commands(name)[1] == f"sweeps trials {quoted}"
