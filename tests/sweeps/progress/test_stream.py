import io
import os
import subprocess
import sys

from sweeps.progress.lines import LossyStream


def closed_pipe():
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w", encoding="utf-8")


def test_lines_arrive_at_once():
    read, write = os.pipe()
    with os.fdopen(read, encoding="utf-8") as reader, os.fdopen(write, "w") as writer:
        LossyStream(writer).line("one")
        assert reader.readline() == "one\n"


def test_a_closed_pipe_swallows_everything_and_the_stream_can_still_be_closed():
    with closed_pipe() as writer:
        stream = LossyStream(writer)
        for _ in range(3):
            stream.line("x" * 100_000)
        assert stream.write("more") == 4
        stream.flush()


def test_a_full_disk_is_swallowed():
    with open("/dev/full", "w") as full:  # noqa: PTH123 (a device, not a path)
        stream = LossyStream(full)
        stream.line("lost")
        stream.line("lost too")


def test_a_stream_that_was_closed_is_swallowed():
    inner = io.StringIO()
    stream = LossyStream(inner)
    inner.close()
    stream.line("lost")
    assert not stream.isatty()


def test_it_answers_what_rich_asks_of_a_file():
    with closed_pipe() as writer:
        stream = LossyStream(writer)
        answers = (stream.encoding, stream.isatty(), stream.fileno())
        assert answers == ("utf-8", False, writer.fileno())


def test_a_process_whose_reader_has_gone_ends_with_status_zero():
    code = (
        "import sys; from sweeps.progress.lines import LossyStream\n"
        "out = LossyStream(sys.stdout)\n"
        "sys.stdin.readline()\n"
        "for _ in range(10): out.line('x' * 10_000)\n"
        "print('y')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    process.stdout.close()
    _, errors = process.communicate("go\n", timeout=60)
    assert (process.returncode, errors) == (0, "")
