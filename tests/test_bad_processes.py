"""Applications that do wrong to the process that they run in, with one thread and with several: it goes on, or dies
with a reason in the log and is replaced; other clients do not notice, and the server can be stopped."""

import os
import re
import signal
import uuid

import pytest

from harness import Load, Truncated, wait_until
from harness.bystanders import Bystanders
from harness.processes import alive, open_files

pytestmark = pytest.mark.tapster

#: What a process lives with, and what the log says of it, if that is anything.
LIVED_WITH = {
    "does?closes-stdout": None,
    "does?no-streams": None,
    "does?odd-streams": None,
    "does?thread-raises": "Exception in thread raises",
    "does?thread-exits": None,
    "does?daemon-stays": None,
    "does?interrupts-main": None,
    "does?recursion-limit": None,
    "does?switch-interval": None,
    "does?profiles": None,
    "does?no-gc": None,
    "does?gc-debug": None,
    "does?gone-directory": None,
    "does?session": None,
    "does?umask": None,
    "does?environment": None,
    "does?no-path": None,
    "does?blocks-signals": None,
    "does?no-module": None,
    "does?no-modules": None,
    "does?no-import": None,
    "does?clobbers-modules": None,
    "does?clears-prepared": None,
    "does?keeps-functions": None,
    "does?asyncio": None,
    "does?excepthooks": None,
    "does?atexit-exits": None,
    "does?atexit-raises": None,
    "does?atexit-dies": None,
    "closes-input": None,
    "clears-environ": None,
}
#: What ends a process, and the reason that the log gives.
ENDED_BY = {
    "exit": "exited with status 7",
    "exit-0": "exited with status 0",
    "SIGKILL": r"killed by SIGKILL \(not sent by the arbiter\)",
    "SIGSEGV": r"in ends(.*\n)*.*killed by SIGSEGV",
    "SIGABRT": r"in ends(.*\n)*.*killed by SIGABRT",
    "SIGALRM": "killed by SIGALRM",
    "fault": r"in ends(.*\n)*.*killed by SIGSEGV",
    # From 3.12 on CPython counts the depth of its own C code.
    "overflow": r"in overflow(.*\n)*.*(killed by SIGSEGV|RecursionError)",
    "closes-all": "Bad file descriptor|its channel to the arbiter was closed",
    "closes-all-later": "Bad file descriptor|its channel to the arbiter was closed",
    "execs": "its channel to the arbiter was closed",
    "SIGTERM": "exited with status 0",
    "SIGQUIT": "exited with status 0",
}

several = pytest.mark.parametrize("threads", [1, 4], ids=["1-thread", "4-threads"])


@pytest.fixture
def start(serve, tmp_path):
    """Starts the application with so many threads; `env` is the application's."""

    def start(threads, *options, workers=1, wait=True, **env):
        usual = ("--threads", str(threads), "--keep-alive", "60", "--graceful-timeout", "2")
        return serve("bad_process:application", *usual, *options, workers=workers, wait=wait, env=env)

    return start


def expect_as_before(server, pid):
    """The same worker serves, on new connections: small and large bodies; and mistakes are logged."""
    for _ in range(3):
        assert server.get("/pid").text == pid
    large = os.urandom(3_000_000)
    assert server.request("POST", "/body", large).body == large
    expect_told(server)


def expect_told(server):
    """An everyday mistake is a 500, and logged."""
    mark = uuid.uuid4().hex
    assert server.get(f"/fail?{mark}").status == 500
    server.wait_log(f"Error handling request GET /fail.{mark}\n(.*\n)*RuntimeError: failed {mark}")


@several
@pytest.mark.parametrize("what", LIVED_WITH)
def test_a_worker_lives_with_what_is_done_to_its_process(start, tmp_path, threads, what):
    server = start(threads)
    with Bystanders(server, threads, tmp_path) as bystanders:
        with server.wire() as wire:
            reply = wire.get(f"/{what}").final_reply()
            assert (reply.status, reply.body) == (200, b"said")
        bystanders.expect_unharmed()
        expect_as_before(server, bystanders.pid)
    if LIVED_WITH[what]:
        server.wait_log(LIVED_WITH[what])


@several
def test_a_tracer_that_fails_costs_the_request_that_set_it(start, tmp_path, threads):
    server = start(threads)
    with Bystanders(server, threads, tmp_path) as bystanders:
        assert server.get("/does?traces").status == 500
        server.wait_log("Error handling request GET /does.traces\n(.*\n)*RuntimeError: a tracer that fails")
        bystanders.expect_unharmed()
        expect_as_before(server, bystanders.pid)


@several
def test_exceptions_that_an_application_sends_to_all_threads_end_at_most_one_request_of_each(start, threads):
    server = start(threads)
    pid = server.get("/pid").text
    assert server.get("/does?interrupts-threads").status == 200
    found = []
    wait_until(lambda: found.append(server.get("/pid")) or found[-1].status == 200, what="a request is served")
    assert found[-1].text == pid
    failed = [reply.status for reply in found[:-1]]
    assert failed == [500] * len(failed) and len(failed) < threads


