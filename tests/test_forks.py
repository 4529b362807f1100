"""Applications that fork: their children are no second server, hold no client's connection open, send their parent's clients
nothing, and can be ended as any process can."""

import json
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from select import select
from threading import Event

import pytest

from harness import wait_until
from harness.gate import Gate
from harness.interpreters import INTERPRETERS
from harness.processes import alive, kill
from harness.rest import wait_at_rest

APP = """
import os, sys, time
import crowd

def breaks():
    yield b"part"
    raise RuntimeError("breaks off")

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/breaks":
        start_response("200 OK", [])
        return breaks()
    if path == "/stay":
        crowd.at_gate(environ["QUERY_STRING"])
    if path.startswith("/fork"):
        if path == "/fork-late":
            os.environ["LATE"] = "1"
        child = os.fork()
        if child == 0:
            if path == "/fork-exit":
                sys.exit(3)
            if path == "/fork-raise":
                raise RuntimeError("in the child")
            if path in ("/fork-live", "/fork-late"):
                time.sleep(float(environ["QUERY_STRING"]))
                os._exit(0)
        else:
            body = str(child).encode()
            if path in ("/fork-live", "/fork-late"):
                start_response("200 OK", [])
                return iter([body])
            os.waitpid(child, 0)
            start_response("200 OK", [("Content-Length", str(len(body)))])
            return [body]
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def server(serve, tmp_path):
    (tmp_path / "simple.py").write_text(APP)
    return serve("simple:application", "--keep-alive", "1", "--pythonpath", tmp_path)


@pytest.mark.tapster
@pytest.mark.parametrize("how", ["exit", "raise", "return"])
def test_a_forked_child_that_comes_back_is_no_second_worker(server, how):
    worker = server.live()[0].pid
    with server.wire() as wire:
        child = int(wire.exchange(f"/fork-{how}").text)
        wait_until(lambda: not alive(child), what="the child is gone")
        assert {wire.exchange("/pid").text for _ in range(20)} == {str(worker)}
    assert {server.get("/pid").text for _ in range(20)} == {str(worker)}
    assert "panicked" not in server.log()


@pytest.mark.tapster
def test_connections_end_while_a_forked_child_lives(server):
    with server.wire(timeout=8) as idle, server.wire(timeout=8) as old:
        assert idle.exchange("/pid").status == 200
        old.send("GET /fork-live?30 HTTP/1.0\r\n\r\n")
        child = int(old.reply().text)
        assert alive(child)
        # One has no other end than the connection's, the other is idle for longer than keep_alive.
        old.expect_closed()
        idle.expect_closed()
        assert alive(child)
    kill([child])


@pytest.mark.tapster
def test_a_reply_that_breaks_off_is_reset_while_a_forked_child_lives(server):
    with ExitStack() as stack:
        wire = stack.enter_context(server.wire(timeout=8))
        assert wire.exchange("/pid").status == 200
        child = int(server.get("/fork-live?30").text)
        stack.callback(kill, [child])
        # By its connection's end alone can its client tell that it is not whole.
        wire.send("GET /breaks HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            while wire.socket.recv(1000):
                pass
        assert alive(child)


#: Makes a fork take long, from when the new process is there until the server hears of it in the old one.
LATE = """
import ctypes, os, time

@ctypes.CFUNCTYPE(None)
def late():
    if "LATE" in os.environ:
        time.sleep(0.5)

