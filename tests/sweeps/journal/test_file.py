"""A journal on a real disk: cut, flipped, full, shared, killed. Only what was hurt is lost.

Processes that append are real ones, and are ended by SIGKILL.
"""

import fcntl
import math
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from sweeps.errors import StoreError, UsageError
from sweeps.journal import Asked, Journal
from sweeps.journal.events import MOST_BYTES, Record, UnknownEventError, to_line
from sweeps.workspace import failpoints
from tests.failpoints import APPENDED
from tests.sweeps.factories import make_record
from tests.sweeps.journal.test_events import asked, line_of, shown
from tests.sweeps.journals import documents

FLIPS = 2000
NUMBERED = re.compile(r"event (\d+) is damaged \(.+\); left out$")
APPENDER = """
import sys
from pathlib import Path
from sweeps.journal import Asked, Journal

journal, first, count = Journal(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for trial in range(first, first + count):
    journal.append(Asked(trial=trial, attempt=1, params={"x": trial / 7}, origin="sampled"))
    print(trial, flush=True)
"""


class Appender:
    """A process that appends events once it is let go."""

    def __init__(self, folder, first, count, failpoint=""):
        command = [sys.executable, "-c", APPENDER, str(folder), str(first), str(count)]
        environment = os.environ | {failpoints.VARIABLE: failpoint}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)

    def __enter__(self):
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def begin(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def rest(self):
        """Return the trials that it said are on disk and that were not read yet."""
        said = self.process.stdout.read()
        self.process.wait(60)
        return [int(line) for line in said.split()]


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path)


def fill(journal, count=6):
    """Append events of different lengths; return them as they are read."""
    for trial in range(count):
        params = {"x": trial / 7, "kind": "a*J\n" * trial, "y": float("nan")}
        journal.append(asked(trial=trial, params=params))
    return read(journal)


def read(journal):
    """Return the events, none damaged and none missing; as text, in which NaN equals NaN."""
    reports = []
    found = [shown(event) for event in journal.read(reports.append)]
    assert reports == []
    return found


def trials(journal):
    reports = []
    found = [event.trial for event in journal.read(reports.append)]
    assert reports == []
    return found


def numbers(journal):
    return [event.number for event in journal.read(pytest.fail)]


def test_without_a_file_there_is_no_event(journal, tmp_path):
    assert journal.read(pytest.fail) == []
    assert list(tmp_path.iterdir()) == []


def test_events_come_back_in_order_with_their_number_their_host_and_their_time(journal):
    journal.append(asked(trial=3), asked(trial=1))
    journal.append(asked(trial=2))
    first, second, third = journal.read(pytest.fail)
    assert [e.number for e in (first, second, third)] == [1, 2, 3]
    assert [e.trial for e in (first, second, third)] == [3, 1, 2]
    assert first.host
    assert first.at == second.at <= third.at


