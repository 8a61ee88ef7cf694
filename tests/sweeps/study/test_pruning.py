import optuna
from optuna.trial import TrialState, create_trial

from sweeps.study.pruning import TrialPruner


def finished(number, values):
    trial = create_trial(
        state=TrialState.COMPLETE, value=values[-1], intermediate_values=dict(enumerate(values))
    )
    trial.number = number
    return trial


GOOD = [finished(n, [0.8, 0.9, 0.95]) for n in range(5)]


def test_the_median_pruner_ends_a_trial_that_is_worse_than_the_told_ones():
    pruner = TrialPruner(optuna.pruners.MedianPruner(), "maximize", 8, GOOD)
    assert pruner.should_prune(0, 0.1)


def test_the_median_pruner_lets_a_good_trial_go_on():
    pruner = TrialPruner(optuna.pruners.MedianPruner(), "maximize", 8, GOOD)
    assert not pruner.should_prune(0, 0.85)


def test_a_pruner_without_history_never_prunes():
    pruner = TrialPruner(optuna.pruners.MedianPruner(), "maximize", 3, [])
    assert not any(pruner.should_prune(epoch, 0.0) for epoch in range(5))


def test_asha_competes_with_the_rungs_of_earlier_trials():
    asha = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    first = TrialPruner(asha, "maximize", 0, [])
    assert not first.should_prune(1, 0.9)
    told = create_trial(
        state=TrialState.COMPLETE,
        value=0.9,
        intermediate_values={1: 0.9},
        system_attrs=dict(first.attrs),
    )
    told.number = 0
    assert first.attrs == {"completed_rung_0": 0.9}
    assert TrialPruner(asha, "maximize", 1, [told]).should_prune(1, 0.1)


def test_minimised_values_are_judged_the_other_way_round():
    pruner = TrialPruner(optuna.pruners.MedianPruner(), "minimize", 8, GOOD)
    assert not pruner.should_prune(0, 0.1)
