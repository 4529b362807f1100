"""What hours do to a worker: memory, objects, files and threads stay as they are under all that clients and
applications do, and Python's development mode finds nothing.

`TAPSTER_SOAK=N` does everything N times as often.
"""

import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import Wire, wait_until
from harness.crowd import FILE, MEGABYTE, let_in
from harness.processes import open_files

pytestmark = pytest.mark.tapster
TIMES = int(os.environ.get("TAPSTER_SOAK", "1"))
threads_or_not = pytest.mark.parametrize("threads", [1, 4])

#: What the server makes for requests, by kind: how many of it each thread may have ready for the next one, and how many there
#: are besides (of wsgi.errors, or for the count itself). Of the functions in environ there are two: one stands there when the
#: request is over.
OURS = {
    "function start_response": (1, 0),
    "function write": (1, 2),
    "function early_hints": (2, 0),
    "function client_disconnected": (2, 0),
    "FileWrapper": (0, 0),
    "BytesIO": (0, 1),
    "BufferedReader": (0, 0),
}

#: What the log may say while the application does what it does.
EXPECTED = re.compile(
    r"\[INFO\]"
    r"|\[ERROR\] Error handling request (GET|HEAD) /(fails|fails_later|starts_twice)$"
    r"|\[ERROR\] Error handling request GET /yields_text: the application's body must consist of bytes, not str$"
    r"|\[ERROR\] Error in close\(\) after request GET /fails_in_close$"
    r"|\[WARNING\] refused requests in the last minute: \d+ \(((request_line|host_repeated) \d+(, )?)+\); log_level = "
    r"|ERROR in app: Exception on /flask/fail \[GET\]$"
    r"|^(RuntimeError|AssertionError|KeyError): .*(soak:|start_response\(\) was called a second time)"
)
#: How the lines of a traceback begin.
CONTINUED = ("Traceback (most recent call last):", "  ")


@pytest.fixture
def start(serve, tmp_path):
    """Starts the application with so many threads, and tells it where its file is."""

    def start(threads, *options):
        file = tmp_path / "file"
        file.write_bytes(FILE)
        # What threads keep of their freed memory (tcache) counts as used, and how much that is differs.
        env = {"SOAK_FILE": str(file), "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
        return serve("soak:application", "--threads", str(threads), *options, env=env)

    return start


def counted(server):
    """What the worker finds in its own interpreter."""
    return server.get("/counted", timeout=60).json


def kinds_of_files(server):
    """How many there are of each kind of file that the worker has open."""
    targets = open_files(server.live()[0].pid).values()
    return Counter(re.sub(r":\[\d+\]", "", target) for target in targets)


def memory(server):
    """What the worker has in memory, in bytes, less the files that it shares with whoever else maps them."""
    rollup = Path(f"/proc/{server.live()[0].pid}/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous:\s+(\d+) kB", rollup, re.MULTILINE)[1]) << 10


def tasks(server):
    """The worker's threads, as the kernel sees them."""
    return len(os.listdir(f"/proc/{server.live()[0].pid}/task"))


def fill_spares(server, gate, threads):
    """Has the worker lend all memory that it keeps ready for reading at once, and get it back: how much it had is chance."""
    with server.wire() as other:
        # Where all threads are busy, new connections wait.
        assert other.exchange("/hello").status == 200
        with gate.filled(server, threads) as wires:
            assert other.send(b"nothing\r\n\r\n").reply().status == 400
            gate.open()
            assert all(wire.reply().body == b"stayed" for wire in wires)


def settled(server, files):
    """What is left of the worker's work once its clients are gone: what it counts itself, and its memory."""
    sockets = files["socket"]
    wait_until(lambda: kinds_of_files(server)["socket"] <= sockets, 30, lambda: f"sockets: {kinds_of_files(server)}")
    found = counted(server)
    # What cycles have kept open is closed by the count's own collection.
    wait_until(lambda: kinds_of_files(server) == files, 10, lambda: f"{kinds_of_files(server)} is not {files}")
    return found, memory(server)


def grown(before, after):
    """The kinds, but for the server's own, of which there are more than before, and how many more."""
    more = Counter(after["objects"]) - Counter(before["objects"])
    return {kind: number for kind, number in more.items() if kind not in OURS}


def expect_none_of_ours(first, last, threads):
    """No more of the server's own objects than each thread keeps for its next request, and no request's context."""
    objects = last["objects"]
    for kind, (each, besides) in OURS.items():
        assert objects.get(kind, 0) <= each * threads + besides, f"{objects[kind]} of {kind}"
    assert objects["Context"] <= first["objects"]["Context"]
    assert last["garbage"] == 0
    assert not last["leaked"], "context variables of other requests were seen"


