"""More than a worker can take: who is served all the same, who waits, who is cut off and how that shows; and a log that
stays short meanwhile."""

import array
import fcntl
import os
import re
import resource
import signal
import socket
import termios
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from harness import Server, Truncated, wait_until
from harness.processes import open_files, stat

pytestmark = pytest.mark.tapster
APP = "conformance:application"
POST = "POST /input?digest HTTP/1.1\r\nHost: a\r\n"
MEGABYTE = 1 << 20


@pytest.fixture
def diskless(serve, tmp_path):
    """A server that can keep no reply on disk."""
    folder = tmp_path / "gone"
    folder.mkdir()

    def start(*options, **settings):
        server = serve(APP, "--tmp-upload-dir", folder, *options, **settings)
        folder.rmdir()
        return server

    return start


@contextmanager
def many(server, count, *what):
    """That many connections, on each of which a request was sent."""
    with ExitStack() as stack:
        yield [stack.enter_context(server.wire(timeout=20)).get(*what) for _ in range(count)]


@contextmanager
def occupied(server, release):
    """The one worker is in the application, until `release` is made; the connection that holds it is given."""
    with server.wire(timeout=20) as wire:
        wire.get(f"/slow-stream?{release}")
        assert wire.socket.recv(1, socket.MSG_PEEK)
        yield wire


def lines(server):
    """The log's lines since the workers were ready."""
    return server.log().rpartition("Worker ready")[2].splitlines()[1:]


def sockets(server):
    """How many sockets the one worker has open."""
    return sum(name.startswith("socket:") for name in open_files(server.live()[0].pid).values())


