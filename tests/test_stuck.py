"""Requests that Python can't interrupt: after `timeout` and `timeout_grace` their worker is replaced, at once where it serves
nobody else, and elsewhere behind its successor's back; whatever else runs is finished, and nothing else is lost."""

import re
import signal
from contextlib import ExitStack

import pytest

from harness import Load, Truncated, wait_until
from harness.interpreters import INTERPRETERS
from harness.processes import alive

pytestmark = pytest.mark.tapster
APP = "late:application"
on_each_python = pytest.mark.parametrize("python", INTERPRETERS, ids=lambda each: each.name)
IN_PLACE = "goes on until another one serves in its place"
KILLED = "the worker is killed and replaced"


@pytest.fixture
def start(serve):
    """Starts a server with so many threads, in which a request may take a second and one more until it is stuck."""

    def start(threads, *options, **settings):
        times = ["--timeout", "1", "--timeout-grace", "1", "--graceful-timeout", "4"]
        return serve(APP, "--threads", str(threads), *times, *options, **settings)

    return start


@pytest.fixture(params=["c", "lock"])
def hang(request, gate, tmp_path):
    """Sends a request that hangs in C code, without the interpreter's lock or with it, and gives its target."""
    hung = tmp_path / "hung"

    def send(wire):
        target = f"/c?{hung}" if request.param == "c" else f"/stay?{gate.path},lock"
        wire.get(target)
        wait_until(lambda: hung.exists() or gate.inside(), 20, "it is in the application")
        return target

    return send


def stuck(pid, target, then):
    """What the log says of a worker in which that request is stuck."""
    limits = "limits timeout = 1 s, timeout_grace = 1 s"
    what = rf"the request GET {re.escape(target)} has been in the application for 2(\.\d+)? s, and its thread does not come back"
    return rf"WORKER TIMEOUT \(pid: {pid}, slot: \d+\): {what}, {limits}; .*{re.escape(then)}"


def wait_replaced(server, pid, workers=1):
    """Waits until the worker is gone and there are as many as before."""
    wait_until(
        lambda: not alive(pid) and len(server.live()) == workers,
        20,
        lambda: f"worker {pid} replaced; live: {server.live()}; log:\n{server.tail()}",
    )
    assert server.get("/who", timeout=20).json["pid"] in server.worker_pids()


def on_one_worker(server, count, stack):
    """So many connections to one and the same worker, and that one's pid."""
    found = {}
    while True:
        wire = stack.enter_context(server.wire(timeout=30))
        pid = wire.exchange("/who").json["pid"]
        found.setdefault(pid, []).append(wire)
        if len(found[pid]) == count:
            return found[pid], pid


# A worker with one thread.


@on_each_python
def test_a_worker_with_one_thread_is_killed_with_its_stacks_in_the_log_and_replaced(start, python):
    python.require()
    server = start(1, interpreter=python)
    worker = server.live()[0].pid
    assert server.get("/c?alone").status == 504
    server.wait_log(stuck(worker, "/c?alone", KILLED))
    wait_replaced(server, worker)
    server.wait_log(r"Fatal Python error: Aborted\n(.*\n)*?.*late\.py\", line \d+ in hang_in_c")
    assert len(server.ready()) == 2


def test_a_worker_with_one_thread_that_holds_the_interpreters_lock_is_killed_and_replaced(start, gate):
    server = start(1)
    worker = server.live()[0].pid
    with server.wire() as wire:
        assert wire.exchange(f"/stay?{gate.path},lock").status == 504
        server.wait_log(stuck(worker, f"/stay?{gate.path},lock", KILLED))
        wait_replaced(server, worker)
    server.wait_log(r"Fatal Python error: Aborted\n(.*\n)*?.*crowd\.py\", line \d+ in at_gate")


def test_while_one_worker_is_stuck_and_replaced_the_other_loses_nothing(start, hang):
    server = start(1, "--keep-alive", "60", workers=2)
    with ExitStack() as stack:
        (wire,), worker = on_one_worker(server, 1, stack)
        target = hang(wire)
        with Load(server.address, "/quick?1,load", connections=4) as load:
            assert wire.reply().status == 504
            server.wait_log(stuck(worker, target, KILLED))
            wait_replaced(server, worker, workers=2)
            load.wait_answered(100)
    assert (set(load.statuses), load.lost) == ({200}, [])


