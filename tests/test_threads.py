"""Several threads in a worker: how many requests are in the application at once, what each thread keeps for itself, who waits
and in which order."""

import random
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from harness import Truncated, wait_until
from harness.gate import unread
from harness.interpreters import INTERPRETERS
from harness.processes import halted, open_files

pytestmark = pytest.mark.tapster
APP = "crowd:application"
on_each_python = pytest.mark.parametrize("python", INTERPRETERS, ids=lambda each: each.name)


@pytest.fixture
def start(serve, tmp_path):
    """Starts a server with so many threads, on a socket that tells what has been read."""

    def start(threads, *options, **settings):
        options = ["--threads", str(threads), "--keep-alive", "60", *options]
        return serve(APP, *options, bind=f"unix:{tmp_path}/s.sock", **settings)

    return start


def connected(server, count, stack):
    """That many connections that the server has accepted."""
    wires = [stack.enter_context(server.wire(timeout=30)) for _ in range(count)]
    for wire in wires:
        wire.expect_open("/who")
    return wires


def send_in_order(wires, *targets):
    """Sends a request on each connection, the next when the last has been read."""
    for wire, target in zip(wires, targets, strict=True):
        wire.get(target)
        wait_until(lambda wire=wire: not unread(wire), 20, "the request is read")


# Who runs where.


@on_each_python
def test_as_many_requests_as_there_are_threads_run_at_once(start, python):
    python.require()
    server = start(4, interpreter=python)
    with ExitStack() as stack:
        for _ in range(3):
            wires = [stack.enter_context(server.wire(timeout=30)).get("/meet?4") for _ in range(4)]
            names = {wire.reply().json for wire in wires}
            assert names == {"MainThread", "tapster-1", "tapster-2", "tapster-3"}


def test_a_preloaded_application_has_as_many_threads_in_each_worker(serve):
    server = serve(APP, "--threads", "3", "--preload", "--keep-alive", "60", workers=2)
    with ExitStack() as stack:
        wires = {pid: [] for pid in server.worker_pids()}
        while not all(len(mine) >= 3 for mine in wires.values()):
            wire = stack.enter_context(server.wire(timeout=30))
            wires[wire.exchange("/who").json["pid"]].append(wire)
        for mine in wires.values():
            sent = [wire.get("/meet?3") for wire in mine[:3]]
            assert {wire.reply().json for wire in sent} == {"MainThread", "tapster-1", "tapster-2"}


@pytest.mark.parametrize("threads", [1, 4])
def test_one_more_than_there_are_threads_waits_until_one_is_free(start, gate, threads):
    server = start(threads)
    with ExitStack() as stack:
        more, other = connected(server, 2, stack)
        with gate.filled(server, threads) as wires:
            send_in_order([more], f"/stay?{gate.path}")
            assert other.send("BAD\r\n\r\n").reply().status == 400
            assert len(gate.inside()) == threads
            gate.let_go()
            names = gate.wait_inside(threads + 1)
            assert names[-1] in names[:-1]
            gate.open()
            assert [wire.reply().status for wire in (*wires, more)] == [200] * (threads + 1)


@pytest.mark.parametrize(("threads", "workers"), [(1, 1), (1, 2), (2, 1), (3, 2)])
def test_environ_tells_whether_there_are_several_threads_and_workers(serve, threads, workers):
    told = serve(APP, "--threads", str(threads), workers=workers).get("/who").json
    assert (told["multithread"], told["multiprocess"]) == (threads > 1, workers > 1)


def test_a_single_thread_is_the_main_one(start):
    server = start(1)
    assert {server.get("/who").json["thread"] for _ in range(20)} == {"MainThread"}


@on_each_python
def test_each_thread_keeps_its_own_state_from_request_to_request(start, python):
    python.require()
    server = start(4, interpreter=python)
    with ThreadPoolExecutor(8) as clients:
        told = [reply.json for reply in clients.map(lambda _: server.get("/local", timeout=30), range(300))]
    counts = Counter(ident for ident, _, _ in told)
    assert all(ident == kept for ident, kept, _ in told) and 1 < len(counts) <= 4, counts
    for ident, count in counts.items():
        assert sorted(each for own, _, each in told if own == ident) == list(range(1, count + 1))


def test_a_reply_is_made_and_closed_in_the_thread_of_its_call(start):
    server = start(4)
    with ThreadPoolExecutor(8) as clients:
        for reply in clients.map(lambda number: server.get(f"/blocks?{number}", timeout=30), range(100)):
            assert reply.body == b"block," * 5
    steps = server.get("/notes").json
    assert sorted(int(number) for number, *_ in steps) == list(range(100))
    assert all(len(names) == 7 and len(set(names)) == 1 for _, *names in steps), steps
    assert len({names[0] for _, *names in steps}) > 1


