"""What a proposal may see, whenever the trials before it ended."""

import pytest
from optuna.trial import TrialState

from search_spaces.loading import load_space
from search_spaces.objectives import Objective
from search_spaces.space import Component
from sweeps.records import RecordStore
from sweeps.runner.trial_queue import TrialQueue
from sweeps.study.proposals import Proposer
from sweeps.study.samplers import sampler_factory
from tests.sweeps.records.test_store import make_record

SCORE = Objective("score", "maximize")


@pytest.fixture
def make_trial_queue(toy_space, tmp_path):
    def make(ask_ahead, in_order=True):
        proposer = Proposer(
            load_space(str(toy_space)),
            seed=0,
            sampler=sampler_factory(Component("random")),
            directions=["maximize"],
            admissible=lambda *_: True,
        )
        store = RecordStore(tmp_path / "sweep")
        return TrialQueue(store, proposer, [], [SCORE], None, ask_ahead, in_order)

    return make


def seen(queue):
    trials = queue.proposer.sampler_view.study.get_trials(deepcopy=False)
    return [t.number for t in trials if t.state == TrialState.COMPLETE]


@pytest.mark.parametrize("ask_ahead", [1, 2, 3, 4, 8])
def test_trial_n_sees_exactly_the_outcomes_up_to_n_minus_ask_ahead(make_trial_queue, ask_ahead):
    queue = make_trial_queue(ask_ahead)
    for number in range(10):
        trial = queue.open_next()
        assert seen(queue) == list(range(max(0, number - ask_ahead + 1)))
        queue.close(trial, make_record())  # at once: later trials must not notice


def test_no_trial_opens_before_what_it_must_see_has_ended(make_trial_queue):
    queue = make_trial_queue(3)
    trials = [queue.open_next() for _ in range(3)]
    assert not queue.may_open()
    queue.close(trials[1], make_record())
    assert not queue.may_open()
    assert queue.tell_ended() == []
    queue.close(trials[0], make_record())
    assert queue.may_open()
    assert queue.tell_ended() == trials[:2]


def test_in_free_order_everything_that_has_ended_is_seen(make_trial_queue):
    queue = make_trial_queue(3, in_order=False)
    trials = [queue.open_next() for _ in range(3)]
    assert not queue.may_open()
    queue.close(trials[2], make_record())
    assert queue.may_open()
    queue.open_next()
    assert seen(queue) == [2]