def unexpected(log):
    """Lines of the log that the application's own mistakes do not explain."""
    lines = [re.sub(r"^\[[^]]*\] \[\d+\] ", "", line) for line in log.splitlines() if line.strip(" ^~")]
    return [line for line in lines if not line.startswith(CONTINUED) and not EXPECTED.search(line)]


@threads_or_not
def test_nothing_is_left_of_thousands_of_mixed_requests_and_development_mode_finds_nothing(start, make_gate, threads):
    server = start(threads, "--env", "PYTHONDEVMODE=1", "--env", "PYTHONWARNINGS=default")
    files = kinds_of_files(server)
    first, worker, seed = counted(server), server.live()[0].pid, os.urandom(4).hex()
    # So that caches are full and each thread has had its turn.
    let_in(server.address, 1, f"{seed}-first")
    settled(server, files)
    running = tasks(server)
    thirds, requests = [], 0
    for third in range(3):
        requests += let_in(server.address, 2 * TIMES, f"{seed}-{third}")
        fill_spares(server, make_gate(f"gate-{third}"), threads)
        thirds.append(settled(server, files))
        assert tasks(server) == running
    (_, _), (second, memory_then), (last, memory_now) = thirds
    assert last["dev_mode"] and last["threads"] == second["threads"]
    expect_none_of_ours(first, last, threads)
    # One of a kind for each of the rarest requests would be 16 a round. Frameworks keep a few things at their leisure.
    more = {kind: number for kind, number in grown(second, last).items() if number > 15 * TIMES}
    assert not more, f"more than a third earlier, after {requests} requests: {more}"
    # Blocks are Python's own of at most 512 bytes: some hundred come and go with frameworks' caches.
    assert last["blocks"] - second["blocks"] < 1000, (second["blocks"], last["blocks"])
    # All that malloc() gave out, Rust's included. Eight bytes a request are less than its smallest piece; frameworks' caches
    # grow by some thousand.
    allocated = (second["allocated"], last["allocated"])
    assert allocated[1] - allocated[0] < 8 * requests // 3 + 10_000, allocated
    # The allocators' own holes, of some megabytes after long bodies in several threads.
    assert memory_now - memory_then < 16 * MEGABYTE, (memory_then, memory_now)
    assert server.worker_pids() == {worker}
    strange = unexpected(server.log())
    assert not strange, "\n".join(strange[:20])


def pipeline(address, count, at_once=500):
    """That many requests on one connection, many in each packet, whose replies are as long as the first."""
    request, reply = b"GET /hello HTTP/1.1\r\nHost: soak.example\r\n\r\n", b"\r\n\r\nhello"
    with Wire(address, timeout=60) as wire:
        wire.send(request)
        length = len(wire.socket.recv(4096))
        taken = memoryview(bytearray(at_once * length))
        for _ in range(count // at_once):
            wire.send(request * at_once)
            place = 0
            while place < len(taken):
                read = wire.socket.recv_into(taken[place:])
                assert read, f"closed after {place} of {len(taken)} bytes"
                place += read
            whole = taken.obj
            assert whole.count(b"HTTP/1.1 200 OK\r\n") == whole.count(reply) == at_once, whole[:300]


@threads_or_not
def test_a_million_requests_leave_the_worker_as_it_was(start, threads):
    server = start(threads, "--keep-alive-requests", "0")
    files, first = kinds_of_files(server), counted(server)

    def send(count):
        with ThreadPoolExecutor(4) as clients:
            list(clients.map(lambda _: pipeline(server.address, count // 4), range(4)))
        return settled(server, files)

    then, memory_then = send(200_000)
    running = tasks(server)
    now, memory_now = send(800_000 * TIMES)
    expect_none_of_ours(first, now, threads)
    assert not grown(then, now)
    # A block for each request would be 800,000; the count itself makes some.
    assert now["blocks"] - then["blocks"] < 500, (then["blocks"], now["blocks"])
    # Half a byte for each request: the buffers of a thread that has its first turn. malloc()'s smallest piece is 24.
    assert now["allocated"] - then["allocated"] < 400_000, (then["allocated"], now["allocated"])
    assert memory_now - memory_then < 2 * MEGABYTE, (memory_then, memory_now)
    assert tasks(server) == running
    strange = unexpected(server.log())
    assert not strange, "\n".join(strange[:20])
