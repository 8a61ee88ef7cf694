"""The state of a sweep is one pure function of its events."""

import copy
import random

import msgspec
import pytest

from sweeps.journal import Asked, SweepState, state_of
from sweeps.journal.events import (
    Archived,
    Checked,
    CodeKept,
    Confirmed,
    Enqueued,
    Finished,
    Imported,
    ImportedTrial,
    Learned,
    LearnedPoint,
    Noted,
    Received,
    Record,
    Renamed,
    Requested,
    Retried,
    Returned,
    Started,
    Unfinished,
    from_line,
    to_line,
)
from sweeps.journal.events import (
    Tested as Evaluated,
)
from sweeps.journal.state import seconds_used
from sweeps.records.sweep import events_of
from tests.sweeps.factories import make_info, make_record

DIGEST = "ab" * 32


def begun(generation=1, first_trial=0, **changes):
    """Return the event that begins a generation."""
    (event,) = events_of(make_info(**changes), lambda text: DIGEST)
    return msgspec.structs.replace(event, generation=generation, first_trial=first_trial)


def ended(trial, attempt=1, outcome="complete", **changes):
    return make_record(trial, attempt, outcome, **changes)


def asked(trial, attempt=1, **fields):
    return Asked(trial=trial, attempt=attempt, params={"x": trial / 7}, origin="sampled", **fields)


def imported(*names):
    trials = tuple(ImportedTrial(source=name, params={"x": 1.0}, values=(0.5,)) for name in names)
    return Imported(source="trials.csv", imported_at=5, trials=trials)


def learned(*xs):
    return Learned(points=tuple(LearnedPoint({"x": x}) for x in xs), asked="letters")


def confirmed(number):
    return Confirmed(conclusion={"number": number})


STORY = [
    begun(),
    begun(),
    CodeKept(text=DIGEST),
    imported("line 1"),
    imported("line 2", "line 3"),
    learned(1.0),
    learned(2.0, 3.0),
    Started(began_at=1000, command="sweeps run mlp", folder="work"),
    Requested(4),
    Enqueued(point=1, params={"x": 0.25}, origin="enqueued"),
    asked(0),
    asked(1, point=1),
    Noted("sweep", "begun on Monday"),
    Noted("1", "looks good"),
    ended(0),
    ended(1, outcome="failed", ends_trial=True),
    asked(2),
    Finished("FAILED", None, error="full disk"),
    Returned(began_at=1000, seconds=2.5),
    Archived(hidden=True),
    Renamed("other"),
    Retried(attempts=("0001-1",), opened=3),
    Started(began_at=5000),
    Requested(8),
    Unfinished(
        generation=2, trial=2, attempts=1, origin="sampled", params={}, distributions={}, config={}
    ),
    begun(2, 3, name="other"),
    CodeKept(text="cd" * 32),
    asked(1, 2, point=1),
    ended(1, 2),
    asked(2, 2),
    ended(2, 2, outcome="interrupted"),
    Checked(0),
    Noted("1", ""),
    confirmed(1),
    confirmed(2),
    Evaluated(evaluation="1234abcd-1", is_vote=False, conclusion={"look": 1}),
    Evaluated(evaluation="1234abcd-1", is_vote=True, conclusion={"look": 2}),
    Evaluated(evaluation="1234abcd-1", is_vote=False, conclusion={"look": 3}),
    Received(file="a.zip", archive=DIGEST),
    Received(file="a.zip", archive=DIGEST, trusted=True),
]


@pytest.fixture
def story():
    return state_of(STORY)


def shown(state):
    """Return a state as a text, in which NaN equals NaN and JSON that was read equals its like."""
    raw = {
        key: {
            n: bytes(value) if isinstance(value := getattr(event, n), msgspec.Raw) else value
            for n in event.__struct_fields__
        }
        for key, event in state.ended.items()
    }
    return repr([raw, *(v for name, v in vars(state).items() if name != "ended")])


def test_it_is_the_same_event_by_event_and_at_once_and_changes_no_event(story):
    before = [to_line(event) for event in STORY]
    state = SweepState()
    for event in STORY:
        state.add(event)
    assert shown(state) == shown(story) == shown(state_of(iter(STORY)))
    assert [to_line(event) for event in STORY] == before


def test_what_is_added_later_changes_no_state_that_was_made_before(story):
    for count in range(len(STORY)):
        first = state_of(STORY[:count])
        seen = copy.deepcopy(shown(first))
        rest = state_of(STORY[:count])
        for event in STORY[count:]:
            rest.add(event)
        assert shown(first) == seen
        assert shown(rest) == shown(story)


def test_it_is_the_same_of_events_that_were_written_and_read(story):
    assert shown(state_of(from_line(to_line(event)[1:-1]) for event in STORY)) == shown(story)


def test_without_events_there_is_nothing():
    assert vars(state_of([])) == vars(SweepState())


