import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from search_spaces.objectives import Objective
from sweeps.study.points import Proposal
from sweeps.study.sampler_view import SamplerView, TrialOutcome, trial_outcome
from tests.sweeps.factories import make_record as make_attempt
from tests.sweeps.records.test_store import make_record

NOTHING = Proposal({}, {}, {}, "sampled")


@pytest.mark.parametrize("outcome", ["complete", "pruned"])
def test_the_rungs_a_pruner_noted_are_seen_by_later_trials(outcome):
    # Also those of a trial that ran to its end: it is what others must measure up to.
    notes = {"completed_rung_0": 0.5}
    record = make_record(outcome=outcome, reason=outcome, pruner_attrs=notes)
    sampler_view = SamplerView(["maximize"])
    sampler_view.open()
    sampler_view.accept(NOTHING, keep_notes=False)
    sampler_view.tell(
        0, trial_outcome(record, [Objective("best_val_accuracy", "maximize")], "loss")
    )
    (trial,) = sampler_view.finished()
    assert trial.state == TrialState[outcome.upper()]
    assert trial.system_attrs.items() >= notes.items()
    assert trial.intermediate_values == {0: 1.0, 1: 0.0}


TWO = [Objective("best_val_accuracy", "maximize"), Objective("best_epoch", "minimize")]


@pytest.mark.parametrize("outcome", ["complete", "pruned", "diverged", "failed"])
def test_with_several_objectives_each_has_its_value(outcome):
    record = make_attempt(outcome=outcome)
    sampler_view = SamplerView([objective.direction for objective in TWO])
    sampler_view.open()
    sampler_view.accept(NOTHING, keep_notes=False)
    sampler_view.tell(0, trial_outcome(record, TWO))
    (trial,) = sampler_view.study.get_trials()
    expected = None
    if outcome == "complete":
        expected = [record.objective, record.result.metrics["best_epoch"]]
    assert trial.values == expected
    assert trial.intermediate_values == {}, "TPE could not compare them"
    violated = trial.constraints.get("diverged", -1) > 0
    assert violated == (outcome == "diverged")


def test_trials_run_elsewhere_are_seen_by_samplers_and_take_no_number():
    sampler_view = SamplerView(["maximize"])
    point = Proposal({"x": 0.5}, {"x": FloatDistribution(0, 1)}, {}, "imported")
    sampler_view.teach(point, TrialOutcome(TrialState.COMPLETE, (3.0,)))
    for number in range(2):
        sampler_view.open()
        sampler_view.accept(NOTHING, keep_notes=False)
        sampler_view.tell(number, TrialOutcome(TrialState.FAIL))
    sampler_view.tell(1, TrialOutcome(TrialState.COMPLETE, (1.0,)))
    sampler_view.open()
    assert [trial.state.name for trial in sampler_view.study.trials] == [
        "COMPLETE", "FAIL", "COMPLETE", "RUNNING",
    ]  # fmt: skip
    assert sampler_view.study.best_trial.params == {"x": 0.5}
    told = sampler_view.finished()
    assert [(trial.number, trial.values) for trial in told] == [(1, [1.0])], "as the sweep counts"
    assert sampler_view.study.trials[2].number == 2, "as the sampler counts"
