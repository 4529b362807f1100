"""What each signal to the arbiter does, and how a stop treats requests, connections and those who exceed its time."""

import os
import signal
import socket
import time

import pytest

from harness import Truncated, wait_until
from harness.processes import alive, halted
from harness.rest import wait_at_rest

pytestmark = pytest.mark.tapster


def running_request(server, tmp_path, seconds, name="started"):
    """A connection on which a request of so many seconds has reached the application."""
    started = tmp_path / name
    wire = server.wire(timeout=20).get(f"/sleep?{seconds},{started}")
    wait_until(started.exists, what="the request runs")
    return wire


def refuses(server):
    """Whether a new connection is refused."""
    try:
        socket.create_connection(server.address, timeout=1).close()
    except (ConnectionRefusedError, ConnectionResetError):
        # The second is for one that comes just when the listener is closed.
        return True
    return False


def test_term_finishes_the_running_request_refuses_new_ones_and_exits_0(serve, tmp_path):
    server = serve("ops:application", workers=2)
    wire = running_request(server, tmp_path, 5)
    server.send(signal.SIGTERM)
    wait_until(lambda: refuses(server), 4.5, "new connections are refused while the request still runs")
    assert wire.reply().status == 200
    assert server.wait_exit(6) == 0


def test_term_answers_what_was_sent_before_it(serve, tmp_path):
    server = serve("ops:application")
    wire = running_request(server, tmp_path, 1)
    wire.get("/pid")
    server.send(signal.SIGTERM)
    assert wire.reply().status == 200
    server.wait_exit(5)


@pytest.mark.parametrize("sent", ["", "GET /pid HT", "GET /pid HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["silent", "half", "idle"])
def test_term_does_not_wait_for_connections_without_a_request(serve, sent):
    server = serve("ops:application", "--graceful-timeout", "60", "--keep-alive", "60")
    with server.wire(timeout=20) as wire:
        wire.send(sent)
        if sent.endswith("\r\n"):
            assert wire.reply().status == 200
        else:
            assert server.get("/hello").status == 200
        assert server.stop(signal.SIGTERM, deadline=8) == 0


def test_a_reply_that_is_still_being_sent_is_finished_before_the_exit(serve):
    server = serve("conformance:application")
    size = 30 << 20
    with server.wire(timeout=20) as wire:
        wire.get(f"/length?{size},{size}")
        data = wire.socket.recv(1000)
        server.send(signal.SIGTERM)
        server.wait_log("SIGTERM from")
        wire._buffer = data
        assert len(wire.reply().body) == size
    assert server.wait_exit(5) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["INT", "QUIT"])
def test_int_and_quit_wait_for_no_request_that_takes_long_and_exit_0(serve, tmp_path, number):
    server = serve("ops:application", "--graceful-timeout", "60", workers=2)
    wire = running_request(server, tmp_path, 60)
    begun = time.monotonic()
    assert server.stop(number, deadline=8) == 0
    assert time.monotonic() - begun < 6
    with pytest.raises(Truncated):
        wire.reply()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["INT", "QUIT"])
def test_int_and_quit_finish_a_request_that_takes_a_moment(serve, tmp_path, number, threads):
    server = serve("ops:application", "--graceful-timeout", "60", "--keep-alive", "60", "--threads", str(threads))
    with server.wire(timeout=20) as idle, server.wire(timeout=20).send("GET /pid HT"):
        idle.expect_open("/pid")
        with running_request(server, tmp_path, 0.5) as wire:
            server.send(number)
            wait_until(lambda: refuses(server), what="new connections are refused")
            reply = wire.reply()
            assert (reply.status, reply.json) == (200, server.live()[0].pid if server.live() else reply.json)
        assert server.wait_exit(8) == 0
    assert "did not stop in time" not in server.log()


def test_quit_to_a_worker_alone_lets_its_request_finish(serve, tmp_path):
    server = serve("ops:application", "--graceful-timeout", "60")
    worker = server.live()[0].pid
    with running_request(server, tmp_path, 0.5) as wire:
        os.kill(worker, signal.SIGQUIT)
        assert wire.reply().json == worker
    wait_until(lambda: not alive(worker) and len(server.live()) == 1, what="another worker in its place")


def test_int_during_a_graceful_stop_finishes_a_request_that_takes_a_moment(serve, tmp_path):
    server = serve("ops:application", "--graceful-timeout", "60", "--threads", "2")
    with running_request(server, tmp_path, 60, "long") as long, running_request(server, tmp_path, 0.7, "short") as short:
        server.send(signal.SIGTERM)
        server.wait_log("SIGTERM from")
        server.send(signal.SIGINT)
        assert short.reply().status == 200
        with pytest.raises(Truncated):
            long.reply()
    assert server.wait_exit(8) == 0


def test_a_request_that_exceeds_graceful_timeout_is_killed_and_that_is_said(serve, tmp_path):
    server = serve("ops:application", "--graceful-timeout", "1")
    pid = server.live()[0].pid
    wire = running_request(server, tmp_path, 60)
    assert server.stop(signal.SIGTERM, deadline=8) == 0
    server.wait_log(rf"\b{pid}\b.*(did not stop in time|graceful_timeout)")
    with pytest.raises(Truncated):
        wire.reply()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_second_stop_signal_never_makes_the_stop_slower(serve, tmp_path, second):
    server = serve("ops:application", "--graceful-timeout", "4")
    running_request(server, tmp_path, 60)
    server.send(signal.SIGTERM)
    server.wait_log("SIGTERM from")
    assert server.stop(second, deadline=9) == 0


