"""The lives of a worker's threads: idle they cost nothing, signals and forks find the right one, and at the worker's end all
requests are finished, or the one that is stuck keeps nobody."""

import os
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness import Truncated, wait_until
from harness.interpreters import INTERPRETERS, default_interpreter
from harness.processes import alive, children, kill, open_files
from harness.rest import switches, wait_at_rest

pytestmark = pytest.mark.tapster
APP = "crowd:application"
on_each_python = pytest.mark.parametrize("python", INTERPRETERS, ids=lambda each: each.name)


@pytest.fixture
def start(serve, tmp_path):
    """Starts a server with so many threads, whose application keeps its notes in a file."""

    def start(threads, *options, **settings):
        settings["env"] = {"CROWD_NOTES": str(tmp_path / "notes"), **settings.get("env", {})}
        return serve(APP, "--threads", str(threads), *options, **settings)

    return start


def notes(directory):
    """What the application has kept so far."""
    file = directory / "notes"
    return file.read_text().splitlines() if file.exists() else []


def stay_in_both(server, main, other, how="wait"):
    """A worker's main thread and another one are busy: their connections, in that order, each at its gate."""
    first = server.wire(timeout=30).get(f"/stay?{main.path}")
    assert main.wait_inside() == ["MainThread"]
    second = server.wire(timeout=30).get(f"/stay?{other.path},{how}")
    assert other.wait_inside() == ["tapster-1"]
    return first, second


# Beginnings.

#: What replaces Python's own way to start a thread, as gevent and its like do.
PATCHES = {
    "runs_at_once": "threading.Thread.start = lambda thread: thread.run()",
    "starts_at_once": """
name = "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"
setattr(threading, name, lambda function, *_, **__: function())
""",
    "runs_later": "later = []; threading.Thread.start = lambda thread: later.append(thread)",
}
PATCHED = """
import threading
{patch}
def application(environ, start_response):
    start_response("200 OK", [])
    return [threading.current_thread().name.encode()]
"""


def expect_told(serve, folder, patch, python, *options):
    """With several threads the server does not start, and says what to do; with that done it serves."""
    python.require()
    (folder / "patched.py").write_text(PATCHED.format(patch=PATCHES[patch]))
    start = ["patched:application", "--pythonpath", folder, *options]
    server = serve(*start, "--threads", "3", interpreter=python, wait=False)
    server.expected_exit = None
    assert server.wait_exit(20) != 0
    server.wait_log(r"the application's threads did not start: threads = 3; .*gevent.* set threads = 1")
    assert serve(*start, "--threads", "1", interpreter=python).get("/").text == "MainThread"


@on_each_python
@pytest.mark.parametrize("options", [[], ["--preload"]], ids=["loaded", "preloaded"])
@pytest.mark.parametrize("patch", ["runs_at_once", "starts_at_once"])
def test_where_threads_are_run_in_place_the_start_fails_and_says_what_to_do(serve, tmp_path, python, patch, options):
    expect_told(serve, tmp_path, patch, python, *options)


def test_where_threads_are_not_run_the_start_fails_and_says_what_to_do(serve, tmp_path):
    expect_told(serve, tmp_path, "runs_later", default_interpreter())


# Idle.


@pytest.mark.parametrize("served", [False, True], ids=["fresh", "after_requests"])
def test_an_idle_worker_runs_no_thread(start, served):
    server = start(4)
    worker = server.live()[0].pid
    files = len(open_files(worker))
    if served:
        with ThreadPoolExecutor(8) as clients:
            assert {reply.json for reply in clients.map(lambda _: server.get("/nap?0.01"), range(40))} == {"0.01"}
        wait_until(lambda: len(open_files(worker)) == files, what="the connections' ends have been seen")
    wait_at_rest(worker, 0.3)
    before = switches(worker)
    # Four of the application's, and the one that watches.
    assert len(before) == 5
    with pytest.raises(AssertionError, match="not within"):
        wait_until(lambda: switches(worker) != before, 1.5)


def test_an_idle_worker_makes_no_system_call(start, tmp_path):
    strace = shutil.which("strace") or pytest.skip("strace not found")
    server = start(4)
    worker, trace = server.live()[0].pid, tmp_path / "trace"
    assert server.get("/who").status == 200
    tracer = subprocess.Popen([strace, "-f", "-o", trace, "-p", str(worker)], stderr=subprocess.PIPE, text=True)
    try:
        attached = tracer.stderr.readline()
        if "not permitted" in attached:
            pytest.skip("strace may not attach here")
        assert "attached" in attached
        # What each thread waits in is shown, and what follows from the tracer's coming, which interrupts them.
        wait_at_rest(worker, 0.3)
        before = trace.read_text()
        with pytest.raises(AssertionError, match="not within"):
            wait_until(lambda: trace.read_text() != before, 1.5)
        assert server.get("/who").status == 200
        wait_until(lambda: "accept4" in trace.read_text(), what="the tracer sees what is done")
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=20)


