"""Applications that do what PEP 3333 forbids: the worker lives on, the others' replies are whole, the author is told."""

import re
from pathlib import Path

import pytest

from harness import wait_until
from harness.interpreters import on_every_interpreter

pytestmark = pytest.mark.tapster
LARGE = 32 << 20


@pytest.fixture(scope="module", params=on_every_interpreter("misuse"))
def server(request, serve_module):
    """One worker with the application that misbehaves, shared by the tests of one CPython."""
    request.param.require()
    return serve_module("misuse:application", "--keep-alive", "30", interpreter=request.param)


@pytest.fixture(scope="module", params=on_every_interpreter("misuse"))
def server_without_disk(request, serve_module, tmp_path_factory):
    """The same where no reply can go to disk, so that the application waits for its client."""
    request.param.require()
    folder = tmp_path_factory.mktemp("uploads")
    settings = f'tmp_upload_dir = "{folder}"\n'
    server = serve_module("misuse:application", "--keep-alive", "30", interpreter=request.param, settings=settings)
    folder.rmdir()
    return server


def noted(server):
    """How the forbidden calls went since the last time."""
    return server.get("/noted").json


def test_another_thread_may_call_neither_start_response_nor_write(server):
    with server.wire() as wire:
        reply = wire.exchange("/thread-during")
        assert (reply.reason, reply.body) == ("OK", b"own")
        wire.expect_open()
    start, write = noted(server)
    assert re.match(r"AssertionError: start_response\(\) was called from another thread", start)
    assert re.match(r"AssertionError: write\(\) was called from another thread", write)


@pytest.mark.parametrize("path", ["thread-while-write-waits", "thread-between-blocks"])
def test_what_another_thread_writes_while_a_slow_client_reads_reaches_nobody(server_without_disk, tmp_path, path):
    server, tried = server_without_disk, tmp_path / "tried"
    before = server.get("/pid").text
    with server.wire(timeout=30) as wire:
        wire.get(f"/{path}?{tried}")
        wait_until(tried.exists, what="the other thread's attempts")
        assert wire.reply().body == b"m" * LARGE + b"end"
        wire.expect_open()
    attempts = noted(server)
    message = "AssertionError: write() was called from another thread"
    assert len(attempts) == 20 and all(attempt.startswith(message) for attempt in attempts), attempts
    assert server.get("/pid").text == before


def test_an_exc_info_that_is_none_is_a_type_error_and_a_right_one_is_raised(server):
    assert server.get("/odd-exc-info").body == b"sent"
    *odd, value, bare = noted(server)
    assert len(odd) == 6 and all(each.startswith("TypeError: start_response(): exc_info must be") for each in odd), odd
    assert (value, bare) == ("ValueError: mine", "KeyError: ")


def test_the_traceback_of_an_error_with_a_lone_surrogate_is_logged_whole(server):
    assert server.get("/surrogate").status == 500
    server.wait_log(r"Traceback .*(\n.*)+in surrogate(\n.*)+RuntimeError: no such file: caf\\udce9")


def test_what_close_writes_is_refused(server):
    with server.wire() as wire:
        assert wire.exchange("/close-writes").body == b"body"
        wire.expect_open()
    attempts = noted(server)
    assert len(attempts) == 2 and all("after the request was over" in attempt for attempt in attempts), attempts


def test_start_response_may_be_reentered_by_the_arguments_it_looks_at(server):
    reply = server.get("/reentered")
    assert (reply.reason, reply.body) == ("Inner", b"inner")
    assert reply.header("x-inner") == "yes" and reply.header("x-outer") is None
    assert noted(server) == ["TypeError: each response header must be a (name, value) tuple, not Odd"]


def test_an_argument_by_position_and_by_name_is_a_type_error(server):
    assert server.get("/twice-named").body == b"named"
    first, second = noted(server)
    assert first == "TypeError: start_response() was given the argument 'status' twice"
    assert second == "TypeError: start_response() was given the argument 'headers' twice"


def test_a_huge_list_does_not_stand_in_memory_while_its_client_is_slow(server):
    status = Path(f"/proc/{server.get('/pid').text}/status")
    with server.wire(timeout=30) as wire:
        wire.get("/large-list")
        # The worker has nothing more to do with that list once it answers another.
        assert server.get("/hello", timeout=30).body == b"hello"
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])
        assert peak < 80 << 10, f"{peak} kB at the most"
        assert wire.reply().body == b"m" * (100 << 20)


def test_a_huge_list_arrives_whole_where_its_application_has_to_wait(server_without_disk):
    with server_without_disk.wire(timeout=30) as wire:
        assert wire.exchange("/large-list").body == b"m" * (100 << 20)
        wire.expect_open()