getattr(ctypes.CDLL(None), "__register_atfork")(None, late, None, None)
"""


@pytest.mark.tapster
def test_connections_end_that_are_closed_while_the_first_fork_is_under_way(serve, tmp_path):
    (tmp_path / "simple.py").write_text(APP)
    (tmp_path / "sitecustomize.py").write_text(LATE)
    options = ["--keep-alive", "1", "--threads", "2", "--pythonpath", tmp_path]
    server = serve("simple:application", *options, env={"PYTHONPATH": str(tmp_path)})
    with ExitStack() as stack:
        wires = []
        while not (wires and select([wires[0].socket], [], [], 0.005)[0]):
            wires.append(stack.enter_context(server.wire(timeout=8)))
            assert wires[-1].exchange("/pid").status == 200
        child = int(server.get("/fork-late?30").text)
        stack.callback(kill, [child])
        for wire in wires:
            wire.expect_closed()
        assert alive(child)


@pytest.mark.tapster
def test_the_end_of_a_connection_that_a_forked_child_keeps_is_not_taken_for_anothers(server, tmp_path):
    worker, gate = server.live()[0].pid, Gate(tmp_path / "gate")
    with ExitStack() as stack:
        stack.callback(gate.close)
        closed, forks = (stack.enter_context(server.wire()) for _ in range(2))
        assert closed.exchange("/pid").status == 200
        child = int(forks.send("GET /fork-live?60 HTTP/1.0\r\n\r\n").reply().text)
        stack.callback(kill, [child])
        forks.expect_closed()
        closed.expect_closed()
        # These have the places of the two.
        heirs = [stack.enter_context(server.wire()) for _ in range(2)]
        wait_at_rest(worker)
        busy = stack.enter_context(server.wire()).get(f"/stay?{gate.path}")
        gate.wait_inside()
        for wire in heirs:
            wire.get("/pid")
        wait_at_rest(worker)
        closed.close()
        wait_at_rest(worker)
        gate.open()
        assert [wire.reply().text for wire in (busy, *heirs)] == [str(worker)] * 3
        assert alive(child)


on_each_python = pytest.mark.parametrize("python", INTERPRETERS, ids=lambda each: each.name)
preloaded_or_not = pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])
#: The signals that templates and workers let pass, or take as orders.
SERVERS = [
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
]
#: Those of them that do not end a process by their default effect, but stop it.
STOPPING = {signal.SIGTTIN, signal.SIGTTOU}


@pytest.fixture
def start(serve):
    """Starts the application that forks in all ways."""

    def start(*options, interpreter=None, wait=True, **env):
        return serve("forking:application", *options, interpreter=interpreter, wait=wait, env=env)

    return start


def signals_of(pid, which):
    """The signals that a process handles (`Cgt`), ignores (`Ign`) or holds back (`Blk`)."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition(f"\nSig{which}:")[2].split()[0], 16)
    return {number for number in range(1, 65) if mask & 1 << number - 1}


def wait_until_begun(child):
    """Waits until a process that was just forked gets signals, which are held back until all is prepared."""
    wait_until(lambda: not signals_of(child, "Blk"), what="no signal is held back any more")


@pytest.mark.tapster
@preloaded_or_not
@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("how", ["os", "pty", "c"])
def test_a_child_that_comes_back_is_no_second_worker_however_it_was_forked(start, how, threads, preload):
    server = start("--threads", str(threads), *preload)
    worker = server.live()[0].pid
    with server.wire() as wire:
        child = wire.exchange(f"/fork?{how},returns").json
        assert not alive(child)
        assert {wire.exchange("/pid").json for _ in range(20)} == {worker}
    assert {server.get("/pid").json for _ in range(20)} == {worker}
    if how != "pty":
        server.wait_log(rf"\[{child}\] \[WARNING\] a process that the application forked returned into the server")


@pytest.mark.tapster
@pytest.mark.parametrize("threads", [1, 4])
def test_a_child_that_a_signal_handler_of_the_application_forks_is_no_second_worker(start, tmp_path, threads):
    file = tmp_path / "child"
    server = start("--threads", str(threads), FORKING_CHILD=str(file))
    worker = server.live()[0].pid
    assert server.get("/pid").json == worker
    # One that comes just when the worker goes idle is noticed with the next.
    written = lambda: file.exists() and file.read_text().endswith("\n")
    wait_until(lambda: os.kill(worker, signal.SIGUSR1) or written(), what="the handler has run")
    child = int(file.read_text())
    wait_until(lambda: not alive(child), what="the child is gone")
    assert {server.get("/pid").json for _ in range(20)} == {worker}


@pytest.mark.tapster
def test_a_child_that_a_thread_of_the_application_forks_is_no_second_worker(start):
    server = start()
    worker = server.live()[0].pid
    child = server.get("/in-thread").json
    assert server.get(f"/reap?{child}").json == 0
    assert {server.get("/pid").json for _ in range(20)} == {worker}