@several
@pytest.mark.parametrize("where", ["does?closes-stderr", "closes-errors"])
def test_a_request_that_closes_its_error_stream_closes_no_others(start, tmp_path, threads, where):
    server = start(threads)
    with Bystanders(server, threads, tmp_path) as bystanders:
        assert server.get(f"/{where}").status == 200
        bystanders.expect_unharmed()
        expect_as_before(server, bystanders.pid)
        mark = uuid.uuid4().hex
        assert server.get(f"/complains?{mark}").status == 200, server.tail()
        server.wait_log(f"complaint {mark}")


@several
@pytest.mark.parametrize("which", ["0", "1", "2", "0-1-2"])
def test_a_client_never_gets_what_goes_to_a_standard_stream_that_was_closed(start, tmp_path, threads, which):
    server = start(threads)
    with Bystanders(server, threads, tmp_path) as bystanders:
        assert server.get(f"/does?closes-{which}").status == 200
        # Connections that come now could get the number that is free.
        wires = [server.wire() for _ in range(4)]
        for wire in wires:
            assert wire.exchange("/pid").text == bystanders.pid
        for wire in wires:
            assert wire.exchange("/prints?x").body in (b"said", b"not printed")
            with server.wire() as other:
                assert other.exchange("/fail?x").status == 500
            with server.wire() as other:
                assert other.exchange("/complains?x").status in (200, 500)
        for wire in wires:
            wire.expect_open("/pid")
            wire.close()
        bystanders.expect_unharmed()


@several
@pytest.mark.parametrize("which", ["1", "2"])
def test_nor_does_an_upload_that_is_kept_on_disk(start, tmp_path, threads, which):
    folder = tmp_path / "uploads"
    folder.mkdir()
    server = start(threads, "--tmp-upload-dir", folder)
    data = os.urandom(4_000_000)
    with server.wire() as uploads, server.wire() as other:
        pid = other.exchange("/pid").json
        assert uploads.exchange("/pid").json == pid
        assert other.exchange(f"/does?closes-{which}").status == 200
        uploads.send(f"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: {len(data)}\r\n\r\n").send(data[:-1])
        wait_until(lambda: any(str(folder) in target for target in open_files(pid).values()), what="it is on disk")
        other.exchange("/prints?x")
        assert other.exchange("/fail?x").status == 500
        assert uploads.send(data[-1:]).reply().body == data


@several
@pytest.mark.parametrize("what", ["closes-2", "closes-0-1-2", "closes-stderr", "no-streams"])
def test_a_log_file_does_not_go_with_the_standard_error_stream(start, tmp_path, threads, what):
    log = tmp_path / "error.log"
    server = start(threads, "--error-logfile", log, wait=False)
    wait_until(lambda: log.exists() and "Worker ready" in log.read_text(), 20, "the worker is ready")
    assert server.get(f"/does?{what}").status == 200
    mark = uuid.uuid4().hex
    assert server.get(f"/fail?{mark}").status == 500
    assert server.get(f"/complains?{mark}").status == 200
    wait_until(lambda: f"RuntimeError: failed {mark}" in log.read_text(), what="the mistake is logged")
    wait_until(lambda: f"complaint {mark}" in log.read_text(), what="the complaint is logged")


@several
def test_an_application_that_takes_all_memory_costs_requests_but_not_the_server(start, threads):
    server = start(threads)
    with server.wire() as wire:
        try:
            assert wire.exchange("/does?no-memory").status == 500
        except Truncated as truncated:
            assert truncated.reply is None
    server.wait_log("MemoryError|Worker died")

    def serves():
        try:
            return server.get("/pid").status == 200
        except OSError:
            return False

    wait_until(serves, 20, lambda: f"a request is served; log:\n{server.tail()}")


@several
@pytest.mark.parametrize(("what", "culprit"), [("thread-stays", "Thread-"), ("atexit-hangs", "exit")])
def test_what_keeps_a_worker_from_its_end_is_told_and_does_not_keep_the_server(start, threads, what, culprit):
    server = start(threads)
    assert server.get(f"/does?{what}").status == 200
    assert server.stop(signal.SIGTERM, deadline=15) == 0
    server.wait_log("it did not stop in time")
    _, _, told = server.log().partition("SIGTERM from")
    told = re.sub(r"Worker (is killed|ended).*|Template ended.*", "", told)
    assert re.search(culprit, told), f"what it waited for is not told:\n{told}"


# What ends a process.


def two_workers(server):
    """A connection to each of two workers, with the workers' pids."""
    found = {}

    def both():
        wire = server.wire(timeout=20)
        pid = wire.exchange("/pid").text
        if pid in found:
            wire.close()
        found.setdefault(pid, wire)
        return len(found) == 2

    wait_until(both, what="a connection to each worker")
    return [(int(pid), wire) for pid, wire in found.items()]


