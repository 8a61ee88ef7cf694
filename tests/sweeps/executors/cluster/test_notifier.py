"""What a Dask worker tells of its attempts: everything, in order, and not too often."""

from __future__ import annotations

from sweeps.executors.dask.on_worker import PACE_SECONDS, Notifier
from sweeps.experiment import TrialSpec


class FakeWorker:
    address = "tcp://there"

    def __init__(self):
        self.events = []

    def log_event(self, topic, event):
        assert topic == "topic"
        assert event["worker"] == self.address
        self.events.append(event)


class FakeClock:
    now = 100.0

    def __call__(self):
        return self.now


def spec(trial):
    return TrialSpec("sweep", trial, 1, 0, {})


def epochs_of(events, key):
    return [
        epoch
        for event in events
        if event["key"] == key
        for epoch, metrics in event.get("epochs", [])
        if metrics == {"loss": float(epoch)}
    ]


def test_epochs_are_told_once_a_second_and_none_is_lost():
    worker, clock = FakeWorker(), FakeClock()
    notifier = Notifier(worker, "topic", clock)
    notifier.started(spec(3))
    assert [event["key"] for event in worker.events] == ["0003-1"]
    for epoch in range(100):
        clock.now += PACE_SECONDS / 10
        notifier.epoch(spec(3), epoch, {"loss": float(epoch)})
    assert 9 <= len(worker.events) - 1 <= 11
    notifier.ended(spec(3))
    assert epochs_of(worker.events, "0003-1") == list(range(100))


def test_slow_epochs_are_told_at_once_each():
    worker, clock = FakeWorker(), FakeClock()
    notifier = Notifier(worker, "topic", clock)
    notifier.started(spec(0))
    for epoch in range(3):
        clock.now += PACE_SECONDS
        notifier.epoch(spec(0), epoch, {"loss": float(epoch)})
        assert epochs_of(worker.events[-1:], "0000-1") == [epoch]
    notifier.ended(spec(0))
    assert len(worker.events) == 4


def test_attempts_side_by_side_do_not_mix():
    worker, clock = FakeWorker(), FakeClock()
    notifier = Notifier(worker, "topic", clock)
    for trial in (0, 1):
        notifier.started(spec(trial))
    for epoch in range(5):
        notifier.epoch(spec(epoch % 2), epoch, {"loss": float(epoch)})
    assert [event["key"] for event in worker.events] == ["0000-1", "0001-1"]
    for trial in (0, 1, 1):
        notifier.ended(spec(trial))
    assert epochs_of(worker.events, "0000-1") == [0, 2, 4]
    assert epochs_of(worker.events, "0001-1") == [1, 3]
