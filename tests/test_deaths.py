"""Every death of a worker is told with its true reason: the status or signal, and the request that it was running."""

import signal

import pytest

from harness import Server, Truncated, wait_until
from harness.memory_group import memory_group
from harness.processes import alive, kill

pytestmark = pytest.mark.tapster

#: How long a request had been running, as the log says it.
FOR = r"\(for (\d+ ms|[\d.]+ s)\)"


def lost(wire):
    """The reply never comes: its worker is gone."""
    with pytest.raises(Truncated):
        wire.reply()


@pytest.mark.parametrize("threads", [1, 4])
def test_a_worker_killed_in_a_request_is_told_of_with_the_request_and_its_time(serve, tmp_path, threads):
    server = serve("ops:application", "--threads", str(threads))
    victim, started = server.live()[0].pid, tmp_path / "started"
    with server.wire() as wire:
        wire.get(f"/sleep?60,{started}")
        wait_until(started.exists, what="the request runs")
        kill([victim])
        lost(wire)
    said = server.wait_log(rf"Worker died .*pid: {victim}.*killed by SIGKILL.*; it was running GET /sleep\?60,\S+ {FOR}\n")
    assert " and " not in said[0].partition("it was running")[2]


def test_a_worker_killed_in_many_requests_has_five_of_them_named_and_the_others_counted(serve, gate):
    server = serve("crowd:application", "--threads", "8")
    victim = server.live()[0].pid
    with gate.filled(server, 7) as wires:
        kill([victim])
        for wire in wires:
            lost(wire)
    request = rf"GET /stay\?\S+ {FOR}"
    server.wait_log(rf"Worker died .*pid: {victim}.*; it was running ({request}, ){{4}}{request} and 2 more\n")


def test_an_idle_worker_that_is_killed_was_running_nothing(serve):
    server = serve("ops:application")
    assert server.get("/hello").status == 200
    with server.wire() as wire:
        # Refused without the application, by a worker that is through with the request before.
        assert wire.send("nonsense\r\n\r\n").reply().status == 400
    victim = server.live()[0].pid
    kill([victim])
    said = server.wait_log(rf"Worker died .*pid: {victim}.*killed by SIGKILL.*\n")
    assert "running" not in said[0]


@pytest.mark.parametrize(
    ("path", "end"), [("segfault", "killed by SIGSEGV"), ("exit?7", "exited with status 7"), ("exit?0", "exited with status 0")]
)
def test_a_request_that_ends_its_worker_is_named_with_the_workers_end(serve, path, end):
    server = serve("ops:application")
    victim = server.live()[0].pid
    with server.wire() as wire:
        wire.get(f"/{path}")
        lost(wire)
    pattern = path.replace("?", r"\?")
    server.wait_log(rf"Worker died .*pid: {victim}.*: {end}; it was running GET /{pattern} {FOR}\n")


def test_sigabrt_shows_where_a_worker_is_and_names_what_it_was_running(serve, tmp_path):
    server = serve("ops:application", "--threads", "2")
    victim, started = server.live()[0].pid, tmp_path / "started"
    with server.wire() as wire:
        wire.get(f"/sleep?60,{started}")
        wait_until(started.exists, what="the request runs")
        kill([victim], signal.SIGABRT)
        lost(wire)
    server.wait_log(r'Fatal Python error: Aborted\n(.*\n)*?.*  File ".*ops\.py", line \d+ in sleep')
    server.wait_log(rf"Worker died .*pid: {victim}.*: killed by SIGABRT; it was running GET /sleep\?60,\S+ {FOR}\n")
    wait_until(lambda: server.live() and server.get("/hello").status == 200, 15, "another worker serves")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT], ids=["TERM", "QUIT"])
def test_a_worker_told_to_end_by_somebody_finishes_its_request_and_is_replaced(serve, tmp_path, number):
    server = serve("ops:application", workers=1)
    victim, started = server.live()[0].pid, tmp_path / "started"
    with server.wire() as wire:
        wire.get(f"/sleep?0.5,{started}")
        wait_until(started.exists, what="the request runs")
        kill([victim], number)
        assert wire.reply().json == victim
    said = server.wait_log(rf"Worker ended .*pid: {victim}.*: exited with status 0; it was told to end, but not by the arbiter.*\n")
    assert "was running" not in said[0]
    wait_until(lambda: server.live() and server.get("/hello").status == 200, 15, "another worker serves")


def test_a_request_line_that_is_long_is_cut_and_one_that_is_strange_forges_no_line(serve, tmp_path):
    server = serve("ops:application")
    victim, started = server.live()[0].pid, tmp_path / "started"
    with server.wire() as wire:
        wire.send(b"GET /sleep?60,%s%s HTTP/1.1\r\nHost: x\r\n\r\n" % (str(started).encode(), b"x" * 200))
        wait_until(lambda: list(tmp_path.glob("startedx*")), what="the request runs")
        kill([victim])
        lost(wire)
    said = server.wait_log(rf"pid: {victim}.*; it was running (GET /sleep\?60,\S+)\.\.\. {FOR}\n")
    assert len(said[1]) == 112


def test_a_halted_process_is_told_of_with_the_requests_in_it(serve, tmp_path):
    server = serve("ops:application", "--timeout", "1", "--timeout-grace", "1", "--threads", "2")
    victim, started = server.live()[0].pid, tmp_path / "started"
    with server.wire(timeout=20) as wire:
        wire.get(f"/sleep?60,{started}")
        wait_until(started.exists, what="the request runs")
        kill([victim], signal.SIGSTOP)
        lost(wire)
    server.wait_log(rf"WORKER TIMEOUT \(pid: {victim}\b.*at a halt.*; it was running GET /sleep\?60,\S+ {FOR}\n")


def test_a_worker_that_the_kernel_kills_for_want_of_memory_is_told_of_as_that(tmp_path):
    with memory_group(256 << 20) as join:
        if join is None:
            pytest.skip("no control group with a memory limit can be made here")
        with Server("ops:application", cwd=tmp_path).start(preexec_fn=join) as server:
            victim = server.live()[0].pid
            with server.wire(timeout=30) as wire:
                wire.get("/hoard?1000")
                lost(wire)
            said = rf"killed by SIGKILL: out of memory .*; it was running GET /hoard\?1000 {FOR}"
            server.wait_log(rf"Worker died .*pid: {victim}.*{said}\n")
            wait_until(lambda: not alive(victim) and server.live(), 15, "another worker")
            assert server.get("/hello").status == 200