@several
@pytest.mark.parametrize("what", ENDED_BY)
def test_a_worker_that_is_brought_to_its_end_is_replaced_and_the_log_says_why(start, threads, what):
    server = start(threads, "--timeout", "20", workers=2)
    (victim, wire), (other, bystander) = two_workers(server)
    bystander.send("POST /body HTTP/1.1\r\nHost: test.example\r\nContent-Length: 10\r\n\r\nfirst")
    try:
        assert wire.exchange(f"/ends?{what}").status in (200, 500)
    except Truncated as truncated:
        assert truncated.reply is None
    wire.close()
    told = server.wait_log(ENDED_BY[what])
    if "RecursionError" not in told[0]:
        replaced = lambda: not alive(victim) and len(server.live()) == 2
        wait_until(replaced, 15, lambda: f"a new worker; log:\n{server.tail()}")
    assert bystander.send("other").reply().body == b"firstother"
    assert bystander.exchange("/pid").text == str(other)
    bystander.close()
    expect_told(server)
    assert {server.get("/pid").json for _ in range(10)} <= server.worker_pids()


@several
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("closes-listeners", "a listener"),
        ("replaces-listeners", "a listener"),
        ("closes-poll", "the worker's epoll instance"),
        ("closes-wakes", "what wakes (a thread of the worker's|the worker's poll)"),
        ("closes-timer", "the monitor's timer"),
    ],
)
def test_a_worker_whose_own_files_the_application_closes_ends_and_says_which(start, threads, what, said):
    server = start(threads, workers=2)
    (victim, wire), (other, bystander) = two_workers(server)
    try:
        assert wire.exchange(f"/ends?{what}").status == 200
    except Truncated as truncated:
        assert truncated.reply is None
    wire.close()

    def gone():
        # That a listener is closed shows when a connection comes.
        with server.wire(timeout=20):
            return not alive(victim)

    wait_until(gone, what=lambda: f"{victim} is gone; log:\n{server.tail()}")
    server.wait_log(f"{victim}.*the worker can't go on: {said}.* is closed, or another file by now.*os.closerange")
    server.wait_log(f"Worker died .*pid: {victim}.*exited with status 1")
    wait_until(lambda: len(server.live()) == 2, 15, lambda: f"a new worker; log:\n{server.tail()}")
    assert bystander.exchange("/pid").text == str(other)
    bystander.close()
    expect_told(server)


@several
@pytest.mark.parametrize("what", ["swallows", "locks", "holds-the-interpreter", "stops"])
def test_a_request_that_never_comes_back_is_told_and_its_worker_replaced(start, threads, what):
    server = start(threads, "--timeout", "1", "--timeout-grace", "1")
    victim = server.live()[0].pid
    with server.wire(timeout=20) as wire:
        try:
            assert wire.exchange(f"/forever?{what}").status == 504
            server.wait_log(f"GET /forever.{what} has been in the application for .*longer than timeout = 1s")
        except Truncated as truncated:
            assert what == "stops" and truncated.reply is None
    server.wait_log(rf"WORKER TIMEOUT \(pid: {victim}")
    wait_until(lambda: server.worker_pids() - {victim}, 15, lambda: f"a new worker; log:\n{server.tail()}")
    wait_until(lambda: not alive(victim), 15, lambda: f"{victim} is gone; log:\n{server.tail()}")
    expect_told(server)


# Forks and signals.


@several
@pytest.mark.parametrize("what", ["returns", "exits", "raises", "leaves", "writes", "yields", "execs", "dies"])
def test_a_forked_child_harms_nobody_however_it_ends(start, tmp_path, threads, what):
    server = start(threads)
    with Bystanders(server, threads, tmp_path) as bystanders:
        with server.wire() as wire:
            child = int(wire.exchange(f"/forks?{what}").text)
            assert not alive(child)
            assert wire.exchange("/pid").text == bystanders.pid
        bystanders.expect_unharmed()
        expect_as_before(server, bystanders.pid)


@several
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])
@pytest.mark.parametrize("how", ["ignores", "handles", "raises"])
def test_an_application_may_handle_signals_as_it_likes(start, tmp_path, threads, preload, how):
    handled = tmp_path / "handled"
    server = start(threads, *preload, BAD_AT_IMPORT=how, BAD_HANDLED=str(handled))
    worker = server.live()[0].pid
    assert server.get("/pid").json == worker
    if how == "ignores":
        os.kill(worker, signal.SIGUSR1)
        assert server.get("/pid").json == worker
        assert not handled.exists()
    else:
        os.kill(worker, signal.SIGUSR1)
        wait_until(handled.exists, what="the handler has run")
    if how == "raises":
        server.wait_log("a signal handler of the application raised(.*\n)*.*RuntimeError: a handler that fails")
    if how != "raises":
        with Load(server.address, "/pid", connections=4) as load:
            for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                os.kill(worker, number)
                load.wait_answered(50)
        assert not load.lost and set(load.statuses) == {200}
        assert set(load.bodies) == {str(worker).encode()}
    server.reload()
    assert server.get("/pid").json != worker
    assert server.stop(signal.SIGTERM) == 0