def test_int_cuts_a_graceful_stop_short(serve, tmp_path):
    server = serve("ops:application", "--graceful-timeout", "60")
    running_request(server, tmp_path, 60)
    server.send(signal.SIGTERM)
    server.wait_log("SIGTERM from")
    assert server.stop(signal.SIGINT, deadline=8) == 0


def test_hup_during_a_stop_does_not_undo_it(serve, tmp_path):
    server = serve("ops:application")
    wire = running_request(server, tmp_path, 1)
    server.send(signal.SIGTERM)
    server.send(signal.SIGHUP)
    assert wire.reply().status == 200
    assert server.wait_exit(8) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_server_that_is_still_booting_can_be_stopped(serve, number):
    server = serve("ops:application", wait=False, env={"OPS_SLEEP_AT_IMPORT": "60"})
    wait_until(lambda: len(server.tree()) >= 3, what="a worker boots")
    assert server.stop(number, deadline=8) == 0


def test_ttin_and_ttou_change_the_number_of_workers(serve):
    server = serve("ops:application")
    for number, workers in ((signal.SIGTTIN, 2), (signal.SIGTTIN, 3), (signal.SIGTTOU, 2), (signal.SIGTTOU, 1)):
        server.send(number)
        wait_until(lambda workers=workers: len(server.live()) == workers, what=f"{workers} live workers")
    assert server.get("/pid").json == server.live()[0].pid


def test_ttou_never_takes_the_last_worker(serve):
    server = serve("ops:application")
    only = server.worker_pids()
    server.send(signal.SIGTTOU)
    server.wait_log("SIGTTOU from")  # of two pending signals the kernel delivers the lower number first
    server.send(signal.SIGTTIN)
    wait_until(lambda: len(server.live()) == 2, what="TTIN, which came after TTOU, was acted upon")
    assert only <= server.worker_pids()


def test_ttou_lets_the_retiring_worker_finish_its_request(serve, tmp_path):
    server = serve("ops:application", workers=2)
    wires = [running_request(server, tmp_path, 1.5, f"started-{number}") for number in range(2)]
    server.send(signal.SIGTTOU)
    assert [wire.reply().status for wire in wires] == [200, 200]
    wait_until(lambda: len(server.live()) == 1, what="one worker")


@pytest.mark.parametrize("number", [signal.SIGPIPE, signal.SIGCHLD], ids=lambda each: each.name)
def test_signals_that_mean_nothing_change_nothing(serve, number):
    server = serve("ops:application")
    before = server.tree()
    server.send(number)
    server.send(signal.SIGTTIN)
    wait_until(lambda: len(server.live()) == 2, what="the arbiter lives and acts upon a later signal")
    assert before <= server.tree()


def test_term_to_a_worker_lets_it_finish_and_it_is_replaced(serve, tmp_path):
    server = serve("ops:application")
    worker = server.live()[0].pid
    wire = running_request(server, tmp_path, 1)
    os.kill(worker, signal.SIGTERM)
    assert wire.reply().json == worker
    wait_until(lambda: not alive(worker) and len(server.live()) == 1, what="another worker in its place")
    assert server.get("/pid").json != worker


def test_hup_that_comes_together_with_winch_brings_the_workers_back(serve):
    server = serve("ops:application", workers=2)
    first = server.worker_pids()
    with halted(server.pid):
        server.send(signal.SIGHUP)
        server.send(signal.SIGWINCH)
    server.wait_log("The reload is complete: generation 2 serves alone")
    wait_until(lambda: len(server.live()) == 2 and not server.worker_pids() & first, 20, server.tail)
    assert server.get("/hello").status == 200


def test_quit_that_comes_together_with_usr2_hands_over(upgrades):
    up = upgrades()
    with halted(up.server.pid):
        up.server.send(signal.SIGQUIT)
        up.server.send(signal.SIGUSR2)
    found = up.server.wait_log(r"The new server has been started \(pid: (\d+)\)")
    up.pids.append(int(found[1]))
    up.wait_alone()
    assert up.server.get().text == "1"


@pytest.mark.parametrize("halts", ["arbiter", "template"])
def test_a_halt_longer_than_boot_timeout_makes_nobody_late_who_was_in_time(serve, make_gate, tmp_path, halts):
    options = ("--boot-timeout", "2s")
    server = serve("crowd:application", *options, env={"CROWD_IMPORT": str(tmp_path / "import")})
    gate = make_gate("import")
    before = server.tree()
    if halts == "arbiter":
        server.send(signal.SIGTTIN)
        gate.wait_inside()
        with halted(server.pid):
            gate.open()
            (booting,) = server.tree() - before
            wait_at_rest(booting)
            time.sleep(2.1)
    else:
        gate.open()
        with halted(server.template_pid()):
            server.send(signal.SIGTTIN)
            server.wait_log("2 workers, no longer 1")
            time.sleep(2.1)
    wait_until(lambda: len(server.live()) == 2, 10, server.tail)
    assert "was not ready" not in server.log() and "failed to boot" not in server.log()