def test_it_is_what_the_events_say(story):
    assert (story.sweep, story.name) == (make_info().id, "other")
    assert {n: one.first_trial for n, one in story.generations.items()} == {1: 0, 2: 3}
    assert [*story.unfinished] == [(2, 2)]
    assert story.requested == 8
    assert {n: one.attempt for n, one in story.asked.items()} == {0: 1, 1: 2, 2: 2}
    assert [*story.ended] == ["0000-1", "0001-1", "0001-2", "0002-2"]
    assert ([*story.points], story.tried) == ([1], {1: 1})
    assert story.undone == {"0001-1"}
    assert [mark.opened for mark in story.retried] == [3]
    assert story.checked.trial == 0
    assert story.codes == [DIGEST, "cd" * 32]


def test_a_start_that_asks_for_trials_ends_the_ending_and_shows_the_sweep_again():
    events = [Requested(4), Finished("FINISHED", None), Archived(hidden=True)]
    state = state_of(events)
    assert (state.finished.status, state.is_archived) == ("FINISHED", True)
    state.add(Requested(8))
    assert (state.finished, state.is_archived, state.requested) == (None, False, 8)


def test_archived_and_restored_it_is_shown():
    state = state_of([Requested(4), Archived(hidden=True), Archived(hidden=False)])
    assert (state.is_archived, state.requested) == (False, 4)


def test_renamed_it_has_the_last_name_also_where_a_generation_has_another():
    state = state_of([begun(), Renamed("one"), Renamed("two")])
    assert state.name == "two"
    state.add(begun(2, 4, name="two"))
    assert state.name == "two"


def test_extended_it_has_each_generation_once_however_often_it_is_repeated():
    state = state_of([begun(), begun(2, 6), begun(), begun(2, 6)])
    assert [*state.generations] == [1, 2]
    assert state.generations[2].first_trial == 6


def test_what_is_recorded_never_changes():
    first, second = ended(0), ended(0, objective=0.125)
    state = state_of([first, second])
    assert state.ended == {"0000-1": first}


def test_retried_the_failed_attempts_no_longer_end_their_trials_and_a_later_one_does():
    state = state_of([ended(0, outcome="failed"), Retried(attempts=("0000-1",), opened=1)])
    assert state.undone == {"0000-1"}
    state.add(ended(0, 2))
    state.add(Retried(attempts=("0003-1",), opened=4))
    assert state.undone == {"0000-1", "0003-1"}
    assert [mark.opened for mark in state.retried] == [1, 4]


def test_an_attempt_that_is_asked_for_late_is_not_the_last_one():
    state = state_of([asked(0, 2), asked(0, 1)])
    assert state.asked[0].attempt == 2


def test_a_point_is_what_it_was_when_it_was_enqueued():
    points = [Enqueued(point=1, params={"x": x}, origin="enqueued") for x in (0.25, 0.5)]
    assert state_of(points).points == {1: points[0]}


def test_a_point_is_tried_by_the_trial_that_was_asked_for_it():
    state = state_of([asked(0), asked(1, point=2), asked(1, 2, point=2)])
    assert state.tried == {2: 1}


def test_notes_replace_each_other_and_an_empty_one_removes_them(story):
    assert story.notes == {"sweep": "begun on Monday", "1": ""}


def test_trials_and_points_of_several_events_stand_in_their_order(story):
    assert [one.source for one in story.imported.trials] == ["line 1", "line 2", "line 3"]
    assert [one.params["x"] for one in story.learned.points] == [1.0, 2.0, 3.0]


def test_confirmed_again_the_last_one_is_in_force_and_all_are_kept(story):
    assert [one.conclusion["number"] for one in story.confirmed] == [1, 2]
    story.add(confirmed(1))
    assert story.confirmed[-1].conclusion == {"number": 1}
    assert len(story.confirmed) == 3


def test_a_test_set_evaluation_replaces_its_own_results_only(story):
    found = {key: one.conclusion["look"] for key, one in story.tested.items()}
    assert found == {("1234abcd-1", False): 3, ("1234abcd-1", True): 2}


def test_trust_replaces_what_was_received(story):
    assert story.received.trusted


def test_a_start_that_was_killed_has_no_duration(story):
    assert [start.seconds for start in story.starts] == [2.5, None]
    assert story.starts[0].command == "sweeps run mlp"


def test_a_killed_start_counts_up_to_its_last_attempt_and_not_into_the_next_one():
    at = make_record(0).finished_at
    events = [
        Started(began_at=at - 4000),  # killed after trial 0
        ended(0),
        Started(began_at=at + 3000),  # killed before anything had ended
        Started(began_at=at + 6000),  # ended by itself
        ended(1),
        Returned(began_at=at + 6000, seconds=30.0),
        Started(began_at=at + 90_000),  # runs
    ]
    state = state_of(events)
    assert seconds_used(state.starts, state.ended.values()) == pytest.approx(4 + 0 + 30 + 0)
    assert seconds_used([], []) == 0


def test_a_number_that_is_lost_costs_its_event_only(story):
    """Any one event may be damaged: the others say the same as before."""
    drawn = random.Random(5)
    for lost in drawn.sample(range(len(STORY)), len(STORY)):
        event = STORY[lost]
        left = state_of([*STORY[:lost], *STORY[lost + 1 :]])
        assert left.sweep == story.sweep, "what it is was repeated"
        gone = {event.key} if isinstance(event, Record) else set()
        assert {*story.ended} - {*left.ended} == gone
        assert {*left.asked} >= {*story.asked} - (
            {event.trial} if isinstance(event, Asked) else set()
        )
