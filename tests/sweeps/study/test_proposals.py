from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from search_spaces.bodies import Declared
from search_spaces.loading import load_space
from search_spaces.space import Component
from sweeps.errors import UsageError
from sweeps.journal.events import ImportedTrial
from sweeps.study.points import point_key
from sweeps.study.proposals import (
    Exhausted,
    Proposer,
    proposal_seed,
    sequence_seed,
    training_seed,
)
from sweeps.study.sampler_view import TrialOutcome
from sweeps.study.samplers import sampler_factory
from tests.tools import need

HEAD = """
experiment: tests.sweeps.toy_experiment:experiment
objective: {metric: score, direction: maximize}
"""
CONDITIONAL = (
    HEAD
    + """
parameters:
  x: {type: float, low: -1, high: 1}
  layers: {type: int, low: 0, high: 2}
  y: {type: float, low: 0, high: 1, repeat: layers}
  kind: {type: categorical, choices: [a, b, c]}
"""
)
FINITE = (
    HEAD
    + """
parameters:
  x: {type: float, low: 0, high: 0.4, step: 0.2}
  kind: {type: categorical, choices: [a, b]}
"""
)


@pytest.fixture
def make_proposer(tmp_path):
    def make(text, *, sampler="tpe", seed=0, admissible=lambda *_: True, imported=()):
        if sampler == "cmaes":
            need("cmaes")
        file = tmp_path / "space.yaml"
        file.write_text(text)
        space = load_space(str(file))
        factory = None if sampler == "grid" else sampler_factory(Component(sampler), 1, space)
        return Proposer(
            space,
            seed=seed,
            sampler=factory,
            directions=["maximize"],
            admissible=admissible,
            imported=imported,
        )

    return make


def told(params):
    return TrialOutcome(TrialState.COMPLETE, (1 - (params["x"] - 0.3) ** 2,))


def run(proposer, trials, ask_ahead=4):
    """Propose as the queue does: trial n sees the outcomes of trials 0 .. n - ask_ahead."""
    proposals = []
    for trial in range(trials):
        if trial >= ask_ahead:
            seen = trial - ask_ahead
            proposer.tell(seen, told(proposals[seen].params))
        proposals.append(proposer.propose())
    return proposals


EVERY = ["tpe", "gp", "cmaes", "random", "qmc", "optuna.samplers.NSGAIISampler"]


