"""The harness itself: a strict client that could forgive, or a leftover that could hide, would make every test weaker."""

import os
import socket
import sys
import threading

import pytest

from harness import Server, Truncated, Wire, wait_until

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def reply_to(data, method="GET"):
    """What the strict client makes of these bytes, followed by the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            peer, _ = listener.accept()
            with peer:
                peer.sendall(data)

        thread = threading.Thread(target=answer)
        thread.start()
        with Wire(listener.getsockname(), timeout=5) as wire:
            thread.join()
            reply = wire.reply(method)
            wire.expect_closed()
            return reply


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_a_right_reply_is_read(data, body):
    assert reply_to(data).body == body


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"9\r\nabc",
    ],
)
def test_a_reply_that_ends_early_is_told_from_a_whole_one(data):
    with pytest.raises(Truncated):
        reply_to(data)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: 0\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
        b"HTTP/1.1 204 No Content\r\n\r\nbody",
        CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
        CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"0\r\n\r\nmore",
    ],
)
def test_a_wrong_reply_is_a_failure(data):
    with pytest.raises(AssertionError):
        reply_to(data)


class Leaving(Server):
    """A server that ends at SIGTERM and leaves a process in a session of its own."""

    script = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
print("started", flush=True)
time.sleep(60)
"""

    def command(self):
        """A Python script."""
        return [sys.executable, "-c", self.script]


def test_a_process_that_is_left_behind_is_found_and_ended(tmp_path):
    server = Leaving("none", cwd=tmp_path).launch()
    server.wait_log("started")
    left = server.tree() - {server.pid}
    assert len(left) == 1
    with pytest.raises(AssertionError, match="left behind"):
        server.close()
    wait_until(lambda: not server.tree(), what="it was ended")


def test_an_exit_status_that_is_not_expected_is_a_failure(tmp_path):
    server = Leaving("none", cwd=tmp_path)
    server.script = "import sys; sys.exit(7)"
    server.launch().wait_exit()
    with pytest.raises(AssertionError, match="exit status 7"):
        server.close()


@pytest.mark.xdist_group("grouped")
def test_tests_of_a_group_are_known_to_be_one_to_what_distributes_them(request):
    if os.environ.get("PYTEST_XDIST_WORKER") is None:
        pytest.skip("nothing is distributed")
    assert request.node.nodeid.endswith("@grouped"), "two tests that share a machine would run side by side"
