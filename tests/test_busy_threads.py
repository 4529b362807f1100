"""While all threads of a worker are busy, be it that they wait, compute, or hold the interpreter's lock in C code, everything
that needs no thread goes on: bytes in and out, refusals, deadlines, orders."""

import signal
import time
from contextlib import ExitStack, contextmanager

import pytest

from harness import wait_until
from harness.gate import HOW, unread
from harness.processes import open_files
from harness.rest import wait_at_rest

pytestmark = pytest.mark.tapster
MEGABYTE = 1 << 20


@pytest.fixture(params=[(how, threads) for how in HOW for threads in (1, 4)], ids=lambda each: f"{each[0]}-{each[1]}")
def start(request, serve, gate, tmp_path):
    """Starts a server with so many threads; given with it is what makes all of them busy for the length of a block."""
    how, threads = request.param

    def start(*options, **settings):
        options = ["--threads", str(threads), *options]
        server = serve("crowd:application", *options, bind=f"unix:{tmp_path}/s.sock", **settings)
        return server, lambda: all_busy(server, gate, threads, how)

    return start


@contextmanager
def all_busy(server, gate, threads, how):
    """No thread is free within, and none has become so at the end; then each finishes its request."""
    with gate.filled(server, threads, how) as wires:
        yield wires
        for wire in wires:
            assert not readable(wire), "a thread was free"
        gate.open()
        assert [wire.reply().status for wire in wires] == [200] * threads


def readable(wire):
    """Whether there is something to read."""
    wire.socket.setblocking(False)
    try:
        return bool(wire.socket.recv(1, 2))
    except BlockingIOError:
        return False
    finally:
        wire.socket.settimeout(30)


@contextmanager
def accepted(server, count):
    """That many connections that the server has accepted, and that are idle."""
    with ExitStack() as stack:
        wires = [stack.enter_context(server.wire(timeout=30)) for _ in range(count)]
        for wire in wires:
            wire.expect_open("/who")
        yield wires


def sockets(server):
    """How many sockets the one worker has open."""
    return sum(name.startswith("socket:") for name in open_files(server.live()[0].pid).values())


def test_heads_are_read_and_bad_ones_refused(start):
    server, busy = start("--keep-alive", "60")
    with accepted(server, 3) as (bad, long, halves):
        with busy():
            assert bad.send("BAD\r\n\r\n").reply().status == 400
            assert long.send(f"GET /{'x' * 5000} HTTP/1.1\r\n\r\n").reply().status == 414
            halves.send("GET /who HTTP/1.1\r\nHost: a\r\n")
            wait_until(lambda: not unread(halves), what="half a head is read")
            assert halves.send("Bad Name: x\r\n\r\n").reply().status == 400


def test_a_head_that_does_not_come_gets_its_408(start):
    server, busy = start("--keep-alive", "60", "--client-header-timeout", "300ms")
    with accepted(server, 1) as (wire,), busy():
        assert wire.send("GET /who HT").reply().status == 408
        wire.expect_closed()


def test_an_idle_connection_is_closed_after_keep_alive(start):
    server, busy = start("--keep-alive", "500ms")
    with accepted(server, 1) as (wire,), busy():
        wire.expect_closed()