@pytest.mark.parametrize("sampler", EVERY)
def test_same_seed_gives_the_same_proposals_and_another_seed_does_not(make_proposer, sampler):
    first, again, other = (
        [p.params for p in run(make_proposer(CONDITIONAL, sampler=sampler, seed=s), 25)]
        for s in (5, 5, 6)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("sampler", EVERY)
def test_a_resumed_sampler_goes_on_as_if_it_had_never_stopped(make_proposer, sampler):
    undisturbed = run(make_proposer(CONDITIONAL, sampler=sampler), 24)
    resumed = make_proposer(CONDITIONAL, sampler=sampler)
    for trial, proposal in enumerate(undisturbed[:14]):
        if trial >= 4:
            resumed.tell(trial - 4, told(undisturbed[trial - 4].params))
        restored = resumed.restore(proposal.origin, proposal.params)
        assert (restored, restored.config) == (replace(proposal, rejected=0), proposal.config)
    for trial in range(14, 24):
        resumed.tell(trial - 4, told(undisturbed[trial - 4].params))
        assert resumed.propose().params == undisturbed[trial].params


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_only_the_active_parameters_of_a_conditional_space_are_proposed(make_proposer, sampler):
    for proposal in run(make_proposer(CONDITIONAL, sampler=sampler), 30):
        layers = proposal.params["layers"]
        assert [n for n in proposal.params if n.startswith("y_")] == [
            f"y_{i}" for i in range(1, layers + 1)
        ]
        assert proposal.distributions.keys() == proposal.params.keys()


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_model_learns_where_the_optimum_is(make_proposer, sampler):
    proposals = run(make_proposer(CONDITIONAL, sampler=sampler), 60, ask_ahead=1)
    late = [abs(p.params["x"] - 0.3) for p in proposals[30:]]
    assert sorted(late)[len(late) // 2] < 0.3  # random: a median of about 0.5


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_nothing_is_proposed_twice_and_a_finite_space_ends_when_used_up(make_proposer, sampler):
    proposer = make_proposer(FINITE, sampler=sampler)
    proposals = run(proposer, 6)
    assert len({point_key(p.params) for p in proposals}) == 6
    with pytest.raises(Exhausted):
        proposer.propose()


def test_steps_are_met_exactly(make_proposer):
    values = {p.params["x"] for p in run(make_proposer(FINITE), 6)}
    assert values == {0.0, 0.2, 0.4}


def test_grid_walks_the_whole_space_in_order(make_proposer):
    proposals = run(make_proposer(FINITE, sampler="grid"), 6)
    assert [(p.params["x"], p.params["kind"]) for p in proposals] == [
        (x, kind) for x in (0.0, 0.2, 0.4) for kind in ("a", "b")
    ]
    assert {p.origin for p in proposals} == {"grid"}


CONDITIONAL_FINITE = (
    HEAD
    + """
parameters:
  x: {type: float, low: 0, high: 0.4, step: 0.2}
  layers: {type: int, low: 0, high: 2}
  y: {type: int, low: 1, high: 2, repeat: layers}
  kind: {type: categorical, choices: [a, b]}
"""
)


def test_grid_honours_conditions_and_goes_on_where_it_was(make_proposer):
    size = 3 * (1 + 2 + 4) * 2
    undisturbed = run(make_proposer(CONDITIONAL_FINITE, sampler="grid"), size)
    for proposal in undisturbed:
        active = [name for name in proposal.params if name.startswith("y_")]
        assert len(active) == proposal.params["layers"]
    assert len({point_key(p.params) for p in undisturbed}) == size
    resumed = make_proposer(CONDITIONAL_FINITE, sampler="grid")
    for proposal in undisturbed[:20]:
        resumed.restore(proposal.origin, proposal.params)
    rest = [resumed.propose().params for _ in range(size - 20)]
    assert rest == [p.params for p in undisturbed[20:]]
    with pytest.raises(Exhausted):
        resumed.propose()


def test_inadmissible_points_are_rejected_before_they_become_trials(make_proposer):
    proposer = make_proposer(CONDITIONAL, admissible=lambda params, _: params["x"] > 0.5)
    proposals = run(proposer, 20)
    assert all(p.params["x"] > 0.5 for p in proposals)
    assert sum(p.rejected for p in proposals) > 0


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_a_proposal_walks_the_space_once_and_says_what_the_experiment_receives(
    make_proposer, tmp_path, monkeypatch, sampler
):
    seen, walks, walk = [], [], Declared.run
    proposer = make_proposer(
        FINITE, sampler=sampler, admissible=lambda _, config: not seen.append(config)
    )
    monkeypatch.setattr(Declared, "run", lambda *given: walks.append(given) or walk(*given))
    proposals = run(proposer, 5)
    monkeypatch.undo()
    looked_at = len(proposals) + sum(proposal.rejected for proposal in proposals)
    enumerated = len(proposals) if sampler == "grid" else 0
    assert len(walks) == looked_at + enumerated
    space = load_space(str(tmp_path / "space.yaml"))
    assert [p.config for p in proposals] == [space.configuration(p.params) for p in proposals]
    assert all(proposal.config in seen for proposal in proposals)


def test_constraints_that_nothing_meets_end_with_a_message(make_proposer):
    proposer = make_proposer(CONDITIONAL, admissible=lambda *_: False)
    with pytest.raises(UsageError, match="2000 random points in a row"):
        proposer.propose()


def test_baselines_come_first_and_are_not_repeated(make_proposer):
    text = FINITE + "baselines:\n  good: {x: 0.4, kind: a}\n  other: {x: 0, kind: b}\n"
    proposals = run(make_proposer(text), 6)
    assert [p.origin for p in proposals[:3]] == ["baseline good", "baseline other", "sampled"]
    assert proposals[0].params == {"x": 0.4, "kind": "a"}
    assert len({point_key(p.params) for p in proposals}) == 6


def test_a_sampler_that_changed_its_mind_is_not_resumed(make_proposer):
    proposer = make_proposer(CONDITIONAL, sampler="qmc")
    stranger = {"x": 0.123, "layers": 0, "kind": "a"}
    with pytest.raises(UsageError, match=r"trial 0: the sampler proposes .* cannot be resumed"):
        proposer.restore("sampled", stranger)


def test_a_diverged_trial_is_pruned_with_a_violated_constraint(make_proposer):
    proposer = make_proposer(CONDITIONAL)
    proposer.propose()
    proposer.propose()
    proposer.tell(0, TrialOutcome(TrialState.PRUNED, diverged=True))
    proposer.tell(1, TrialOutcome(TrialState.FAIL))
    diverged, failed = proposer.sampler_view.study.get_trials()
    assert diverged.state == TrialState.PRUNED
    assert diverged.constraints == {"diverged": 1.0}
    assert failed.state == TrialState.FAIL


NARROW = FINITE.replace("low: 0, high: 0.4, step: 0.2", "low: 0, high: 0.4")
WIDER = NARROW.replace("high: 0.4", "high: 0.9").replace("[a, b]", "[a, b, c]")


def joint_space(proposer):
    trial = proposer.sampler_view.open()
    sampler = sampler_factory(Component("tpe")).make(0, 0)
    return sampler.infer_relative_search_space(proposer.sampler_view.study, trial)


def test_carried_trials_keep_a_widened_range_in_the_joint_space(make_proposer):
    before = run(make_proposer(NARROW), 20)
    prior = make_proposer(WIDER)
    for trial, proposal in enumerate(before):
        prior.show_prior(proposal.origin, proposal.params)
        prior.tell(trial, told(proposal.params))
    assert joint_space(prior) == {
        "x": FloatDistribution(0, 0.9),
        "kind": CategoricalDistribution(["a", "b", "c"]),
    }
    # What happens to the range if trials keep their distributions instead.
    restored = make_proposer(NARROW.replace("high: 0.4", "high: 0.9"))
    for trial, proposal in enumerate(before):
        restored.sampler_view.open()
        restored.sampler_view.accept(proposal, keep_notes=False)
        restored.tell(trial, told(proposal.params))
    assert joint_space(restored)["x"] != FloatDistribution(0, 0.9)


def test_a_trial_without_a_point_keeps_its_number_and_is_not_seen(make_proposer):
    proposer = make_proposer(NARROW)
    proposer.show_prior("sampled", None)
    proposer.show_prior("sampled", {"x": 0.2, "kind": "a"})
    proposer.tell(1, told({"x": 0.2}))
    outside, inside = proposer.sampler_view.study.get_trials()
    assert (outside.state, outside.params) == (TrialState.FAIL, {})
    assert (inside.number, inside.state) == (1, TrialState.COMPLETE)
    assert proposer.propose().origin == "sampled"


def test_what_was_carried_is_not_proposed_again_and_ends_a_used_up_space(make_proposer):
    text = FINITE + "baselines:\n  good: {x: 0.4, kind: a}\n  other: {x: 0, kind: b}\n"
    for sampler in ("tpe", "grid"):
        proposer = make_proposer(text, sampler=sampler)
        proposer.show_prior("sampled", {"x": 0.4, "kind": "a"})
        proposer.show_prior("sampled", None)
        rest = [proposer.propose() for _ in range(5)]
        assert rest[0].origin == "baseline other"
        assert point_key({"x": 0.4, "kind": "a"}) not in {point_key(p.params) for p in rest}
        with pytest.raises(Exhausted):
            proposer.propose()


def test_a_sequence_begins_anew_in_each_generation_and_can_be_made_again(make_proposer):
    first = run(make_proposer(NARROW, sampler="qmc"), 6)

    def second():
        proposer = make_proposer(NARROW, sampler="qmc")
        for trial, proposal in enumerate(first):
            proposer.show_prior(proposal.origin, proposal.params)
            proposer.tell(trial, told(proposal.params))
        return proposer

    proposer, resumed = second(), second()
    proposals = [proposer.propose() for _ in range(6)]
    assert {p.rejected for p in proposals} == {0}
    for proposal in proposals[:3]:
        resumed.restore(proposal.origin, proposal.params)
    assert [resumed.propose().params for _ in range(3)] == [p.params for p in proposals[3:]]


def test_every_seed_of_a_sweep_is_its_own():
    drawn = [proposal_seed(s, t, again) for s in range(3) for t in range(20) for again in range(3)]
    trained = [training_seed(s, t) for s in range(3) for t in range(200)]
    sequences = [sequence_seed(s, first) for s in range(3) for first in (0, 5, 9)]
    for seeds in (drawn, trained, sequences):
        assert len(set(seeds)) == len(seeds)
    assert not set(drawn) & set(trained)


def test_seeds_stay_what_they_were_since_stored_trials_are_trained_again_with_them():
    assert [training_seed(0, trial) for trial in range(3)] == [1982462498, 450621607, 1942027521]
    assert training_seed(1, 0) == 594516694
    assert (proposal_seed(0, 1, 0), proposal_seed(0, 1, 1)) == (3831201730, 1634246024)
    assert (sequence_seed(5, 0), sequence_seed(5, 8)) == (5, 1568847158)


def test_what_was_pruned_elsewhere_teaches_and_what_failed_does_not(make_proposer):
    def low(state):
        """Return how many of 20 proposals lie where trials ended in a state, below 0."""
        known = []
        for number, x in enumerate(np.random.default_rng(0).uniform(-1, 1, 40).tolist()):
            params, place = {"x": x, "layers": 0, "kind": "a"}, f"line {number}"
            known.append(
                ImportedTrial(place, params, (), state, (3, -9.0))
                if x < 0
                else ImportedTrial(place, params, (0.5,))
            )
        proposer = make_proposer(CONDITIONAL, imported=known)
        return sum(proposer.propose().params["x"] < 0 for _ in range(20))

    assert low("PRUNED") < 5 < low("FAILED")
