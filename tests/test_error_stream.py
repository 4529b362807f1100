"""`wsgi.errors`: the application's complaints reach the log whatever the application does to its streams."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import wait_until
from harness.interpreters import INTERPRETERS

pytestmark = pytest.mark.tapster
on_each_python = pytest.mark.parametrize("python", INTERPRETERS, ids=lambda each: each.name)
stream_or_file = pytest.mark.parametrize("to", ["stream", "file"])


class Complaining:
    """A server whose application complains, and where that arrives."""

    def __init__(self, server, log):
        self.server, self.log = server, log

    def ask(self, path):
        """What the application tells of what it did."""
        reply = self.server.get(path)
        assert reply.status == 200, self.log.read_text()
        return reply.json

    def expect(self, *lines):
        """Each line is in the log, once and whole."""
        for line in lines:
            found = lambda line=line: self.log.read_text().splitlines().count(line) == 1
            wait_until(found, what=lambda line=line: f"{line!r} in the log:\n{self.log.read_text()[-2000:]}")


@pytest.fixture
def start(serve, tmp_path):
    """Starts it, with its log in a file of its own or on the standard error stream."""

    def start(to, *options, **settings):
        if to == "stream":
            server = serve("complaining:application", *options, **settings)
            return Complaining(server, server.log_path)
        log = tmp_path / "error.log"
        server = serve("complaining:application", *options, "--error-logfile", log, wait=False, **settings)
        wait_until(lambda: log.exists() and "Worker ready" in log.read_text(), 20, "the worker is ready")
        return Complaining(server, log)

    return start


@on_each_python
@stream_or_file
def test_it_is_written_to_in_all_ways(start, python, to):
    python.require()
    complaining = start(to, interpreter=python)
    assert complaining.ask("/writes?written") == len("written one\n")
    complaining.expect("written one", "written two", "written three")
    complaining.ask("/logs?logged")
    complaining.expect("logged")
    complaining.ask("/writes-bytes?bytes")
    complaining.expect("bytes")
    complaining.ask("/leaves-open?open")
    wait_until(lambda: complaining.log.read_text().endswith("\nopen"), what="what has no end of the line yet")


@on_each_python
@stream_or_file
def test_it_can_be_closed_and_nobody_notices(start, python, to):
    python.require()
    complaining = start(to, interpreter=python)
    for time in range(3):
        assert complaining.ask(f"/closes?closed-{time}") is False
        complaining.expect(*(f"closed-{time} {count}" for count in ("one", "two", "three")))
    complaining.ask("/writes?after")
    complaining.expect("after one", "after two", "after three")


@stream_or_file
def test_it_tells_what_it_is(start, to):
    complaining = start(to)
    told = complaining.ask("/tells")
    assert complaining.ask("/tells") == told
    del told["id"]
    assert told == {
        "encoding": "utf-8",
        "errors": "backslashreplace",
        "tty": False,
        "target": str(complaining.log),
        "text": True,
        "writable": True,
        "line_buffering": True,
    }


@stream_or_file
def test_lines_that_several_threads_print_do_not_mix(start, to):
    complaining = start(to, "--threads", "4")
    lines = [f"{each}" * 30 for each in "abcdefgh"]
    with ThreadPoolExecutor(4) as clients:
        list(clients.map(lambda line: complaining.ask(f"/prints?{line}"), lines))
    printed = [line for line in complaining.log.read_text().splitlines() if not re.match(r"\[|\$", line)]
    assert sorted(printed) == sorted(line for line in lines for _ in range(3000))


def test_what_replaces_the_standard_error_stream_gets_it(start):
    complaining = start("stream")
    assert complaining.ask("/redirects?elsewhere") == "elsewhereelsewhere;"
    assert complaining.ask("/raises?full") == "No space left on device"
    complaining.ask("/writes?back")
    complaining.expect("back one", "back two", "back three")
    assert not re.search(r"elsewhere|full", complaining.log.read_text())


def test_a_log_file_is_not_replaced_with_the_standard_error_stream(start):
    complaining = start("file")
    assert complaining.ask("/redirects?elsewhere") == ""
    wait_until(lambda: "elsewhereelsewhere;" in complaining.log.read_text(), what="it is in the log")


@stream_or_file
@pytest.mark.parametrize("how", ["none", "number", "itself", "missing", "detached", "gone"])
def test_it_goes_to_the_log_where_the_standard_error_stream_takes_nothing(start, to, how):
    complaining = start(to)
    complaining.ask(f"/replaces?{how},{how}-said")
    wait_until(lambda: complaining.log.read_text().splitlines().count(f"{how}-said") == 2, what="it is in the log")


def test_a_standard_error_stream_that_complains_in_its_turn_does_so_once(start):
    complaining = start("stream")
    complaining.ask("/replaces?logger,round")
    wait_until(lambda: complaining.log.read_text().splitlines().count("logged round") == 2, what="it is in the log")
    assert not re.search("^round|Recursion", complaining.log.read_text(), re.MULTILINE)