def peak(server):
    """The most memory that the one worker ever had, in bytes."""
    status = Path(f"/proc/{server.live()[0].pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def unread(wire):
    """Whether something that was sent on a Unix socket has not been received."""
    count = array.array("i", [0])
    fcntl.ioctl(wire.socket, termios.TIOCOUTQ, count)
    return count[0] > 0


# Turns.


def test_a_turn_and_one_that_waits_for_it_may_lose_their_patience_in_the_same_moment(diskless, tmp_path):
    server = diskless("--queue-timeout", "2", "--send-timeout", "1500ms", bind=f"unix:{tmp_path}/s.sock")
    worker = server.live()[0].pid
    with server.wire(timeout=20) as greedy, server.wire(timeout=20) as patient:
        patient.expect_open()
        greedy.get("/closing?one&endless")
        server.wait_log("can't keep a reply")
        patient.get("/iterator")
        wait_until(lambda: stat(worker)["state"] == "S" and not unread(patient), what="it waits for its turn")
        os.kill(worker, signal.SIGSTOP)
        try:
            # Both deadlines pass, and the worker finds them together: the first frees the turn, the second may take it.
            time.sleep(2.2)
        finally:
            os.kill(worker, signal.SIGCONT)
        reply = patient.reply()
        assert (reply.status, reply.body) == (200, b"abcdef") or reply.status == 503
        assert server.get("/closed?one", timeout=5).text == "1"
        with pytest.raises(Truncated):
            greedy.reply()
    assert len(server.ready()) == 1, "the worker was replaced"


# Connections.


def test_a_burst_at_the_limit_waits_for_room_and_is_served(serve, tmp_path):
    server = serve(APP, "--worker-connections", "4", "--keep-alive", "30")
    release = tmp_path / "release"
    with ExitStack() as stack:
        busy = [stack.enter_context(server.wire(timeout=20)) for _ in range(3)]
        for wire in busy:
            assert wire.send(f"{POST}Content-Length: 1\r\nExpect: 100-continue\r\n\r\n").reply().status == 100
        with occupied(server, release) as fourth, many(server, 8, "/hello") as burst:
            release.touch()
            assert fourth.reply().body == b"firstsecond"
            assert [wire.reply().text for wire in burst] == ["hello"] * 8
        for wire in busy:
            assert wire.send("x").reply().status == 200


def test_at_the_end_all_that_wait_in_the_queue_are_served_however_few_may_be_held(serve, tmp_path):
    server = serve(APP, "--worker-connections", "3")
    release = tmp_path / "release"
    with occupied(server, release) as first, many(server, 20, "/hello") as queued:
        server.send(signal.SIGTERM)
        server.wait_log("SIGTERM")
        release.touch()
        assert first.reply().body == b"firstsecond"
        assert [wire.reply().text for wire in queued] == ["hello"] * 20
    assert server.wait_exit() == 0


# Replies without a length, whose end is the connection's.


def ends_by_reset(wire):
    """Whether what is left of the connection ends by a reset, not as a whole reply would."""
    try:
        while wire.socket.recv(1 << 18):
            pass
    except ConnectionResetError:
        return True
    return False


@pytest.fixture(params=[True, False], ids=["on_disk", "diskless"])
def unbounded(request, serve, diskless):
    """A server, and a path to a reply without a length: one that is finished and on disk, or one that never ends."""

    def start(*options):
        if request.param:
            return serve(APP, *options), "/big?30000000"
        return diskless(*options), "/closing?one&endless"

    return start


def test_a_reply_whose_end_is_the_connections_is_reset_where_its_client_takes_nothing(unbounded):
    server, path = unbounded("--send-timeout", "500ms")
    before = sockets(server)
    with server.wire() as wire:
        wire.send(f"GET {path} HTTP/1.0\r\n\r\n")
        assert wire.socket.recv(1, socket.MSG_PEEK)
        wait_until(lambda: sockets(server) <= before, what="it is cut off")
        assert ends_by_reset(wire), "half a reply looks like a whole one"
        # One that takes it gets it, and a tidy end.
        with server.wire() as reader:
            reader.send("GET /big?3000000 HTTP/1.0\r\n\r\n")
            parts = []
            while data := reader.socket.recv(1 << 18):
                parts.append(data)
            head, _, body = b"".join(parts).partition(b"\r\n\r\n")
            assert b"content-length" not in head.lower() and len(body) == 3_000_000


def test_such_a_reply_is_reset_at_the_workers_end_as_well(unbounded):
    server, path = unbounded("--graceful-timeout", "500ms")
    with server.wire() as wire:
        wire.send(f"GET {path} HTTP/1.0\r\n\r\n")
        assert wire.socket.recv(1, socket.MSG_PEEK)
        assert server.stop() == 0
        assert ends_by_reset(wire), "half a reply looks like a whole one"


def test_such_a_reply_is_reset_where_its_worker_is_killed(serve, tmp_path):
    server = serve(APP)
    with server.wire() as wire:
        wire.send(f"GET /slow-stream?{tmp_path / 'never'} HTTP/1.0\r\n\r\n")
        assert wire.socket.recv(1, socket.MSG_PEEK)
        os.kill(server.live()[0].pid, signal.SIGKILL)
        assert ends_by_reset(wire), "half a reply looks like a whole one"


# Replies that nobody takes.

SIZE = 4 * MEGABYTE
CUT_OFF = r"\[WARNING\] clients cut off in the last minute[^:]*: (\d+)"


@pytest.fixture
def large(tmp_path):
    """The options for an application that gives large replies away in one piece, or under /pieces in many."""
    (tmp_path / "large.py").write_text(
        "def application(environ, start_response):\n"
        f"    start_response('200 OK', [('Content-Length', '{SIZE}')])\n"
        f"    in_pieces = environ['PATH_INFO'] == '/pieces'\n"
        f"    return iter([b'x' * {SIZE // 64}] * 64) if in_pieces else [b'x' * {SIZE}]\n"
    )
    return "--pythonpath", tmp_path


@pytest.mark.parametrize("disk", ["no_folder", "little_allowed"])
def test_finished_replies_for_which_there_is_no_room_at_all_are_cut_off(serve, large, tmp_path, disk):
    folder = tmp_path / "uploads"
    folder.mkdir()
    options = [*large, "--tmp-upload-dir", folder, "--tmp-upload-limit", "1MiB"]
    # A Unix socket, whose buffers are small, so that nearly all of a reply stays with the server.
    server = serve("large:application", *options, bind=f"unix:{tmp_path}/s.sock")
    if disk == "no_folder":
        folder.rmdir()
    server.get("/")
    before, begun = peak(server), time.monotonic()
    with server.wire(timeout=20) as early:
        early.get("/")
        assert early.socket.recv(1, socket.MSG_PEEK)
        with many(server, 60, "/") as flood:
            for wire in flood:
                assert wire.socket.recv(1, socket.MSG_PEEK)
            # One that the application makes piece by piece, and whose client takes it, needs no room.
            with server.wire(timeout=20) as reader:
                assert len(reader.exchange("/pieces").body) == SIZE
            # 240 MiB, of which 64 may be kept.
            assert peak(server) < before + (64 + 3 * 4) * MEGABYTE
            assert len(early.reply().body) == SIZE
            cut = sum(is_cut(wire) for wire in flood)
    assert 60 - 64 // 4 <= cut < 60
    # All have left: there is room again.
    assert len(server.get("/").body) == SIZE
    elapsed = time.monotonic() - begun
    assert server.stop() == 0
    assert server.wait_log(CUT_OFF)[1] == str(cut)
    assert server.log().count("can't keep a reply") <= 1 + elapsed // 10
    assert len(lines(server)) < 12, lines(server)


def is_cut(wire):
    """Whether the reply, read to its end, is not whole."""
    try:
        return len(wire.reply().body) < SIZE
    except Truncated:
        return True


# The log.


def test_many_clients_that_take_nothing_are_counted_and_not_told_one_by_one(serve, tmp_path):
    server = serve(APP, "--send-timeout", "300ms", bind=f"unix:{tmp_path}/s.sock")
    before = sockets(server)
    with many(server, 100, f"/length?{MEGABYTE},{MEGABYTE}") as wires:
        for wire in wires:
            assert wire.socket.recv(1, socket.MSG_PEEK)
        wait_until(lambda: sockets(server) <= before, 20, "all are cut off")
        assert len(lines(server)) < 10, lines(server)
    assert server.stop() == 0
    assert server.wait_log(CUT_OFF)[1] == "100"
    assert len(lines(server)) < 15, lines(server)


def test_many_503s_are_counted_and_not_told_one_by_one(diskless):
    server = diskless("--queue-timeout", "1", "--send-timeout", "20s")
    with server.wire(timeout=20) as greedy, ExitStack() as stack:
        wires = [stack.enter_context(server.wire(timeout=20)) for _ in range(100)]
        for wire in wires:
            wire.expect_open()
        greedy.get("/closing?one&endless")
        server.wait_log("can't keep a reply")
        for wire in wires:
            wire.get("/hello")
        assert [wire.reply().status for wire in wires] == [503] * 100
        greedy.reset()
    assert server.stop() == 0
    assert server.wait_log(r"\[WARNING\].* refused requests .*: 100 \(busy 100\)")
    assert len(lines(server)) < 12, lines(server)


# Open files.


@contextmanager
def limited(directory, soft, hard, *options, **settings):
    """A server that may have so many open files."""
    server = Server(APP, *options, cwd=directory, **settings)
    try:
        server.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
        yield server
    except BaseException:
        server.close(quiet=True)
        raise
    server.close()


def allowed(server):
    """The soft and the hard limit of open files of the one worker."""
    limits = Path(f"/proc/{server.live()[0].pid}/limits").read_text()
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()
    return int(soft), int(hard)


def test_a_limit_of_open_files_that_does_not_go_with_worker_connections_is_told(tmp_path):
    with limited(tmp_path, 64, 64, "--worker-connections", "1000") as server:
        assert allowed(server) == (64, 64)
        assert server.get("/hello").status == 200
        server.stop()
        warnings = re.findall(r"\[WARNING\] (.*)", server.log())
    assert len(warnings) == 1, warnings
    for word in ("worker_connections = 1000", "64 open files", "ulimit -n", "LimitNOFILE="):
        assert word in warnings[0]


def test_out_of_descriptors_the_longest_idle_connection_is_closed_for_a_newcomer(tmp_path):
    with limited(tmp_path, 64, 64, "--keep-alive", "60") as server, ExitStack() as stack:
        kept = []
        for _ in range(100):
            kept.append(stack.enter_context(server.wire()))
            assert kept[-1].exchange("/hello").status == 200
        kept[0].expect_closed()
        kept[-1].expect_open()


def test_a_limit_of_open_files_that_may_be_raised_is_raised_as_far_as_needed(tmp_path):
    with limited(tmp_path, 256, 4096, "--worker-connections", "1000") as server:
        soft, hard = allowed(server)
        assert 2000 < soft < 4096 and hard == 4096
        # More than the limit that it was started with.
        with ExitStack() as stack:
            wires = [stack.enter_context(server.wire(timeout=20)) for _ in range(400)]
            for wire in wires:
                wire.expect_open()
        server.stop()
        assert "[WARNING]" not in server.log()


def test_a_limit_of_open_files_that_is_high_enough_stays(tmp_path):
    with limited(tmp_path, 3000, 4096, "--worker-connections", "1000") as server:
        assert allowed(server) == (3000, 4096)
        server.stop()
        assert "[WARNING]" not in server.log()
