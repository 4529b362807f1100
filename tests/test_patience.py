"""Who waits for whom, and for how long: deadlines count from the right moment, and nobody is starved."""

import signal
import socket
import threading


import pytest

from harness import Truncated, wait_until
from harness.processes import alive, kill

pytestmark = pytest.mark.tapster


def test_keep_alive_counts_from_the_end_of_a_reply(serve):
    server = serve("ops:application", "--keep-alive", "2")
    with server.wire() as kept, server.wire() as other:
        kept.exchange("/pid")
        kept.exchange("/sleep?2.5")
        other.exchange("/pid")
        # The connection was promised, and its two seconds have only begun.
        assert kept.exchange("/pid").status == 200


def test_requests_that_wait_in_their_sockets_for_longer_than_keep_alive_are_answered(serve):
    server = serve("ops:application", "--keep-alive", "2")
    sockets = [socket.create_connection(server.address, timeout=30) for _ in range(300)]
    # The first request makes each a kept connection, the second ones together take three seconds.
    for path in (b"/pid", b"/sleep?0.01"):
        for each in sockets:
            each.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        for each in sockets:
            assert each.recv(4096).startswith(b"HTTP/1.1 200")
    for each in sockets:
        each.close()


def test_a_reply_made_slowly_is_sent_whole_to_a_client_that_reads_slowly(serve):
    server = serve("conformance:application", "--keep-alive", "1")
    size = 6_000_000
    with server.wire(timeout=20) as wire, server.wire() as other:
        wire.exchange("/hello")
        wire.get(f"/length?{size},{size}")
        assert wire.socket.recv(1, socket.MSG_PEEK)
        for _ in range(15):
            other.exchange("/sleep?0.1")
        assert len(wire.reply().body) == size


def test_a_request_that_waits_longer_than_queue_timeout_for_its_turn_gets_a_503(serve, tmp_path):
    (tmp_path / "ticks.py").write_text(
        "import time\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return tick() if environ['PATH_INFO'] == '/ticks' else [b'hello']\n"
        "def tick():\n"
        "    for _ in range(200):\n"
        "        yield b'tick'\n"
        "        time.sleep(0.1)\n"
    )
    server = serve("ticks:application", "--queue-timeout", "1", "--pythonpath", tmp_path)
    with server.wire(timeout=20) as first, server.wire(timeout=20) as second:
        assert second.exchange("/hello").status == 200
        first.get("/ticks")
        assert first.socket.recv(1)
        assert second.exchange("/hello").status == 503
        server.wait_log("got a 503")
    # The long reply's client is gone, and so is what held the others up.
    wait_until(lambda: server.get("/hello", timeout=5).status == 200, 20, "the worker serves again")


def test_a_worker_whose_interpreter_lock_is_never_given_back_is_killed(serve, tmp_path):
    (tmp_path / "holds.py").write_text(
        "import ctypes, threading\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    threading.Timer(0.2, lambda: ctypes.PyDLL(None).sleep(60)).start()\n"
        "    return [b'held']\n"
    )
    # The next worker may have its lock kept as well, and then takes that long to end.
    server = serve("holds:application", "--timeout", "1", "--graceful-timeout", "2", "--pythonpath", tmp_path)
    worker = server.live()[0].pid
    assert server.get("/").text == "held"
    # Something has to happen for the worker to notice that it can't go on.
    stop = threading.Event()

    def knock():
        while not stop.wait(0.2):
            try:
                server.get("/", timeout=1)
            except OSError:
                pass

    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        wait_until(lambda: not alive(worker), 15, "the stuck worker is gone")
    finally:
        stop.set()
        knocking.join()
    server.wait_log(f"{worker}.*timeout|timeout.*{worker}|TIMEOUT.*{worker}")


def test_an_application_that_handles_sigterm_does_not_outlive_the_arbiter(serve, tmp_path):
    (tmp_path / "deaf.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    end = time.monotonic() + 60\n"
        "    while environ['PATH_INFO'] == '/hang' and time.monotonic() < end:\n"
        "        time.sleep(1)\n"
        "    return [b'done']\n"
    )
    server = serve("deaf:application", "--graceful-timeout", "1", "--pythonpath", tmp_path)
    server.expected_exit = None
    with server.wire(timeout=20) as wire:
        wire.get("/hang")
        kill([server.pid], signal.SIGKILL)
        with pytest.raises((Truncated, ConnectionError)):
            wire.reply()
    server.wait_exit()
    wait_until(lambda: not server.tree(), 10, "nothing is left")


def test_a_turn_that_a_client_loses_by_its_deadline_goes_to_the_next_in_line(serve, tmp_path):
    (tmp_path / "endless.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return iter(lambda: b'x' * 65536, None) if environ['PATH_INFO'] == '/inf' else [b'hello']\n"
    )
    gone = tmp_path / "gone"
    gone.mkdir()
    server = serve("endless:application", "--timeout", "0", "--tmp-upload-dir", gone, "--pythonpath", tmp_path)
    gone.rmdir()
    with server.wire(timeout=20) as greedy, server.wire(timeout=20) as patient:
        assert patient.exchange("/hello").status == 200
        greedy.get("/inf")
        server.wait_log("can't keep a reply")
        patient.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        # It never reads, holds the turn, and leaves: what frees the turn must not be what serves the other.
        greedy.reset()
        assert patient.reply().status == 200
