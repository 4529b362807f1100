"""Requests that take longer than `timeout` behind a reply that is whole: they are interrupted, or cost their worker, and their
clients have nothing to suffer from it."""

import re
import socket

import pytest

from harness import wait_until
from harness.late import APP, INTERRUPTED, notes, starter

pytestmark = pytest.mark.tapster
threads_1_or_4 = pytest.mark.parametrize("threads", [1, 4])


@pytest.fixture
def start(serve):
    """Starts a server with so many threads, in which a request may take a second, and no worker is replaced for it."""
    return starter(serve)


def expect_serving(server):
    """The first worker goes on."""
    assert server.get("/who").status == 200
    assert len(server.ready()) == 1 and "WORKER TIMEOUT" not in server.log()


def unaffected(text):
    """What the log says of the request that `text` names."""
    late = r"has been in the application for 1(\.\d+)?s(, and has given nothing for the last 1(\.\d+)?s)?, longer than timeout = 1s"
    return rf"\[ERROR\] the request {re.escape(text)} {late}: its client is left alone, since the reply is whole"


@threads_1_or_4
@pytest.mark.parametrize("path", ["/closing?behind", "/written?iterable", "/written?write"])
def test_code_behind_a_reply_that_is_whole_is_interrupted_and_its_connection_goes_on(start, threads, path):
    server = start(threads)
    with server.wire(timeout=30) as wire:
        assert wire.get(path).get("/note?second").reply().body == b"whole"
        assert wire.reply().json == "second"
        server.wait_log(unaffected(f"GET {path}"))
        wire.expect_open("/who")
    found = notes(server, 3)
    assert found[0] == [path.partition("?")[2], INTERRUPTED] and found[2] == "second"
    expect_serving(server)


@pytest.mark.parametrize("name", ["", "with-a-length"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_whole_reply_that_is_on_its_way_arrives_however_late_the_application_is(start, name, version):
    server = start(2)
    with server.wire(timeout=30) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        wire.send(f"GET /closing-large?{name} HTTP/{version}\r\nHost: a\r\n\r\n")
        server.wait_log(unaffected(f"GET /closing-large?{name}"))
        assert wire.reply().body == b"l" * (24 << 20)
    assert notes(server, 2)[0] == [name, INTERRUPTED]
    expect_serving(server)


@threads_1_or_4
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_client_of_a_whole_reply_whose_application_is_stuck_sees_a_tidy_end(start, threads, version):
    server = start(threads, "--timeout-grace", "500ms")
    with server.wire(timeout=30) as wire:
        wire.send(f"GET /closing-stuck HTTP/{version}\r\nHost: a\r\n\r\n")
        # Unread, this would make of the end a reset.
        wire.get("/note?never")
        parts = []
        while data := wire.socket.recv(1 << 16):
            parts.append(data)
        wire._buffer = b"".join(parts)
        assert wire.reply().body == b"whole"
        assert wire._buffer == b""
    server.wait_log(unaffected("GET /closing-stuck"))
    server.wait_log("WORKER TIMEOUT")
    wait_until(lambda: len(server.ready()) == 2, 20, "the worker is replaced")
    assert server.get("/notes").json == []


@threads_1_or_4
def test_one_that_is_on_its_way_when_its_worker_ends_is_named_and_its_client_sees_a_reset(serve, tmp_path, threads):
    server = serve(APP, "--threads", str(threads), "--graceful-timeout", "1")
    closing = tmp_path / "closing"
    with server.wire(timeout=30) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        wire.get(f"/closing-large?{closing}")
        wait_until(closing.exists, 20, "the application has given all of it")
        assert server.stop() == 0
        name = re.escape(f"the request GET /closing-large?{closing}")
        server.wait_log(rf"requests that were cut off by the worker's end: 1 \(graceful_timeout is over\): {name}\n")
        with pytest.raises(ConnectionResetError):
            while wire.socket.recv(1 << 18):
                pass