def test_bodies_arrive_and_their_requests_follow(start):
    server, busy = start("--keep-alive", "60")
    size = 3 * MEGABYTE
    with accepted(server, 2) as (plain, chunked):
        with busy():
            plain.send(f"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").send(b"x" * size)
            chunked.send("POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(30):
                chunked.send(b"19000\r\n" + b"y" * 0x19000 + b"\r\n")
            chunked.send("0\r\n\r\n")
            wait_until(lambda: not unread(plain) and not unread(chunked), what="all is read")
        assert plain.reply().json[0] == size
        assert chunked.reply().json[0] == 30 * 0x19000


def test_a_client_that_is_slow_gets_the_rest_of_its_reply(start):
    server, busy = start()
    size = 6 * MEGABYTE
    expected = server.get(f"/give?{size},1").body
    assert len(expected) == size
    with server.wire(timeout=30) as known, server.wire(timeout=30) as unknown:
        known.get(f"/give?{size},1")
        unknown.get(f"/give?{size},2")
        for wire in (known, unknown):
            assert wire.socket.recv(1, 2)
        wait_until(lambda: server.get("/notes").json, what="the application has given all of both")
        wait_at_rest(server.live()[0].pid)
        with busy():
            assert known.reply().body == expected
            assert len(unknown.reply().body) == size


@pytest.mark.parametrize("how", HOW)
def test_a_client_that_is_slow_gets_what_there_is_while_its_reply_goes_on_being_made(serve, gate, tmp_path, how):
    server = serve("crowd:application", bind=f"unix:{tmp_path}/s.sock")
    size = 6 * MEGABYTE
    with server.wire(timeout=30) as wire:
        wire.get(f"/parts?{gate.path},{how},{size}")
        gate.wait_inside()
        taken = b""
        while len(taken) < size:
            data = wire.socket.recv(1 << 18)
            assert data, "cut off"
            taken += data
        assert len(gate.inside()) == 1 and not readable(wire)
        gate.open()
        wire._buffer = taken
        assert wire.reply().body == b"x" * size + b"MainThread"


@pytest.mark.parametrize("how", HOW)
def test_a_client_that_is_fast_gets_all_there_is_while_its_reply_goes_on_being_made(serve, gate, how):
    # Over TCP, whose buffers take more at once than is sent to one client before others have their turn.
    server = serve("crowd:application")
    size = 64 * MEGABYTE
    with server.wire(timeout=30) as wire:
        wire.get(f"/parts?{gate.path},{how},{size}")
        gate.wait_inside()
        left = size
        while left > 0:
            data = wire.socket.recv(4 * MEGABYTE)
            assert data, "cut off"
            left -= len(data)
        assert len(gate.inside()) == 1
        gate.open()
        wire.socket.recv(1000)


def test_a_request_that_waits_longer_than_queue_timeout_gets_a_503_and_is_not_run(start):
    server, busy = start("--keep-alive", "60", "--queue-timeout", "300ms")
    with accepted(server, 2) as (plain, json):
        with busy():
            plain.get("/note?late")
            json.get("/note?late", "Accept: application/json")
            reply = plain.reply()
            assert (reply.status, reply.header("connection"), reply.header("retry-after")) == (503, "close", "5")
            plain.expect_closed()
            assert json.reply().json["status"] == 503
        server.wait_log(r"\[WARNING\].* longer than queue_timeout .* 503; more threads .* would help")
        assert server.get("/notes").json == []


def test_one_that_sends_late_does_not_hide_those_behind_it_that_have_waited_too_long(serve, gate):
    # Over TCP, where each connection tells when something came on it.
    server = serve("crowd:application", "--queue-timeout", "2")
    with ExitStack() as stack:
        with gate.filled(server, 1):
            first = stack.enter_context(server.wire(timeout=30))
            behind = [stack.enter_context(server.wire(timeout=30)).get("/note?late") for _ in range(3)]
            wait = time.monotonic() + 2.5
            wait_until(lambda: time.monotonic() > wait)
            first.get("/who")
        assert first.reply().status == 200
        assert [wire.reply().status for wire in behind] == [503] * 3
    assert server.get("/notes").json == []


def test_new_connections_wait_in_the_sockets_queue(start):
    server, busy = start("--keep-alive", "60")
    with accepted(server, 1) as (old,), ExitStack() as stack:
        with busy():
            before = sockets(server)
            waiting = [stack.enter_context(server.wire(timeout=30)).get("/who") for _ in range(5)]
            # Something else is noticed, and these are not.
            assert old.send("BAD\r\n\r\n").reply().status == 400
            assert sockets(server) <= before and all(unread(wire) for wire in waiting)
        assert [wire.reply().status for wire in waiting] == [200] * 5


def test_a_stop_is_heard_and_all_that_runs_is_finished(start):
    server, busy = start("--keep-alive", "60")
    with accepted(server, 1) as (idle,), busy():
        server.send(signal.SIGTERM)
        # An idle connection is given up by a worker that retires.
        idle.expect_closed()
    assert server.wait_exit() == 0


def test_a_reload_replaces_the_worker_and_all_that_runs_is_finished(start):
    server, busy = start()
    old = server.live()[0].pid
    with busy() as wires:
        server.send(signal.SIGHUP)
        server.wait_log(rf"Worker retires .*pid: {old}")
        assert server.get("/who").json["pid"] != old
    assert len(wires) and "cut off" not in server.log()
    wait_until(lambda: server.worker_pids() and old not in server.worker_pids(), what="the old worker is gone")


@pytest.mark.parametrize("how", HOW)
def test_new_connections_go_to_a_sibling_that_has_a_free_thread(serve, gate, how):
    server = serve("crowd:application", "--threads", "2", "--keep-alive", "60", workers=2)
    with ExitStack() as stack:
        mine, pid = [], None
        while len(mine) < 2:
            wire = stack.enter_context(server.wire(timeout=30))
            served = wire.exchange("/who").json["pid"]
            if pid in (None, served):
                pid = served
                mine.append(wire)
        for number, wire in enumerate(mine):
            wire.get(f"/stay?{gate.path},{how}")
            gate.wait_inside(1 if how == "lock" else number + 1)
        with accepted(server, 1):
            assert {server.get("/who", timeout=5).json["pid"] for _ in range(30)} == server.worker_pids() - {pid}
        gate.open()
        assert [wire.reply().json["pid"] for wire in mine] == [pid] * 2