@pytest.mark.tapster
@pytest.mark.parametrize("to", ["stream", "file"])
def test_a_child_that_is_forked_while_other_threads_write_to_the_log_writes_there_too(start, tmp_path, to):
    log = tmp_path / "error.log"
    if to == "file":
        server = start("--threads", "4", "--error-logfile", log, wait=False)
        wait_until(lambda: log.exists() and "Worker ready" in log.read_text(), 20, "the worker is ready")
    else:
        server = start("--threads", "4")
    with ThreadPoolExecutor(4) as clients:
        paths = ["/fail", "/fork?os,returns", "/fail"] * 100
        replies = list(clients.map(lambda path: server.get(path, timeout=30), paths))
    ended = [reply.json for reply in replies if reply.status == 200]
    assert len(ended) == 100 and [reply.status for reply in replies].count(500) == 200
    text = log.read_text() if to == "file" else server.log()
    told = re.findall(r"\[(\d+)\] \[WARNING\] a process that the application forked returned into the server", text)
    assert sorted(map(int, told)) == sorted(ended)


@pytest.mark.tapster
def test_children_that_are_forked_while_connections_come_and_go_all_end(start):
    server = start("--threads", "4", "--timeout", "0")
    done = Event()

    def come_and_go():
        while not done.is_set():
            with server.wire() as wire:
                wire.expect_open("/pid")

    with ThreadPoolExecutor(3) as clients:
        coming = [clients.submit(come_and_go) for _ in range(3)]
        try:
            assert server.get("/many?300", timeout=60).json == [0] * 300
        finally:
            done.set()
        for each in coming:
            each.result()


@pytest.mark.tapster
@pytest.mark.parametrize("threads", [1, 4])
def test_a_child_that_comes_back_ends_although_its_streams_keep_the_interpreters_lock(start, threads):
    server = start("--threads", str(threads), "--timeout", "0")
    assert not alive(server.get("/fork?os,keeps", timeout=20).json)
    assert server.get("/pid").json == server.live()[0].pid


@pytest.mark.tapster
@pytest.mark.parametrize("how", ["os", "c"])
def test_a_child_sends_nothing_to_its_parents_client(start, tmp_path, how):
    server = start("--threads", "2")
    told = tmp_path / "told"
    with server.wire() as wire:
        child = wire.get(f"/fork?{how},{told}").reply().json
        assert wire.exchange("/pid").json == server.live()[0].pid
    assert not alive(child)
    for name, error in json.loads(told.read_text()).items():
        assert error.startswith(f"RuntimeError: {name}() was called in a process that the application has forked")


@pytest.mark.tapster
@preloaded_or_not
@pytest.mark.parametrize("threads", [1, 4])
def test_signals_have_their_usual_effect_in_a_child(start, threads, preload):
    server = start("--threads", str(threads), *preload)
    worker = server.live()[0].pid
    for number in SERVERS:
        child = server.get("/fork?os,stays").json
        wait_until_begun(child)
        assert not signals_of(child, "Cgt").intersection(SERVERS)
        assert not signals_of(child, "Ign").intersection(SERVERS)
        if number in STOPPING:
            kill([child])
            continue
        os.kill(child, number)
        assert server.get(f"/reap?{child}").json == -number
    # What its children were told is not for it.
    assert server.get("/pid").json == worker
    assert signals_of(worker, "Cgt").issuperset(SERVERS)


@pytest.mark.tapster
@preloaded_or_not
@pytest.mark.parametrize("how", ["os", "c"])
def test_what_the_application_has_made_of_a_signal_holds_in_a_child(start, how, preload):
    server = start(*preload, FORKING_HANDLES="1")
    child = server.get(f"/fork?{how},stays").json
    wait_until_begun(child)
    assert signals_of(child, "Cgt").intersection(SERVERS) == {signal.SIGUSR1, signal.SIGUSR2}
    assert signals_of(child, "Ign").intersection(SERVERS) == {signal.SIGTERM}
    kill([child])


@pytest.mark.tapster
@on_each_python
def test_a_process_that_is_terminated_as_soon_as_it_is_started_ends(start, python):
    python.require()
    server = start("--threads", "2", interpreter=python)
    assert server.get("/terminated?50", timeout=60).json == [-signal.SIGTERM] * 50
    assert "SIGTERM" not in server.log()


@pytest.mark.tapster
def test_a_process_that_a_preloaded_application_started_can_be_terminated(start):
    server = start("--preload", FORKING_EARLY="1")
    early = server.get("/early").json
    assert alive(early) and not signals_of(early, "Cgt").intersection(SERVERS)
    assert signals_of(server.template_pid(), "Cgt").issuperset(SERVERS)
    os.kill(early, signal.SIGTERM)
    wait_until(lambda: not alive(early), what="it is gone")
    server.reload()
    kill([server.get("/early").json])