# Signals.


def signal_main_thread(server, number):
    """Sends a signal to the one worker when its threads have come to rest, and waits until it is delivered."""
    worker = server.live()[0].pid
    wait_at_rest(worker)
    os.kill(worker, number)
    status = Path(f"/proc/{worker}/status")
    pending = re.compile(r"^(?:Sig|Shd)Pnd:\s*0+$", re.MULTILINE)
    wait_until(lambda: len(pending.findall(status.read_text())) == 2, what="the signal is delivered")


@on_each_python
@pytest.mark.parametrize("threads", [1, 4])
def test_a_signal_handler_of_the_application_runs_in_the_main_thread_of_an_idle_worker(start, tmp_path, python, threads):
    python.require()
    server = start(threads, "--keep-alive", "60", interpreter=python)
    with server.wire() as wire:
        for count in range(1, 16):
            # So that it is now this thread and now that which waits for events.
            wire.expect_open(f"/nap?{count % 3 * 0.002}")
            signal_main_thread(server, signal.SIGUSR1)
            wait_until(lambda count=count: len(notes(tmp_path)) == count, what="its handler has run")
    assert set(notes(tmp_path)) == {"signal in MainThread"}


@pytest.mark.parametrize("threads", [1, 4])
def test_a_signal_that_comes_just_as_the_worker_goes_idle_is_not_forgotten(start, tmp_path, threads):
    server = start(threads)
    worker = server.live()[0].pid
    for count in range(1, 301):
        # Its connection's end is the last that happens for a while.
        assert server.get("/who").status == 200
        os.kill(worker, signal.SIGUSR1)
        wait_until(lambda count=count: len(notes(tmp_path)) == count, 5, f"the handler has run {count} times", every=0.001)


def test_an_application_that_has_python_tell_it_of_signals_is_told(start, tmp_path):
    server = start(1, env={"CROWD_WAKEUP": "1"})
    signal_main_thread(server, signal.SIGUSR1)
    assert server.get("/woken").json == [signal.SIGUSR1]
    wait_until(lambda: notes(tmp_path) == ["signal in MainThread"], what="its handler has run")


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("how", ["blocking", "closed,200", *(f"closed,{number}" for number in range(1, 15))])
def test_where_it_is_told_in_a_file_that_is_none_no_client_gets_what_python_writes(start, tmp_path, how, threads):
    server = start(threads, "--keep-alive", "60", env={"CROWD_WAKEUP": how})
    with ExitStack() as stack:
        wires = [stack.enter_context(server.wire()) for _ in range(8)]
        for wire in wires:
            wire.expect_open("/who")
        for count in range(1, 4):
            signal_main_thread(server, signal.SIGUSR1)
            wait_until(lambda count=count: len(notes(tmp_path)) == count, what=f"its handler has run {count} times")
        for wire in wires:
            wire.expect_open("/who")


@pytest.mark.parametrize("how", ["wait", "spin"])
@pytest.mark.parametrize(("threads", "busy"), [(1, 1), (4, 4), (4, 1)], ids=["all_of_1", "all_of_4", "main_of_4"])
def test_a_signal_handler_of_the_application_runs_while_the_main_thread_is_busy(start, tmp_path, gate, threads, busy, how):
    server = start(threads)
    with gate.filled(server, busy, how) as wires:
        assert "MainThread" in gate.inside()
        for count in range(1, 4):
            os.kill(server.live()[0].pid, signal.SIGUSR1)
            wait_until(lambda count=count: len(notes(tmp_path)) == count, what=f"its handler has run {count} times")
        assert len(gate.inside()) == busy
        gate.open()
        assert [wire.reply().status for wire in wires] == [200] * busy
    assert set(notes(tmp_path)) == {"signal in MainThread"}


def test_a_signal_handler_of_the_application_runs_while_other_threads_are_busy(start, tmp_path, make_gate):
    main, other = make_gate("main"), make_gate("other")
    server = start(2)
    first, second = stay_in_both(server, main, other)
    main.open()
    assert first.reply().status == 200
    signal_main_thread(server, signal.SIGUSR1)
    wait_until(lambda: notes(tmp_path) == ["signal in MainThread"], what="its handler has run")
    other.open()
    assert second.reply().status == 200