def test_a_change_by_another_program_while_lines_are_made_is_noticed(journal, monkeypatch):
    for trial in range(5):
        journal.append(asked(trial=trial))
    assert journal.changes == 0

    def meanwhile(event):
        whole = bytearray(journal.path.read_bytes())
        whole[len(whole) // 2] ^= 1
        journal.path.write_bytes(whole)
        return to_line(event)

    monkeypatch.setattr("sweeps.journal.file.to_line", meanwhile)
    journal.append(asked(trial=5))
    assert journal.changes == 1
    monkeypatch.undo()
    journal.append(asked(trial=6))
    assert journal.changes == 1


def test_appending_nothing_changes_nothing(journal):
    before = fill(journal, 1)
    journal.append()
    assert read(journal) == before


@pytest.fixture
def never_synced(monkeypatch):
    """For thousands of appends of which none has to outlive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def cuts(whole, lines):
    """Yield each length a journal may be cut to within its last lines, and how many are whole."""
    starts = [found.start() for found in re.finditer(rb"\n\{", whole)]
    ends = [*starts[1:], len(whole)]
    for length in range(starts[-lines], len(whole) + 1):
        yield length, sum(length >= end - 1 for end in ends)


@pytest.mark.usefixtures("never_synced")
def test_cut_at_any_byte_it_loses_exactly_what_is_not_whole_and_goes_on(journal):
    events = fill(journal)
    whole = journal.path.read_bytes()
    for length, count in cuts(whole, 3):
        journal.path.write_bytes(whole[:length])
        assert read(journal) == events[:count], length
        Journal(journal.path.parent).append(asked(trial=77))
        assert read(journal)[:-1] == events[:count], length
        last = journal.read(pytest.fail)[-1]
        assert (last.trial, last.number) == (77, count + 1), length


def test_cut_under_an_open_journal_it_goes_on_with_its_own_numbers(journal):
    fill(journal)
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[: len(whole) // 2])
    journal.append(asked(trial=77))
    reports = []
    events = journal.read(reports.append)
    assert (events[-1].trial, events[-1].number) == (77, 7), "no number is given twice"
    missing = 6 - (len(events) - 1)
    assert reports == [f"{journal.path}: {missing} events missing before event 7"]


def test_deleted_under_an_open_journal_it_is_written_anew(journal, tmp_path):
    events = fill(journal)
    journal.path.unlink()
    journal.append()
    assert read(journal) == events
    journal.path.unlink()
    journal.append(asked(trial=77))
    assert read(journal)[:-1] == events
    assert numbers(journal) == [1, 2, 3, 4, 5, 6, 7]
    assert [path.name for path in tmp_path.iterdir()] == [journal.path.name]


def test_deleted_under_an_open_journal_nothing_of_it_is_unknown_until_it_is_written_anew(journal):
    """Whoever reads in between (the thread that sends runs to MLflow) misses no attempt."""
    fill(journal)
    events, is_anew = journal.take()
    assert (len(events), is_anew) == (6, True)
    journal.path.unlink()
    assert journal.take() == ([], False)
    journal.append(asked(trial=77))
    taken, is_anew = journal.take()
    assert (taken[:-1], taken[-1].trial, is_anew) == (events, 77, True)
    shutil.rmtree(journal.path.parent)  # the sweep itself was deleted
    assert journal.take() == ([], True)


def test_one_that_was_replaced_is_not_written_anew_by_what_it_replaced(journal, tmp_path):
    """A sweep was deleted, and another with its id imported: the former one must not come back."""
    fill(journal)
    other = Journal(tmp_path / "other")
    other.path.parent.mkdir()
    other.append(asked(trial=50), asked(trial=51))
    other.path.replace(journal.path)
    journal.append(asked(trial=77))
    assert trials(journal) == [50, 51, 77]
    journal.path.unlink()
    journal.append(asked(trial=78))
    assert (trials(journal), numbers(journal)) == ([50, 51, 77, 78], [1, 2, 3, 4])


def test_deleted_before_it_was_ever_written_here_its_loss_is_said(journal, tmp_path):
    """Of a reader, that has no file open: the numbers go on, so that there is a gap."""
    fill(Journal(tmp_path))
    assert len(journal.take()[0]) == 6
    journal.path.unlink()
    journal.append(asked(trial=77))
    reports = []
    assert [event.trial for event in journal.read(reports.append)] == [77]
    assert reports == [f"{journal.path}: 6 events missing before event 7"]


def test_deleted_while_it_is_written_no_event_is_said_to_be_in_it(journal, tmp_path):
    """Neither that of a process that was writing, nor that of one that waited for its lock."""
    fill(journal, 1)
    with Appender(tmp_path, 5, 1, failpoint="journal.written:pause") as holder:
        holder.begin()
        os.waitpid(holder.process.pid, os.WUNTRACED)
        waiting = threading.Thread(target=journal.append, args=[asked(trial=6)])
        waiting.start()
        waiting.join(0.3)
        journal.path.unlink()
        holder.process.send_signal(signal.SIGCONT)
        waiting.join(60)
        assert holder.rest() == []
        assert holder.process.returncode == 1
    assert [event.trial for event in journal.read(lambda line: None)][-1] == 6


def check_hurt(journal, events, number, mask):
    """Flip bits of a byte: what is lost is said by its number, and the next event is whole."""
    whole = bytearray(journal.path.read_bytes())
    whole[number] ^= mask
    journal.path.write_bytes(whole)
    reports = []
    found = [shown(event) for event in journal.read(reports.append)]
    lost = [n for n, event in enumerate(events, 1) if event not in found]
    assert found == [event for event in events if event in found], "nothing else, in order"
    assert len(lost) <= 1
    said = [NUMBERED.search(line) for line in reports]
    assert all(said), reports
    assert [int(match[1]) for match in said] == lost
    Journal(journal.path.parent).append(asked(trial=77))
    again = []
    after = journal.read(again.append)
    assert again == reports
    assert [shown(event) for event in after[:-1]] == found
    assert (after[-1].trial, after[-1].number) == (77, len(events) + 1)


@pytest.mark.usefixtures("never_synced")
def test_a_flipped_bit_costs_one_event_at_most_and_is_said(journal):
    fill(journal)
    journal.append(*map(ended, range(3)))
    events, whole = read(journal), journal.path.read_bytes()
    drawn = random.Random(20)
    places = [(drawn.randrange(len(whole)), 1 << drawn.randrange(8)) for _ in range(FLIPS)]
    newlines = [n for n, byte in enumerate(whole) if byte == ord("\n")]
    places += [(n, 1 << bit) for n in newlines for bit in range(8)]
    places += [(n, 1 << drawn.randrange(8)) for n in range(whole.index(b"\n", 1))]  # first line
    places += [(n - 3, 1 << bit) for n in newlines[1::2] for bit in range(8)]  # of a checksum
    for number, mask in places:
        journal.path.write_bytes(whole)
        check_hurt(journal, events, number, mask)


@pytest.mark.usefixtures("never_synced")
def test_a_byte_that_becomes_a_newline_costs_one_event(journal):
    fill(journal, 3)
    journal.append(ended(0))
    events, whole = read(journal), journal.path.read_bytes()
    for number in (n for n, byte in enumerate(whole) if byte != ord("\n")):
        journal.path.write_bytes(whole)
        check_hurt(journal, events, number, whole[number] ^ ord("\n"))


# What attempts have in common.


COMMON = {
    "data": {"name": "toy", "digest": "d", "split_digest": "s", "info": {"classes": 10}},
    "environment": {"python": "3.11.7", "packages": {"numpy": "2.4.6"}, "at": math.nan},
    "distributions": {"x": '{"name": "FloatDistribution"}'},
}


def ended(trial, **changes):
    return make_record(trial, **{**COMMON, **changes})


def facts(events):
    """Return, for each attempt, what it has in common with others, as text."""
    return [
        (event.trial, repr((event.data, event.environment, event.distributions)))
        for event in events
        if isinstance(event, Record)
    ]


def seen(record):
    members = {name: getattr(record, name) for name in Record.__struct_fields__}
    return shown(Record(**{**members, "number": 0, "at": 0, "host": ""}))


def kinds(journal):
    return [one["kind"].partition(" ")[0] for one in documents(journal.path)]


def test_what_attempts_have_in_common_is_written_twice_and_each_attempt_has_it(journal):
    other = {**COMMON["environment"], "python": "3.12.1"}
    records = [ended(0), ended(1), ended(2, environment=other), ended(3)]
    journal.append(*records[:2])
    journal.append(asked(trial=2))
    journal.append(records[2])
    Journal(journal.path.parent).append(records[3])
    whole = ["common", "common", "ended", "ended", "asked", "common", "common", "ended", "ended"]
    assert kinds(journal) == whole
    events = journal.read(pytest.fail)
    assert facts(events) == facts(records)
    assert [seen(e) for e in events if isinstance(e, Record)] == [seen(r) for r in records]
    assert journal.path.read_bytes().count(b"3.11.7") == 2


def test_it_is_the_same_for_who_reads_on_and_for_who_has_written(journal):
    reader = Journal(journal.path.parent)
    for trial in range(3):
        journal.append(ended(trial))
        events, is_anew = reader.take()
        assert (facts(events), is_anew) == (facts([ended(trial)]), trial == 0)
    assert facts(journal.take()[0]) == facts(map(ended, range(3)))


@pytest.mark.parametrize("lost", [1, 2])
def test_no_line_of_it_is_needed_alone_and_one_that_is_lost_comes_again(journal, lost):
    journal.append(*map(ended, range(3)))
    content = journal.path.read_bytes().split(b"\n\n")
    content[lost - 1] = content[lost - 1].replace(b"toy", b"boy")
    journal.path.write_bytes(b"\n\n".join(content))
    reports = []
    events = Journal(journal.path.parent).read(reports.append)
    assert facts(events) == facts(map(ended, range(3)))
    assert reports == [
        f"{journal.path}: event {lost} is damaged (its checksum does not fit; it was 'common'); "
        "left out"
    ]
    Journal(journal.path.parent).append(ended(3))
    assert kinds(journal)[-2:] == ["common", "ended"]


def test_an_attempt_whose_facts_are_all_lost_is_there_without_them(journal):
    journal.append(asked(), ended(0), ended(1))
    content = journal.path.read_bytes().replace(b"toy", b"boy")
    journal.path.write_bytes(content)
    reports = []
    events = Journal(journal.path.parent).read(reports.append)
    assert facts(events) == [(n, "({}, {}, {})") for n in range(2)]
    assert [event.objective for event in events[1:]] == [ended(n).objective for n in range(2)]
    assert len(reports) == 2


def test_an_attempt_that_an_earlier_version_has_written_is_read_and_written_as_it_was(journal):
    former = replace(ended(0), number=1, at=5, host="host")
    journal.path.write_bytes(to_line(former))
    (event,) = journal.read(pytest.fail)
    assert facts([event]) == facts([former])
    assert to_line(event) == to_line(former)
    journal.append(ended(1))
    assert kinds(journal) == ["ended", "common", "common", "ended"]


def test_a_whole_journal_that_is_written_again_is_the_same(journal):
    journal.append(asked(), *map(ended, range(3)))
    assert b"".join(map(to_line, journal.read(pytest.fail))) == journal.path.read_bytes()


def test_zeros_after_the_last_line_are_no_event(journal):
    """As some file systems leave it after a power cut."""
    events = fill(journal, 2)
    with journal.path.open("ab") as file:
        file.write(bytes(4096))
    assert read(journal) == events
    journal.append(asked(trial=77))
    assert read(journal)[:-1] == events
    assert numbers(journal) == [1, 2, 3]


def test_events_that_are_missing_in_the_middle_are_counted(journal):
    events = fill(journal)
    lines = journal.path.read_bytes().split(b"\n\n")
    for kept, said in ([0, 1, 4, 5], "2 events missing before event 5"), (
        [0, 2, 3, 4, 5], "1 event missing before event 3"
    ), ([2, 3, 4, 5], "2 events missing before event 3"):  # fmt: skip
        journal.path.write_bytes(b"\n" + b"\n\n".join(lines[n].strip() for n in kept) + b"\n")
        reports = []
        found = [shown(event) for event in journal.read(reports.append)]
        assert found == [events[n] for n in kept]
        assert reports == [f"{journal.path}: {said}"]
        Journal(journal.path.parent).append(asked(trial=77))
        assert journal.read(lambda line: None)[-1].number == 7


def test_the_numbers_decide_not_the_clock(journal, monkeypatch):
    for at in (5_000_000, 3_000_000, -1, 4_000_000):
        monkeypatch.setattr("sweeps.journal.file.now_ms", lambda at=at: at)
        journal.append(asked(trial=abs(at)))
    events = journal.read(pytest.fail)
    assert [event.at for event in events] == [5_000_000, 3_000_000, -1, 4_000_000]
    assert [event.number for event in events] == [1, 2, 3, 4]


class Taker:
    """Takes events from an open journal, as every command that reads a sweep does."""

    def __init__(self, folder):
        self.journal, self.events = Journal(folder), []

    def take(self):
        """Return trial and number of all events so far, and whether they were taken anew."""
        found, is_anew = self.journal.take()
        self.events = [*([] if is_anew else self.events), *found]
        return [(event.trial, event.number) for event in self.events], is_anew


@pytest.fixture
def taker(journal, tmp_path):
    """A reader that has seen six events."""
    fill(journal)
    taker = Taker(tmp_path)
    assert taker.take() == ([(n, n + 1) for n in range(6)], True)
    return taker


def test_only_what_is_new_is_taken(taker, journal):
    assert taker.journal.take() == ([], False)
    journal.append(asked(trial=77))
    (event,), is_anew = taker.journal.take()
    assert (event.trial, event.number, is_anew) == (77, 7, False)
    assert taker.journal.take() == ([], False)


def test_what_others_and_it_have_appended_between_two_takes_is_taken_once(taker, journal):
    journal.append(asked(trial=77))
    taker.journal.append(asked(trial=78))
    journal.append(asked(trial=79))
    found, is_anew = taker.take()
    assert (found[6:], is_anew) == ([(77, 7), (78, 8), (79, 9)], False)


def test_cut_between_two_takes_it_is_taken_anew(taker, journal):
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[: whole.index(b"\n\n") + 1])
    assert taker.take() == ([(0, 1)], True)
    journal.path.write_bytes(b"")
    assert taker.take() == ([], True)
    journal.path.write_bytes(whole)
    assert taker.take()[0] == [(n, n + 1) for n in range(6)]


def test_changed_in_place_it_is_taken_anew_and_what_is_damaged_is_said(taker, journal):
    whole = journal.path.read_bytes()
    changed = whole.replace(b'"trial":3', b'"trial":8')
    assert len(changed) == len(whole)
    time.sleep(0.02)  # file systems tell times apart by some milliseconds
    journal.path.write_bytes(changed)
    assert taker.take() == ([(n, n + 1) for n in range(6) if n != 3], True)
    (line,) = taker.journal.damage
    assert NUMBERED.search(line)[1] == "4"
    taker.journal.append(asked(trial=77))
    assert taker.take()[0][-1] == (77, 7)
    assert taker.journal.damage == [line]


def test_changed_while_it_is_synced_it_is_taken_anew(taker, monkeypatch):
    path, fsync = taker.journal.path, os.fsync

    def change(descriptor):
        path.write_bytes(path.read_bytes().replace(b'"trial":3', b'"trial":8'))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", change)
    taker.journal.append(asked(trial=77))
    found, is_anew = taker.take()
    assert (found, is_anew) == ([*((n, n + 1) for n in range(6) if n != 3), (77, 7)], True)
    assert taker.journal.changes == 1


def test_replaced_by_another_it_is_taken_anew(taker, journal, tmp_path):
    other = Journal(tmp_path / "other")
    other.path.parent.mkdir()
    for trial in range(50, 60):
        other.append(asked(trial=trial))
    other.path.replace(journal.path)
    assert taker.take() == ([(50 + n, n + 1) for n in range(10)], True)
    taker.journal.append(asked(trial=77))
    assert taker.take() == ([*((50 + n, n + 1) for n in range(10)), (77, 11)], False)
    assert taker.journal.damage == []


def test_deleted_and_made_again_it_is_taken_anew(taker, journal):
    journal.path.unlink()
    assert taker.take() == ([], True)
    Journal(journal.path.parent).append(asked(trial=77))
    assert taker.take() == ([(77, 1)], True)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_replaced_by_no_file_it_has_no_events_until_it_is_back(taker, journal, make):
    away = journal.path.rename(journal.path.with_name("away"))
    make(journal.path)
    assert taker.take() == ([], True)
    assert taker.journal.damage == [
        f"{journal.path}: it is a folder, a pipe or a device, and no file"
    ]
    with pytest.raises(StoreError):
        taker.journal.append(asked(trial=77))
    (os.rmdir if make is os.mkdir else os.unlink)(journal.path)
    away.rename(journal.path)
    assert taker.take() == ([(n, n + 1) for n in range(6)], True)
    assert taker.journal.damage == []


def test_unreadable_for_a_while_it_loses_nothing(taker, journal, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    journal.append(asked(trial=77))
    with monkeypatch.context() as patched:
        patched.setattr("sweeps.journal.file.open_file", refuse)
        with pytest.raises(PermissionError):
            taker.journal.take()
    assert taker.take() == ([*((n, n + 1) for n in range(6)), (77, 7)], False)


def test_an_unknown_kind_is_said_at_every_take(taker, journal):
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + b"\n" + line_of(b'{"kind":"asked 9","by":"9.8.7"}') + b"\n")
    for _ in range(2):
        with pytest.raises(UnknownEventError):
            taker.journal.take()
    journal.path.write_bytes(whole)
    assert taker.take() == ([(n, n + 1) for n in range(6)], True)


def test_one_thread_takes_while_others_append(tmp_path):
    journal, taker = Journal(tmp_path), Taker(tmp_path)
    taker.journal = journal

    def append(first):
        for trial in range(first, first + 50):
            journal.append(asked(trial=trial))

    threads = [threading.Thread(target=append, args=(first,)) for first in (0, 100)]
    for thread in threads:
        thread.start()
    is_alive = True
    while is_alive:  # once at least, also if they are quick
        is_alive = any(thread.is_alive() for thread in threads)
        found, is_anew = taker.take()
        assert [number for _, number in found] == list(range(1, len(found) + 1))
    found, _ = taker.take()
    assert sorted(trial for trial, _ in found) == [*range(50), *range(100, 150)]
    assert not is_anew or len(found) == 100
    assert journal.damage == []


def test_a_taker_in_another_process_sees_every_event_of_an_appender_that_is_killed(tmp_path):
    """Each cuts what the one before has left, also under the eyes of who reads."""
    taker, said = Taker(tmp_path), []
    for start in range(5):
        with Appender(tmp_path, 1000 * start, 999) as appender:
            appender.begin()
            for _ in range(20):
                said.append(int(appender.process.stdout.readline()))
                taker.take()
            appender.process.kill()
            said += appender.rest()
    found, _ = taker.take()
    assert set(said) <= {trial for trial, _ in found}
    assert [number for _, number in found] == list(range(1, len(found) + 1))


@pytest.fixture
def without_locks(monkeypatch):
    """As a file system may be that grants every lock, see `sweeps.workspace.locks.check_locks`."""
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, operation: None)


@pytest.mark.usefixtures("without_locks")
def test_two_that_write_one_number_are_said(tmp_path):
    pair = Journal(tmp_path), Journal(tmp_path)
    pair[0].append(asked(trial=0))
    first, second = (to_line(asked(trial=trial, number=2)) for trial in (1, 2))
    with pair[0].path.open("ab") as file:
        file.write(first + second)
    reports = []
    assert [event.trial for event in pair[1].read(reports.append)] == [0, 1, 2]
    where = f"{pair[0].path}: event 2 stands after event 2"
    assert reports == [f"{where}; two have written it at once"]
    pair[1].append(asked(trial=3))
    assert pair[1].read(lambda line: None)[-1].number == 3


def test_two_journals_of_one_process_take_turns(tmp_path):
    pair = Journal(tmp_path), Journal(tmp_path)
    for trial in range(10):
        pair[trial % 2].append(asked(trial=trial))
    assert trials(pair[0]) == list(range(10))
    assert numbers(pair[1]) == list(range(1, 11))


def test_two_journals_of_one_process_append_at_once(tmp_path):
    def append(first):
        journal = Journal(tmp_path)
        for trial in range(first, first + 50):
            journal.append(asked(trial=trial))

    threads = [threading.Thread(target=append, args=(first,)) for first in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(Journal(tmp_path)) == list(range(1, 101))
    found = trials(Journal(tmp_path))
    assert [t for t in found if t < 100] == list(range(50))
    assert [t for t in found if t >= 100] == list(range(100, 150))


def test_four_processes_append_at_once_while_a_reader_sees_whole_events_only(journal, tmp_path):
    firsts = (0, 1000, 2000, 3000)
    appenders = [Appender(tmp_path, first, 50) for first in firsts]
    with appenders[0], appenders[1], appenders[2], appenders[3]:
        for appender in appenders:
            appender.begin()
        seen = 0
        while any(appender.process.poll() is None for appender in appenders):
            count = len(numbers(journal))
            assert count >= seen, "an event has vanished"
            seen = count
        for first, appender in zip(firsts, appenders, strict=True):
            assert appender.rest() == list(range(first, first + 50))
    assert numbers(journal) == list(range(1, 201))
    found = trials(journal)
    for first in firsts:
        assert [t for t in found if first <= t < first + 1000] == list(range(first, first + 50))


def test_whoever_appends_waits_for_another_that_holds_the_lock(journal, tmp_path):
    fill(journal, 1)
    with Appender(tmp_path, 5, 1, failpoint="journal.written:pause") as holder:
        holder.begin()
        os.waitpid(holder.process.pid, os.WUNTRACED)
        waiting = threading.Thread(target=journal.append, args=[asked(trial=6)])
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        holder.process.send_signal(signal.SIGCONT)
        waiting.join(60)
        assert holder.rest() == [5]
    assert trials(journal) == [0, 5, 6]


def test_a_lock_that_is_never_released_is_a_store_error(journal, tmp_path, monkeypatch):
    monkeypatch.setattr("sweeps.journal.file.LONGEST_WAIT_SECONDS", 0.2)
    with Appender(tmp_path, 5, 1, failpoint="journal.written:pause") as holder:
        holder.begin()
        os.waitpid(holder.process.pid, os.WUNTRACED)
        with pytest.raises(StoreError, match=r"journal\.jsonl: another process .* for 0\.2 s"):
            journal.append(asked(trial=6))
        holder.process.send_signal(signal.SIGCONT)
        assert holder.rest() == [5]
    assert trials(journal) == [5]


@pytest.mark.parametrize(
    ("step", "left"), [("begun", 2), ("opened", 2), ("written", 3), ("synced", 3), ("done", 3)]
)
def test_killed_while_it_appends_a_process_loses_nothing_that_it_said(
    journal, tmp_path, step, left
):
    with Appender(tmp_path, 0, 9, failpoint=f"journal.{step}:3") as appender:
        appender.begin()
        assert appender.rest() == [0, 1]
        assert appender.process.returncode == -signal.SIGKILL
    assert trials(journal) == list(range(left))
    journal.append(asked(trial=77))
    assert trials(journal) == [*range(left), 77]
    assert numbers(journal) == list(range(1, left + 2))


def test_of_processes_that_are_killed_at_any_moment_every_event_they_said_is_there(
    journal, tmp_path
):
    drawn, said = random.Random(4), []
    for start in range(8):
        first = 10_000 * start
        with Appender(tmp_path, first, 9999) as appender:
            appender.begin()
            for _ in range(drawn.randrange(1, 30)):
                said.append(int(appender.process.stdout.readline()))
            appender.process.kill()
            said += appender.rest()
        found = trials(journal)
        assert [trial for trial in found if trial in said] == said
        assert len(found) - len(said) <= start + 1, "one each that was written, and not yet said"
        assert numbers(journal) == list(range(1, len(found) + 1))


@pytest.fixture
def room(journal):
    """Let the journal grow by so many bytes only, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(more):
        size = journal.path.stat().st_size if journal.path.exists() else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + more, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("more", [0, 1, 40, 120])
def test_on_a_full_disk_nothing_is_left_of_the_event_and_the_next_one_goes_on(journal, room, more):
    fill(journal, 2)
    whole = journal.path.read_bytes()
    room(more)
    with pytest.raises(StoreError, match=r"journal\.jsonl: cannot be written \(File too large\)"):
        journal.append(asked(trial=5), asked(trial=6))
    assert journal.path.read_bytes() == whole
    room(10_000)
    journal.append(asked(trial=7))
    assert trials(journal) == [0, 1, 7]
    assert numbers(journal) == [1, 2, 3]


@pytest.mark.parametrize("more", [0, 40])
def test_the_first_event_that_finds_no_room_leaves_no_event(journal, room, more):
    room(more)
    with pytest.raises(StoreError, match="make room"):
        journal.append(asked())
    room(10_000)
    assert trials(journal) == []
    journal.append(asked(trial=7))
    assert (trials(journal), numbers(journal)) == ([7], [1])


def test_an_event_that_the_disk_does_not_take_is_taken_back(journal, monkeypatch):
    fill(journal, 2)
    whole = journal.path.read_bytes()

    def refuse(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(StoreError, match=r"cannot be written \(Input/output error\)"):
            journal.append(asked(trial=5))
        assert journal.path.read_bytes() == whole
        with pytest.raises(StoreError):
            Journal(journal.path.parent).append(asked(trial=5))
        assert journal.path.read_bytes() == whole
    journal.append(asked(trial=7))
    assert trials(journal) == [0, 1, 7]
    assert numbers(journal) == [1, 2, 3]


@pytest.fixture
def synced(monkeypatch):
    """Note whether the name of a file was made durable before its contents."""
    found, fsync = [], os.fsync

    def note(descriptor):
        found.append("folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_its_name_is_made_durable_with_its_first_event(journal, synced):
    journal.append(asked())
    assert synced == ["folder", "file"]
    journal.append(asked())
    assert synced == ["folder", "file", "file"]


def test_so_is_the_name_of_one_that_a_killed_process_has_made(journal, tmp_path, synced):
    with Appender(tmp_path, 0, 1, failpoint="journal.written") as appender:
        appender.begin()
        assert appender.rest() == []
    journal.append(asked(trial=7))
    assert synced == ["folder", "file"]
    assert trials(journal) == [0, 7]


@pytest.mark.parametrize("step", APPENDED)
def test_a_disk_that_fails_at_any_step_is_a_store_error(tmp_path, step):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sweeps.errors import StoreError\n"
        "from sweeps.journal import Asked, Journal\n"
        "try:\n"
        "    Journal(Path(sys.argv[1])).append(\n"
        "        Asked(trial=0, attempt=1, params={}, origin='sampled'))\n"
        "except StoreError as error:\n"
        "    print(error)"
    )
    environment = os.environ | {failpoints.VARIABLE: f"journal.{step}:raise"}
    told = subprocess.check_output(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, text=True
    )
    assert f"journal.jsonl: cannot be written (fail-point journal.{step}:raise)" in told
    assert len(trials(Journal(tmp_path))) == (step == "done")


def test_an_unknown_kind_ends_reading_and_is_not_called_damaged(journal):
    fill(journal, 2)
    line = line_of(b'{"kind":"asked 9","number":3,"by":"9.8.7"}')
    for end in (b"\n", b"", b"\x0b"):
        whole = journal.path.read_bytes()
        journal.path.write_bytes(whole + b"\n" + line + end)
        reports = []
        with pytest.raises(UnknownEventError, match=r"9\.8\.7") as caught:
            journal.read(reports.append)
        assert str(caught.value).startswith(f"{journal.path}: an event of the kind 'asked 9'")
        assert isinstance(caught.value, UsageError)
        assert reports == []
        Journal(journal.path.parent).append(asked(trial=7))
        content = journal.path.read_bytes()
        assert content.startswith(whole + b"\n" + line), "it is not cut"
        assert b'"number":4,' in content[len(whole) :]
        journal.path.write_bytes(whole)


def test_an_event_that_is_too_long_is_refused_and_nothing_is_written(journal):
    fill(journal, 1)
    whole = journal.path.read_bytes()
    long = asked(trial=5, params={"x": "a" * MOST_BYTES})
    for events in ([long], [asked(trial=4), long]):
        with pytest.raises(UsageError, match="use shorter texts as values"):
            journal.append(*events)
        assert journal.path.read_bytes() == whole
    journal.append(asked(trial=7))
    assert trials(journal) == [0, 7]
    assert numbers(journal) == [1, 2]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_what_is_no_file_is_said_and_never_waited_for(journal, make):
    make(journal.path)
    reports = []
    assert journal.read(reports.append) == []
    assert reports == [f"{journal.path}: it is a folder, a pipe or a device, and no file"]
    with pytest.raises(StoreError, match=r"journal\.jsonl: cannot be written"):
        journal.append(asked())


def test_a_link_is_not_followed_when_it_is_written(journal, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(to_line(asked(number=1)))
    journal.path.symlink_to(other)
    with pytest.raises(StoreError, match="cannot be written"):
        journal.append(asked())
    assert other.read_bytes() == to_line(asked(number=1))


def test_without_its_folder_nothing_can_be_written(tmp_path):
    with pytest.raises(StoreError, match="No such file or directory"):
        Journal(tmp_path / "gone").append(asked())


def test_what_is_read_are_events(journal):
    fill(journal, 1)
    assert all(isinstance(event, Asked) for event in journal.read(pytest.fail))
