"""Deadlines that no client can stretch: for heads, bodies, idle connections, replies that it does not take, the end.

What a server says when one is missed stands in the conformance table; here it is how they count, and whom they spare.
"""

import re
import select
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import Load, Truncated, wait_until
from harness.processes import open_files
from harness.waiting import always

pytestmark = pytest.mark.tapster
APP = "conformance:application"
HEAD = "GET /hello HTTP/1.1\r\nHost: a\r\n"
POST = "POST /input?digest HTTP/1.1\r\nHost: a\r\n"
MEGABYTE = 1 << 20
#: The client header timeout of `server`, in seconds.
HEADER = 0.5


@pytest.fixture(scope="module")
def server(serve_module):
    """One worker that waits only half a second for a head, and long for everything else."""
    return serve_module(APP, "--client-header-timeout", f"{HEADER}s", "--keep-alive", "30")


@contextmanager
def dribbling(*wires, piece=b"x", pause=0.03):
    """Sends a small piece again and again on each connection, until the end or until the server has closed it."""
    stop = threading.Event()

    def dribble():
        left = list(wires)
        while left and not stop.wait(pause):
            for wire in list(left):
                try:
                    wire.socket.send(piece)
                except OSError:
                    left.remove(wire)

    thread = threading.Thread(target=dribble)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def lasting(seconds):
    """Asserts that what happens within takes at least so long. There is no upper bound but the connection's timeout."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert took > seconds - 0.01, f"over after {took} s already"


def refused_as_late(wire):
    """Reads a 408 and a tidy end."""
    reply = wire.reply()
    assert (reply.status, reply.header("connection")) == (408, "close"), reply
    ends_tidily(wire)


def ends_tidily(wire):
    """Asserts that the connection ends here, and not by a reset."""
    assert wire.socket.recv(1) == b""
    wire.expect_closed()


def answered(wire):
    """Whether something can be read from the connection, if only its end."""
    return bool(select.select([wire.socket], [], [], 0)[0])


def sockets(server):
    """How many sockets the one worker has open."""
    return sum(name.startswith("socket:") for name in open_files(server.live()[0].pid).values())


def wait_header_timeout(server):
    """Returns when a connection that was opened now has been closed for its silence."""
    with server.wire() as clock:
        clock.expect_closed()


# Heads.


def test_a_new_connection_that_stays_silent_is_closed_without_a_reply(server):
    with lasting(HEADER), server.wire() as wire:
        wire.expect_closed()


def test_half_a_head_gets_a_408_when_its_time_is_over_and_not_before(server):
    with lasting(HEADER), server.wire() as wire:
        wire.send(HEAD)
        refused_as_late(wire)


def test_a_head_that_grows_byte_by_byte_gets_no_more_time(server):
    with server.wire() as wire:
        wire.send(HEAD + "X-Slow: ")
        with dribbling(wire):
            assert wire.reply().status == 408


def test_a_second_requests_head_has_its_own_time_from_its_first_byte(server):
    with server.wire() as wire:
        wire.expect_open()
        # Longer idle than a head may take, which is the business of keep_alive.
        wait_header_timeout(server)
        wire.expect_open()
        with lasting(HEADER):
            wire.send(HEAD)
            refused_as_late(wire)


def test_half_a_head_behind_a_request_has_its_time_too(server):
    with server.wire() as wire:
        with lasting(HEADER):
            wire.send(HEAD + "\r\n" + HEAD + "X-Slow: ")
            with dribbling(wire):
                assert [wire.reply().status, wire.reply().status] == [200, 408]


def test_a_head_that_ends_just_in_time_is_served_and_its_deadline_forgotten(server):
    with server.wire() as wire:
        wire.send(HEAD)
        server.get("/hello")
        assert wire.send("\r\n").reply().status == 200
        wait_header_timeout(server)
        wire.expect_open()


def test_those_who_miss_their_deadline_hold_up_nobody(server):
    slow = [server.wire(timeout=20) for _ in range(60)]
    for number, wire in enumerate(slow):
        wire.send("\r\n" if number % 3 else HEAD + "X-Slow: ")
    with dribbling(*slow[::3]), Load(server.address, "/hello", connections=2) as load:
        load.wait_answered(50)
        for wire in slow:
            assert wire.reply().status == 408
            wire.close()
        load.wait_answered(50)
    assert not load.lost
    assert set(load.statuses) == {200}


# Bodies.


def test_a_body_may_take_longer_than_its_silence_may_last(serve):
    server = serve(APP, "--client-body-timeout", "1500ms", "--client-header-timeout", "1s")
    block, times = b"x" * 5000, 40
    with server.wire() as plain, server.wire() as chunked, lasting(3):
        plain.send(f"{POST}Content-Length: {len(block) * times}\r\n\r\n")
        chunked.send(f"{POST}Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(times):
            plain.send(block)
            chunked.send(b"%x\r\n%b\r\n" % (len(block), block))
            time.sleep(0.08)
        chunked.send("0\r\n\r\n")
        assert (plain.reply().status, chunked.reply().status) == (200, 200)
        plain.expect_open()
        chunked.expect_open()


def test_a_client_that_expects_100_and_sends_no_body_gets_408(serve):
    server = serve(APP, "--client-body-timeout", "300ms")
    with server.wire() as wire, lasting(0.3):
        wire.send(f"{POST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert wire.reply().status == 100
        refused_as_late(wire)


@pytest.mark.parametrize("head", ["Content-Length: 9000000", "Transfer-Encoding: chunked"], ids=["length", "chunked"])
def test_a_body_that_only_dribbles_is_refused_for_its_rate(serve, head):
    server = serve(APP, "--client-body-timeout", "1s", "--client-body-min-rate", "3000")
    start = "100000\r\n" if "chunked" in head else ""
    with server.wire() as slow, server.wire() as faster, lasting(1):
        slow.send(f"{POST}{head}\r\n\r\n{start}")
        faster.send(f"{POST}{head}\r\n\r\n{start}")
        # 330 bytes a second are too few, 33 000 are not.
        with dribbling(slow, piece=b"x" * 10), dribbling(faster, piece=b"x" * 1000):
            assert slow.reply().status == 408
            always(lambda: not answered(faster), 1.5, "a body that comes fast enough is refused")
    assert server.stop() == 0
    server.wait_log(r"\[WARNING\].* refused requests .*: 1 \(body_rate 1\)")


def test_without_a_minimum_rate_a_body_may_dribble_for_as_long_as_its_total(serve):
    options = ["--client-body-timeout", "1s", "--client-body-min-rate", "0", "--client-body-total-timeout", "2500ms"]
    server = serve(APP, *options)
    with server.wire() as wire, lasting(2.5):
        wire.send(f"{POST}Content-Length: 100000\r\n\r\n")
        with dribbling(wire):
            assert wire.reply().status == 408
    assert server.stop() == 0
    server.wait_log(r"\(body_timeout 1\)")


def test_the_total_time_counts_for_a_fast_client_as_well(serve):
    server = serve(APP, "--client-body-total-timeout", "700ms", "--limit-request-body", "0")
    with server.wire() as wire, lasting(0.7):
        wire.send(f"{POST}Transfer-Encoding: chunked\r\n\r\n")
        with dribbling(wire, piece=b"1000\r\n" + b"x" * 4096 + b"\r\n", pause=0.01):
            assert wire.reply().status == 408


def test_a_total_of_0_is_no_limit(serve):
    options = ["--client-body-timeout", "1s", "--client-body-min-rate", "0", "--client-body-total-timeout", "0"]
    server = serve(APP, *options)
    with server.wire() as wire, lasting(2):
        wire.send(f"{POST}Content-Length: 41\r\n\r\n")
        for _ in range(41):
            wire.send("x")
            time.sleep(0.05)
        assert wire.reply().status == 200


# Idle connections.


def test_an_idle_connection_is_closed_after_keep_alive_and_not_before(serve):
    server = serve(APP, "--keep-alive", "700ms", "--client-header-timeout", "200ms")
    with server.wire() as wire:
        wire.expect_open()
        with lasting(0.6):
            ends_tidily(wire)


@pytest.mark.parametrize("path", ["/hello", "/big?3000000", "/length?3000000,3000000", "/status?204+Gone"])
def test_the_last_reply_of_a_connection_says_so_is_whole_and_is_followed_by_the_end(serve, path):
    server = serve(APP, "--keep-alive-requests", "3")
    with server.wire() as wire:
        for count in (1, 2, 3):
            reply = wire.exchange(path)
            assert reply.header("connection") == ("close" if count == 3 else None)
            assert "?3000000" not in path or len(reply.body) == 3_000_000
        ends_tidily(wire)


def test_what_is_pipelined_behind_the_last_request_does_not_cost_the_last_reply(serve):
    server = serve(APP, "--keep-alive-requests", "3", "--lingering-timeout", "20s")
    with server.wire() as wire:
        for _ in range(2000):
            wire.get("/length?100,100")
        assert [len(wire.reply().body) for _ in range(3)] == [100, 100, 100]
        ends_tidily(wire)


def test_without_a_limit_of_requests_a_connection_serves_on(serve):
    server = serve(APP, "--keep-alive-requests", "0")
    with server.wire() as wire:
        assert all(wire.exchange("/hello").header("connection") is None for _ in range(200))


# Replies.


def test_a_client_that_takes_nothing_of_a_finished_reply_is_cut_off(serve):
    server = serve(APP, "--send-timeout", "500ms")
    before = sockets(server)
    with server.wire() as wire:
        wire.get(f"/length?{30 * MEGABYTE},{30 * MEGABYTE}")
        wait_until(lambda: sockets(server) > before, what="the connection is accepted")
        assert server.get("/hello").status == 200
        wait_until(lambda: sockets(server) <= before, what="the connection is given up")
        with pytest.raises(Truncated):
            wire.reply()


@pytest.fixture
def diskless(serve, tmp_path):
    """A server that can keep no reply on disk, so that its application waits for its client, but not for long."""
    folder = tmp_path / "gone"
    folder.mkdir()

    def start(app, *options):
        server = serve(app, "--send-timeout", "500ms", "--tmp-upload-dir", folder, *options)
        folder.rmdir()
        return server

    return start


def test_a_client_that_takes_nothing_is_cut_off_while_the_application_iterates(diskless):
    server = diskless(APP)
    with server.wire() as wire, server.wire() as other:
        other.expect_open()
        wire.get("/closing?endless-one&endless")
        server.wait_log("took nothing of its reply")
        assert other.exchange("/closed?endless-one").text == "1"
        with pytest.raises(Truncated):
            wire.reply()


@pytest.mark.parametrize("leaves", [False, True], ids=["takes_nothing", "leaves"])
def test_what_is_written_for_a_client_that_is_gone_is_not_kept(diskless, tmp_path, leaves):
    (tmp_path / "writes.py").write_text(
        "def application(environ, start_response):\n"
        "    write = start_response('200 OK', [])\n"
        "    for _ in range(4000 if environ['PATH_INFO'] == '/write' else 0):\n"
        "        write(b'x' * 65536)\n"
        "    return [b'done']\n"
    )
    server = diskless("writes:application", "--pythonpath", tmp_path)
    with server.wire() as wire:
        wire.get("/write")
        assert wire.socket.recv(1)
        if leaves:
            wire.reset()
        assert server.get("/").text == "done"
        assert len(server.ready()) == 1, "the worker has died"
        status = Path(f"/proc/{server.live()[0].pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
        assert peak < 80 << 10, f"{peak} kB at the most"


def test_a_client_that_reads_slowly_but_steadily_gets_all(serve, tmp_path):
    # A Unix socket, whose buffers are small, so that what the client takes is soon seen by the server.
    server = serve(APP, "--send-timeout", "1500ms", bind=f"unix:{tmp_path}/s.sock")
    size = 3 * MEGABYTE
    with server.wire() as wire, lasting(3):
        wire.get(f"/length?{size},{size}")
        taken = 0
        while taken < size:
            data = wire.socket.recv(64 << 10)
            assert data, f"cut off after {taken} bytes"
            taken += len(data)
            time.sleep(0.08)


# The end.


@pytest.mark.parametrize("head", ["Content-Length: 104857600", "Transfer-Encoding: chunked"], ids=["length", "chunked"])
def test_a_client_that_pushes_a_hundred_megabytes_can_read_why_they_are_refused(serve, head):
    server = serve(APP, "--limit-request-body", "1MiB", "--lingering-timeout", "20s")
    block = b"x" * MEGABYTE
    block = b"%x\r\n%b\r\n" % (len(block), block) if "chunked" in head else block
    before = server.get("/pid").text
    with server.wire(timeout=20) as wire:
        wire.send(f"{POST}{head}\r\n\r\n")
        for _ in range(100):
            wire.send(block)
        reply = wire.reply()
        assert (reply.status, reply.header("connection")) == (413, "close")
        wire.finish_sending()
        ends_tidily(wire)
    assert server.get("/pid").text == before


def test_after_the_last_reply_what_comes_is_read_no_longer_than_lingering_timeout(serve):
    server = serve(APP, "--limit-request-body", "10", "--lingering-timeout", "500ms")
    with server.wire() as wire, lasting(0.5):
        wire.send(f"{POST}Content-Length: 1000000000\r\n\r\n")
        assert wire.reply().status == 413

        def refused():
            try:
                wire.send(b"x" * 1000)
            except OSError:
                return True
            return False

        wait_until(refused, what="the server reads no more")


def test_a_client_that_never_closes_does_not_keep_its_refused_connection(serve):
    server = serve(APP, "--lingering-timeout", "300ms")
    before = sockets(server)
    wires = [server.wire() for _ in range(20)]
    for wire in wires:
        assert wire.send("BAD\r\n\r\n").reply().status == 400
        ends_tidily(wire)
    wait_until(lambda: sockets(server) <= before, what="all are closed")
    for wire in wires:
        wire.close()


# The PROXY protocol.


@pytest.fixture(scope="module")
def proxied(serve_module):
    """One worker to which connections begin with a PROXY header, soon."""
    options = ["--proxy-protocol", "auto", "--client-header-timeout", "400ms", "--keep-alive", "30"]
    return serve_module(APP, *options)


PROXY = "PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"
PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11\0\x0c" + bytes(8) + b"\0\1\0\2"


def test_a_proxy_that_never_sends_its_header_is_closed_without_a_reply(proxied):
    with lasting(0.4), proxied.wire() as wire:
        wire.expect_closed()


@pytest.mark.parametrize("header", [PROXY.encode(), PROXY_V2], ids=["v1", "v2"])
def test_half_a_proxy_header_gets_a_408(proxied, header):
    with lasting(0.4), proxied.wire() as half, proxied.wire() as slow:
        half.send(header[:-2])
        slow.send(b"PROXY UNKNOWN " if header.startswith(b"PROXY") else header[:14] + b"\1\0")
        with dribbling(slow, pause=0.02):
            refused_as_late(half)
            assert slow.reply().status == 408


@pytest.mark.parametrize("header", [PROXY.encode(), PROXY_V2], ids=["v1", "v2"])
def test_behind_a_proxy_header_a_request_has_the_usual_deadlines(proxied, header):
    with proxied.wire() as silent, proxied.wire() as half, proxied.wire() as good:
        for wire in (silent, half, good):
            wire.send(header)
        half.send(HEAD)
        good.expect_open()
        refused_as_late(half)
        silent.expect_closed()
        good.expect_open()