def test_connections_that_wait_for_a_stuck_worker_are_told_by_their_end(start):
    server = start(1, "--keep-alive", "60")
    with server.wire() as stuck_one, server.wire() as waits:
        waits.expect_open("/who")
        stuck_one.get("/c?hung")
        waits.get("/who")
        assert stuck_one.reply().status == 504
        with pytest.raises(Truncated):
            waits.reply()


# A worker with several.


def begin_ticking(server, gate, stack):
    """A reply that goes on until the gate is open."""
    wire = stack.enter_context(server.wire(timeout=40)).get(f"/ticks-until?{gate.path}")
    assert wire.socket.recv(1, 2)
    return wire


@on_each_python
def test_a_worker_with_several_threads_goes_on_until_its_successor_serves(start, gate, python):
    python.require()
    server = start(4, "--graceful-timeout", "20", interpreter=python)
    worker = server.live()[0].pid
    with ExitStack() as stack:
        ticking = begin_ticking(server, gate, stack)
        assert server.get("/c-for-a-while?hung").status == 504
        server.wait_log(stuck(worker, "/c-for-a-while?hung", f"{IN_PLACE} (other requests running in it: 1)"))
        server.wait_log(rf"Worker retires .*pid: {worker}.*a request is stuck in it")
        (_, new) = server.ready()
        assert server.get("/who").json["pid"] == new.pid
        gate.open()
        assert ticking.reply().text.endswith(f"tick,{worker}")
    wait_replaced(server, worker)
    log = server.log()
    assert log.index("WORKER TIMEOUT") < log.index(f"Worker ready (slot: {new.slot}, pid: {new.pid}") < log.index("retires")
    assert len(server.ready()) == 2


def test_a_worker_in_which_nothing_but_a_stuck_request_is_left_does_not_wait_for_it(start):
    server = start(2, "--graceful-timeout", "60")
    worker = server.live()[0].pid
    assert server.get("/c?hung").status == 504
    server.wait_log(stuck(worker, "/c?hung", f"{IN_PLACE} (other requests running in it: 0)"))
    wait_replaced(server, worker)
    assert len(server.ready()) == 2


def test_threads_that_are_not_stuck_serve_without_a_loss_until_the_successor_does(start):
    server = start(4)
    worker = server.live()[0].pid
    with Load(server.address, "/quick?1,load", connections=4) as load:
        assert server.get("/c?hung").status == 504
        server.wait_log(stuck(worker, "/c?hung", IN_PLACE))
        load.wait_answered(100)
        wait_replaced(server, worker)
        load.wait_answered(100)
    assert (set(load.statuses), load.lost) == ({200}, [])
    assert len(server.ready()) == 2


def test_two_stuck_requests_in_one_worker_cost_one_worker(start):
    server = start(4)
    worker = server.live()[0].pid
    with Load(server.address, "/quick?1,load", connections=2) as load:
        with server.wire() as one, server.wire() as two:
            one.get("/c?one")
            two.get("/c?two")
            assert (one.reply().status, two.reply().status) == (504, 504)
        server.wait_log(rf"WORKER TIMEOUT \(pid: {worker}.*does not come back", count=2)
        wait_replaced(server, worker)
        load.wait_answered(50)
    assert (set(load.statuses), load.lost) == ({200}, [])
    assert len(server.ready()) == 2


def test_two_stuck_workers_are_both_replaced_and_the_third_loses_nothing(start):
    server = start(2, "--keep-alive", "60", workers=3)
    with ExitStack() as stack:
        (one,), first = on_one_worker(server, 1, stack)
        second = first
        while second == first:
            (two,), second = on_one_worker(server, 1, stack)
        with Load(server.address, "/quick?1,load", connections=3) as load:
            for wire in (one, two):
                wire.get("/c?hung")
            assert (one.reply().status, two.reply().status) == (504, 504)
            for worker in (first, second):
                wait_replaced(server, worker, workers=3)
            load.wait_answered(100)
    assert (set(load.statuses), load.lost) == ({200}, [])
    assert len(server.ready()) == 5


def test_a_worker_all_of_whose_threads_are_stuck_is_replaced(start):
    server = start(3)
    worker = server.live()[0].pid
    with ExitStack() as stack:
        wires = [stack.enter_context(server.wire()).get(f"/c?{number}") for number in range(3)]
        assert [wire.reply().status for wire in wires] == [504] * 3
        # New connections wait for the successor.
        assert server.get("/who", timeout=20).json["pid"] != worker
    wait_replaced(server, worker)
    assert len(server.ready()) == 2