def test_a_reply_that_pauses_between_its_blocks_holds_up_nobody(start, gate):
    server = start(2)
    with server.wire(timeout=30) as slow:
        slow.get(f"/parts?{gate.path}")
        (name,) = gate.wait_inside()
        assert slow.socket.recv(1, 2)
        others = {server.get("/who").json["thread"] for _ in range(50)}
        assert len(others) == 1 and name not in others
        gate.open()
        assert slow.reply().text == f"first,{name}"


def test_what_one_request_writes_by_the_means_of_another_reaches_nobody(start, gate):
    server = start(2)
    with server.wire(timeout=30) as lends, server.wire(timeout=30) as borrows:
        lends.get(f"/lend?{gate.path}")
        gate.wait_inside()
        for _ in range(5):
            went = borrows.exchange("/borrow").json
            assert len(went) == 4 and all("was called from another thread" in each for each in went), went
        gate.open()
        assert lends.reply().body == b"own,own"
        lends.expect_open("/who")
        for _ in range(5):
            went = borrows.exchange("/borrow").json
            assert len(went) == 4 and "accepted" not in went, went


# Who waits.


@pytest.mark.parametrize("threads", [1, 4])
def test_who_came_first_is_served_first(start, gate, threads):
    server = start(threads)
    with ExitStack() as stack:
        wires = connected(server, 12, stack)
        with gate.filled(server, threads):
            send_in_order(wires, *(f"/note?{number}" for number in range(12)))
            gate.let_go()
            assert [wire.reply().json for wire in wires] == [str(number) for number in range(12)]
            assert wires[0].exchange("/notes").json == [str(number) for number in range(12)]


def test_above_limit_queue_a_503_is_answered_at_once_and_the_others_are_served(start, gate):
    server = start(2, "--limit-queue", "3", "--queue-timeout", "0")
    with ExitStack() as stack:
        wires = connected(server, 6, stack)
        with gate.filled(server, 2):
            send_in_order(wires[:3], *["/note?waits"] * 3)
            for wire in wires[3:]:
                reply = wire.exchange("/note?too-many")
                assert (reply.status, reply.header("connection")) == (503, "close")
                assert reply.header("retry-after") == "5"
                wire.expect_closed()
        assert [wire.reply().status for wire in wires[:3]] == [200] * 3
    assert server.get("/notes").json == ["waits"] * 3
    server.wait_log(r"\[WARNING\].* 503, since limit_queue requests wait")
    assert server.stop() == 0
    server.wait_log(r"refused requests .*: 3 \(queue_full 3\)")


def test_a_place_in_the_queue_that_is_left_is_free_again(start, gate):
    server = start(1, "--limit-queue", "1", "--queue-timeout", "300ms")
    with ExitStack() as stack:
        wires = connected(server, 5, stack)
        with gate.filled(server, 1):
            assert [wire.exchange("/note?late").status for wire in wires[:4]] == [503] * 4
        assert wires[4].exchange("/who").status == 200
    assert "limit_queue requests wait" not in server.log()


# Who has waited for so long that nobody waits for the reply.