def test_a_signal_holds_up_nobody_while_another_thread_holds_the_interpreters_lock(start, make_gate):
    main, other, lock = make_gate("main"), make_gate("other"), make_gate("lock")
    server = start(2, "--keep-alive", "60")
    with server.wire() as idle:
        idle.expect_open("/who")
        first = server.wire(timeout=30).get(f"/stay?{main.path}")
        assert main.wait_inside() == ["MainThread"]
        second = server.wire(timeout=30).get(f"/stay?{other.path};{lock.path},lock")
        assert other.wait_inside() == ["tapster-1"]
        # The main thread has nothing to do, and so waits for events, before the other one takes the lock.
        main.open()
        assert first.reply().status == 200
        other.open()
        lock.wait_inside()
        signal_main_thread(server, signal.SIGUSR1)
        assert idle.send("BAD\r\n\r\n").reply().status == 400
        lock.open()
        assert second.reply().status == 200


@pytest.mark.parametrize("main_thread", ["polls", "waits"])
def test_a_signal_handler_that_takes_long_holds_up_no_other_thread(start, make_gate, main_thread):
    main, other, handler = make_gate("main"), make_gate("other"), make_gate("handler")
    server = start(2, env={"CROWD_GATE": str(handler.path)})
    first, second = stay_in_both(server, main, other)
    # Who comes back first has the events to wait for, and the other one waits for work.
    for gate, wire in [(main, first), (other, second)] if main_thread == "polls" else [(other, second), (main, first)]:
        gate.open()
        assert wire.reply().status == 200
        wait_at_rest(server.live()[0].pid)
    signal_main_thread(server, signal.SIGUSR2)
    assert handler.wait_inside() == ["MainThread"]
    told = [server.get(path, timeout=5) for path in ("/who", "/nap?0.01", "/nap?0.01", "/who")]
    assert [reply.status for reply in told] == [200] * 4
    handler.open()
    assert server.get("/meet?1").status == 200


# Forks.


@on_each_python
def test_a_child_that_an_application_thread_forks_and_that_comes_back_is_no_second_worker(start, python):
    python.require()
    server = start(4, interpreter=python)
    worker = server.live()[0].pid
    with ThreadPoolExecutor(4) as clients:
        ends = [reply.json for reply in clients.map(lambda _: server.get("/fork", timeout=30), range(60))]
    assert ends == [0] * 60
    assert server.get("/who").json["pid"] == worker and not children(worker)
    server.wait_log("a process that the application forked returned into the server", count=60)


def test_such_a_child_ends_although_another_thread_was_writing_to_the_error_stream(start):
    server = start(4, "--timeout", "0")
    with ThreadPoolExecutor(4) as clients:
        ends = [reply.json for reply in clients.map(lambda _: server.get("/fork?said", timeout=20), range(200))]
    assert ends == [0] * 200


def test_programs_that_all_threads_start_at_once_are_all_waited_for(start):
    server = start(8)
    with ThreadPoolExecutor(8) as clients:
        told = clients.map(lambda number: server.get(f"/children?{number}", timeout=60).json, range(40))
        assert list(told) == [number * 2 for number in range(40)]


# Ends.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_all_requests_that_run_are_finished_by_a_worker_that_retires(start, gate, number):
    server = start(4)
    old = server.live()[0].pid
    with gate.filled(server, 4) as wires:
        server.send(number)
        server.wait_log("Worker retires|stopping after the running requests")
        wait_until(lambda: number == signal.SIGHUP or refuses(server), what="the worker has heard")
        if number == signal.SIGHUP:
            assert server.get("/who").json["pid"] != old
        gate.open()
        assert [wire.reply().json["pid"] for wire in wires] == [old] * 4
    wait_until(lambda: not alive(old), what="the old worker is gone")
    if number == signal.SIGTERM:
        assert server.wait_exit() == 0
    assert "cut off" not in server.log()


def refuses(server):
    """Whether a new connection is refused."""
    try:
        server.wire().close()
    except (ConnectionRefusedError, ConnectionResetError):
        # The second is for one that comes just when the listener is closed.
        return True
    return False


def test_quit_ends_a_worker_although_all_its_threads_are_busy(start, gate):
    server = start(4, "--graceful-timeout", "60")
    with gate.filled(server, 4) as wires:
        assert server.stop(signal.SIGQUIT, deadline=10) == 0
        for wire in wires:
            with pytest.raises(Truncated):
                wire.reply()