def test_a_thread_that_holds_the_interpreters_lock_has_its_worker_replaced_with_its_stack_in_the_log(start, gate):
    server = start(4)
    worker = server.live()[0].pid
    with server.wire(timeout=20) as wire, server.wire(timeout=20) as idle:
        assert wire.exchange(f"/stay?{gate.path},lock").status == 504
        # It can do nothing in Python, but its bytes go on moving.
        assert idle.send("BAD\r\n\r\n").reply().status == 400
        server.wait_log(stuck(worker, f"/stay?{gate.path},lock", IN_PLACE))
        wait_replaced(server, worker)
        server.wait_log(r'File ".*crowd\.py", line \d+,? in at_gate')
    assert len(server.ready()) == 2


def test_a_thread_that_comes_back_too_late_harms_nobody(start, gate):
    server = start(3, "--graceful-timeout", "20")
    worker = server.live()[0].pid
    with ExitStack() as stack:
        # For it the worker is still there then.
        ticking = begin_ticking(server, gate, stack)
        with Load(server.address, "/quick?1,load", connections=2) as load:
            assert server.get("/c-for-a-while?hung").status == 504
            server.wait_log(stuck(worker, "/c-for-a-while?hung", IN_PLACE))
            server.wait_log(r"the request GET /c-for-a-while\?hung has come back from the application after 3")
            load.wait_answered(50)
        gate.open()
        assert ticking.reply().text.endswith(f"tick,{worker}")
    wait_replaced(server, worker)
    assert (set(load.statuses), load.lost) == ({200}, [])
    assert len(server.ready()) == 2


def test_where_no_successor_can_start_the_threads_that_are_left_go_on(serve, tmp_path):
    flag = tmp_path / "flag"
    times = ["--timeout", "1", "--timeout-grace", "1", "--graceful-timeout", "2"]
    server = serve("ops:application", "--threads", "2", *times, env={"OPS_FAIL_IF": str(flag)})
    worker = server.live()[0].pid
    flag.touch()
    assert server.get("/sleep?60").status == 504
    server.wait_log(rf"WORKER TIMEOUT \(pid: {worker}.*{IN_PLACE}")
    server.wait_log("told to fail at import")
    assert {server.get("/pid").json for _ in range(20)} == {worker}
    flag.unlink()
    wait_until(lambda: server.get("/pid", timeout=20).json != worker, 40, "the successor serves")
    wait_until(lambda: server.worker_pids() and not alive(worker), 20, "the stuck one is gone")


# A worker that is to end anyway.


@pytest.mark.parametrize("threads", [1, 2])
def test_of_a_worker_that_retires_a_stuck_request_is_told_and_nothing_takes_its_place(start, tmp_path, threads):
    server = start(threads, "--timeout-grace", "3", "--graceful-timeout", "20")
    worker = server.live()[0].pid
    with server.wire(timeout=20) as wire:
        wire.get("/c?hung")
        server.send(signal.SIGHUP)
        server.wait_log(rf"Worker retires .*pid: {worker}.* a newer generation serves")
        assert wire.reply().status == 504
        server.wait_log(rf"WORKER TIMEOUT \(pid: {worker}, slot: 0\): the request GET /c\?hung .*; the worker,? .*retire")
    wait_replaced(server, worker)
    assert len(server.ready()) == 2


def test_a_worker_that_ends_in_the_moment_its_request_is_late_is_not_taken_for_one_whose_lock_is_kept(serve):
    # Whether the two fall together is chance, which gets a few trials.
    servers = [serve(APP, "--threads", "2", "--timeout", "1", "--graceful-timeout", "1") for _ in range(4)]
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(server.wire(timeout=20)).get("/c?last")
            server.send(signal.SIGTERM)
        assert [server.wait_exit() for server in servers] == [0] * 4
    for server in servers:
        assert "interpreter's lock" not in server.log() and "SIGABRT" not in server.log()


def test_a_stop_ends_a_worker_with_a_stuck_request_in_time(start, hang):
    server = start(2)
    with server.wire() as wire:
        hang(wire)
        assert wire.reply().status == 504
        assert server.stop(deadline=10) == 0