def wait_long(seconds):
    """Waits until time has passed that the server counts too."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end)


@pytest.mark.parametrize("threads", [1, 4])
def test_the_wait_of_a_new_connection_to_be_accepted_counts_for_queue_timeout(serve, gate, threads):
    server = serve(APP, "--threads", str(threads), "--queue-timeout", "1500ms")
    with ExitStack() as stack:
        with gate.filled(server, threads):
            late = [stack.enter_context(server.wire(timeout=30)).get("/note?late") for _ in range(6)]
            wait_long(2)
            young = [stack.enter_context(server.wire(timeout=30)).get("/note?young") for _ in range(3)]
        for wire in late:
            reply = wire.reply()
            assert (reply.status, reply.header("connection")) == (503, "close")
            wire.expect_closed()
        assert [wire.reply().json for wire in young] == ["young"] * 3
    assert server.get("/notes").json == ["young"] * 3
    server.wait_log(r"\[WARNING\].* longer than queue_timeout .* 503")


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("bind", ["tcp", "unix"])
def test_a_client_that_left_while_it_waited_to_be_accepted_costs_no_call(serve, gate, tmp_path, threads, bind):
    server = serve(APP, "--threads", str(threads), bind=f"unix:{tmp_path}/s.sock" if bind == "unix" else None)
    with ExitStack() as stack:
        with gate.filled(server, threads):
            wires = [stack.enter_context(server.wire(timeout=30)) for _ in range(7)]
            for number, wire in enumerate(wires):
                wire.get(f"/note?{number}")
            wires[2].reset()
            # A client that has only ended its direction waits for its reply.
            wires[4].finish_sending()
            wires[6].reset()
            wait_long(1.2)
        served = (0, 1, 3, 4, 5)
        assert [wires[number].reply().json for number in served] == [str(number) for number in served]
    assert sorted(server.get("/notes").json) == [str(number) for number in served]


@pytest.mark.parametrize("bind", ["tcp", "unix"])
def test_a_client_that_left_while_it_waited_for_a_thread_costs_no_call(serve, gate, tmp_path, bind):
    server = serve(APP, "--keep-alive", "60", bind=f"unix:{tmp_path}/s.sock" if bind == "unix" else None)
    with ExitStack() as stack:
        *wires, other = connected(server, 5, stack)
        with gate.filled(server, 1):
            for number, wire in enumerate(wires):
                wire.get(f"/note?{number}")
            wires[1].reset()
            wires[2].finish_sending()
            # What comes later is seen later.
            assert other.send("BAD\r\n\r\n").reply().status == 400
        assert [wires[number].reply().json for number in (0, 2, 3)] == ["0", "2", "3"]
    assert server.get("/notes").json == ["0", "2", "3"]


def test_a_client_that_leaves_while_its_request_waits_takes_no_turn_from_the_others(start, gate):
    server = start(1)
    with ExitStack() as stack:
        leaver, stayer = connected(server, 2, stack)
        with gate.filled(server, 1):
            send_in_order([leaver, stayer], "/note?left", "/note?stayed")
            leaver.reset()
        assert stayer.reply().json == "stayed"


def test_requests_that_follow_one_another_on_a_connection_wait_their_turn_and_are_answered_in_order(start):
    server = start(4)
    waits = random.Random(4)

    def exchange(client):
        naps = [f"{waits.random() / 200:.4f}{client:02}{number:02}" for number in range(25)]
        with server.wire(timeout=30) as wire:
            wire.send("".join(f"GET /nap?{nap} HTTP/1.1\r\nHost: a\r\n\r\n" for nap in naps))
            assert [wire.reply().json for _ in naps] == naps
            assert [wire.exchange(f"/nap?{nap}").json for nap in naps[:5]] == naps[:5]

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(exchange, range(8)))


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("kept, asking", [(0, 0), (10, 0), (10, 4)], ids=["new", "for_idle", "for_idle_and_others"])
@pytest.mark.parametrize("singles", [6, 20])
def test_requests_that_come_all_at_once_are_each_run_once_and_answered(start, threads, kept, asking, singles):
    server = start(threads, "--worker-connections", "10")
    worker = server.live()[0].pid
    files = len(open_files(worker))
    # After some of these, new connections are expected to bring one request, and looked at before the poll tells of them.
    for _ in range(singles):
        assert server.get("/who").status == 200
    wait_until(lambda: len(open_files(worker)) == files, what="their ends have been seen")
    with ExitStack() as stack:
        wires = connected(server, kept, stack)[:asking]
        with halted(worker):
            # New ones come in the place of those that are idle; their ends are counted as the others' are.
            wires += [stack.enter_context(server.wire(timeout=30)) for _ in range(8)]
            for number, wire in enumerate(wires):
                wire.get(f"/note?{number}", "Connection: close")
        names = [str(number) for number in range(len(wires))]
        assert [wire.reply().json for wire in wires] == names
    assert sorted(server.get("/notes").json, key=int) == names
    assert server.worker_pids() == {worker}


def test_what_the_poll_tells_of_a_client_that_left_is_not_taken_for_news_of_the_one_in_its_place(start, make_gate):
    server = start(2)
    worker = server.live()[0].pid
    for number in range(10):
        mine, its, last = (make_gate(f"{name}-{number}") for name in ("mine", "its", "last"))
        with ExitStack() as stack:
            other, leaver = connected(server, 2, stack)
            leaver.get(f"/stay?{its.path}")
            its.wait_inside()
            with halted(worker):
                # The worker is told of these together. When it has seen to the first, the client that left is gone from its
                # place, which the new one takes before the worker comes to what it was told last.
                other.get(f"/relieve?{its.path};{mine.path}")
                newcomer = stack.enter_context(server.wire(timeout=30))
                leaver.reset()
            mine.wait_inside()
            assert newcomer.exchange("/who").status == 200
            with last.filled(server, 1):
                newcomer.get("/who")
                wait_until(lambda: not unread(newcomer), 20, "it waits for a thread")  # noqa: B023
            mine.open()
            assert newcomer.reply().status == 200


def test_requests_that_are_cut_off_by_the_servers_end_are_named(start, gate):
    server = start(2, "--graceful-timeout", "500ms")
    with ExitStack() as stack:
        wires = connected(server, 6, stack)
        with gate.filled(server, 2):
            send_in_order(wires, *(f"/note?{number}" for number in range(6)))
            assert server.stop() == 0
            for wire in wires:
                with pytest.raises(Truncated):
                    wire.reply()
    told = server.wait_log(r"requests that were cut off by the worker's end: 8 \(graceful_timeout is over\): (.*)")[1]
    assert told.endswith(", and 3 more")
    named = told.removesuffix(", and 3 more").split(", ")
    waited = re.compile(r"a request on a Unix socket that was not run: GET /note\?\d HTTP/1\.1")
    assert len(named) == 5 and all(waited.fullmatch(name) or name.startswith("the request GET /stay?") for name in named)
    assert any(waited.fullmatch(name) for name in named)