def test_quit_to_a_worker_alone_ends_it_and_it_is_replaced(start, gate):
    server = start(2, "--graceful-timeout", "60")
    old = server.live()[0].pid
    with gate.filled(server, 2) as wires:
        os.kill(old, signal.SIGQUIT)
        for wire in wires:
            with pytest.raises(Truncated):
                wire.reply()
        wait_until(lambda: not alive(old) and len(server.live()) == 1, what="another worker in its place")
    assert server.get("/who").json["pid"] != old


def told_to_end(server, whom):
    """Tells the server, or its one worker alone, to end in an orderly way; waits until that worker is gone."""
    worker = server.live()[0].pid
    os.kill(worker if whom == "worker" else server.pid, signal.SIGTERM)
    wait_until(lambda: not alive(worker), 10, "the worker is gone")


@pytest.mark.parametrize("whom", ["worker", "server"])
def test_a_thread_that_is_stuck_keeps_the_exit_functions_from_nothing(start, tmp_path, make_gate, whom):
    main, other = make_gate("main"), make_gate("other")
    server = start(2, "--graceful-timeout", "1")
    first, second = stay_in_both(server, main, other)
    main.open()
    assert first.reply().status == 200
    told_to_end(server, whom)
    with pytest.raises(Truncated):
        second.reply()
    assert notes(tmp_path) == ["worker_exit", "atexit"]
    server.wait_log("requests that were cut off by the worker's end: 1")
    assert "did not stop in time" not in server.log()


@pytest.mark.parametrize("how", ["wait", "spin", "lock"])
def test_whichever_thread_is_stuck_the_server_ends_in_time(start, make_gate, how):
    main, other = make_gate("main"), make_gate("other")
    server = start(2, "--graceful-timeout", "1")
    first, second = stay_in_both(server, main, other, how)
    assert server.stop(signal.SIGTERM, deadline=10) == 0
    for wire in (first, second):
        with pytest.raises(Truncated):
            wire.reply()


def test_exit_functions_run_in_a_worker_whose_threads_have_all_come_back(start, tmp_path):
    server = start(4)
    with ThreadPoolExecutor(4) as clients:
        list(clients.map(lambda _: server.get("/nap?0.01"), range(20)))
    assert server.stop() == 0
    assert notes(tmp_path) == ["worker_exit", "atexit"]


@pytest.mark.parametrize("whom", ["worker", "server"])
@pytest.mark.parametrize("threads", [1, 4])
def test_exit_functions_may_take_longer_than_a_request(start, tmp_path, threads, whom):
    server = start(threads, "--timeout", "1", "--timeout-grace", "0", env={"CROWD_EXIT": "2.5"})
    worker = server.live()[0].pid
    assert server.get("/who").status == 200
    os.kill(worker if whom == "worker" else server.pid, signal.SIGTERM)
    wait_until(lambda: not alive(worker), 20, "the worker is gone")
    assert notes(tmp_path) == ["worker_exit took long", "worker_exit", "atexit took long", "atexit"]
    assert "WORKER TIMEOUT" not in server.log() and "is killed" not in server.log()
    server.wait_log("the worker has not ended 1s after its requests were done")


def test_a_worker_whose_exit_functions_take_long_is_replaced_before_they_are_through(start, tmp_path):
    server = start(2, "--graceful-timeout", "5", env={"CROWD_EXIT": "30"})
    worker = server.live()[0].pid
    os.kill(worker, signal.SIGTERM)
    wait_until(lambda: len(server.ready()) == 2, what="another worker")
    assert alive(worker) and notes(tmp_path) == []
    kill([worker])
    server.wait_log(rf"Worker died .*pid: {worker}, .*killed by SIGKILL \(not sent by the arbiter\)")


@pytest.mark.parametrize("threads", [1, 4])
def test_a_workers_end_waits_for_threads_of_the_application_but_not_for_daemons(start, tmp_path, threads):
    server = start(threads)
    assert server.get("/leave-thread?plain,0.7").status == 200
    assert server.get("/leave-thread?daemon,30").status == 200
    assert server.stop(deadline=8) == 0
    assert notes(tmp_path) == ["worker_exit", "plain is through", "atexit"]
    assert "did not stop in time" not in server.log()


@pytest.mark.parametrize("how", ["wait", "spin"])
def test_when_the_arbiter_dies_a_worker_with_busy_threads_goes_too(start, gate, how):
    server = start(2, "--graceful-timeout", "1")
    server.expected_exit = None
    with gate.filled(server, 2, how):
        kill([server.pid])
        server.wait_exit()
        wait_until(lambda: not server.tree(), 10, lambda: f"all gone; left: {server.tree()}")
