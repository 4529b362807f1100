"""What does not count for `timeout`: blocks that come now and then, waits for a thread, and clients that are slow to take their
replies, even where the application has to wait for them."""

import socket
import time

import pytest

from harness import Truncated, wait_until
from harness.late import APP, starter

pytestmark = pytest.mark.tapster
threads_1_or_4 = pytest.mark.parametrize("threads", [1, 4])


@pytest.fixture
def start(serve):
    """Starts a server with so many threads, in which a request may take a second, and no worker is replaced for it."""
    return starter(serve)


def expect_in_time(server):
    """No request was late, and the first worker serves."""
    assert "longer than timeout" not in server.log()
    assert server.get("/who").status == 200 and len(server.ready()) == 1


@threads_1_or_4
def test_a_reply_that_gives_a_block_now_and_then_may_take_as_long_as_it_likes(start, threads):
    server = start(threads, "--timeout", "1500ms")
    assert server.get("/ticks?12,0.3", timeout=30).body == b"tick," * 12
    expect_in_time(server)


def test_without_a_timeout_nothing_is_interrupted(serve):
    server = serve(APP, "--threads", "2", "--timeout", "0", "--timeout-grace", "0")
    assert server.get("/ticks?1,2.5").body == b"tick,"
    assert "TIMEOUT" not in server.log().upper()


def test_the_wait_for_a_thread_does_not_count(start):
    server = start(1, "--timeout", "2")
    with server.wire(timeout=30) as wire:
        for _ in range(5):
            wire.get("/nap?0.7")
        assert [wire.reply().status for _ in range(5)] == [200] * 5


def test_an_idle_thread_and_an_idle_connection_do_not_count(start):
    server = start(2, "--timeout", "300ms", "--keep-alive", "60")
    with server.wire() as wire:
        wire.expect_open("/who")
        wait = time.monotonic() + 1.5
        wait_until(lambda: time.monotonic() > wait)
        wire.expect_open("/who")
    expect_in_time(server)


def test_a_client_that_is_slow_to_take_its_reply_does_not_count(start):
    server = start(1)
    with server.wire(timeout=30) as wire:
        wire.get("/pushed?20,1048576")
        assert wire.socket.recv(1, socket.MSG_PEEK)
        # Nothing of it is taken for longer than the application may take.
        for _ in range(4):
            assert server.get("/nap?0.5").status == 200
        assert len(wire.reply().body) == 20 << 20
    expect_in_time(server)


@pytest.fixture
def diskless(serve, tmp_path):
    """Starts a server that can keep no reply on disk."""
    folder = tmp_path / "uploads"

    def start(*options):
        folder.mkdir()
        server = serve(APP, "--tmp-upload-dir", folder, *options)
        folder.rmdir()
        return server

    return start


def test_nor_does_one_for_which_the_application_has_to_wait(diskless):
    server = diskless("--timeout", "3")
    with server.wire(timeout=30) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        wire.get(f"/pushed?1,{24 << 20}")
        server.wait_log("can't keep a reply")
        begun, taken = time.monotonic(), []
        # A little at a time, for longer than the application may take by itself.
        while time.monotonic() < begun + 4:
            taken.append(wire.socket.recv(1 << 15))
            time.sleep(0.02)
        wire._buffer = b"".join(taken)
        assert len(wire._buffer) < 16 << 20, "the client was not slow"
        assert wire.reply().body == b"p" * (24 << 20)
    expect_in_time(server)


@threads_1_or_4
def test_nor_does_one_that_takes_nothing_for_a_while_and_then_all(diskless, threads):
    server = diskless("--timeout", "1", "--threads", str(threads))
    with server.wire(timeout=30) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        wire.get(f"/pushed?1,{24 << 20}")
        server.wait_log("can't keep a reply")
        wait = time.monotonic() + 2.5
        wait_until(lambda: time.monotonic() > wait)
        assert wire.reply().body == b"p" * (24 << 20)
    expect_in_time(server)


def test_one_that_takes_nothing_for_send_timeout_is_cut_off_and_its_application_is_in_time(diskless):
    server = diskless("--timeout", "600ms", "--send-timeout", "2", "--log-level", "debug")
    with server.wire(timeout=30) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        wire.get(f"/pushed?1,{24 << 20}")
        server.wait_log("can't keep a reply")
        server.wait_log("cut off a client .*: it took nothing of its reply for send_timeout")
        with pytest.raises(Truncated):
            wire.reply()
    expect_in_time(server)


def test_an_application_whose_client_left_while_it_had_to_wait_is_in_time_for_as_long_as_others(diskless):
    server = diskless("--timeout", "1", "--timeout-grace", "60")
    with server.wire(timeout=30) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        wire.get("/closing-large?left")
        server.wait_log("can't keep a reply")
        wire.reset()
    server.wait_log(r"the request GET /closing-large\?left has been in the application .*, longer than timeout = 1s")
    server.wait_log(r"request GET /closing-large\?left was interrupted after its timeout")
    assert server.get("/who").status == 200 and len(server.ready()) == 1
