import pytest
from optuna.trial import TrialState

from search_spaces.objectives import Objective
from sweeps.study.sampler_view import SamplerView, trial_outcome
from tests.sweeps.factories import make_record as make_attempt
from tests.sweeps.records.test_format import make_record


@pytest.mark.parametrize("outcome", ["complete", "pruned"])
def test_the_rungs_a_pruner_noted_are_seen_by_later_trials(outcome):
    # Also those of a trial that ran to its end: it is what others must measure up to.
    notes = {"completed_rung_0": 0.5}
    record = make_record(outcome=outcome, reason=outcome, pruner_attrs=notes)
    sampler_view = SamplerView(["maximize"])
    sampler_view.open()
    sampler_view.accept({}, {}, keep_notes=False)
    sampler_view.tell(
        0, trial_outcome(record, [Objective("best_val_accuracy", "maximize")], "loss")
    )
    (trial,) = sampler_view.finished()
    assert trial.state == TrialState[outcome.upper()]
    assert trial.system_attrs.items() >= notes.items()
    assert trial.intermediate_values == {0: 1.0, 1: 0.5}


TWO = [Objective("best_val_accuracy", "maximize"), Objective("best_epoch", "minimize")]


@pytest.mark.parametrize("outcome", ["complete", "pruned", "diverged", "failed"])
def test_with_several_objectives_each_has_its_value(outcome):
    record = make_attempt(outcome=outcome)
    sampler_view = SamplerView([objective.direction for objective in TWO])
    sampler_view.open()
    sampler_view.accept({}, {}, keep_notes=False)
    sampler_view.tell(0, trial_outcome(record, TWO))
    (trial,) = sampler_view.study.get_trials()
    expected = None
    if outcome == "complete":
        expected = [record.objective, record.result.metrics["best_epoch"]]
    assert trial.values == expected
    assert trial.intermediate_values == {}, "TPE could not compare them"
    violated = trial.constraints.get("diverged", -1) > 0
    assert violated == (outcome == "diverged")
