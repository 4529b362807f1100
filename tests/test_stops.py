"""Stops that wait, and stops that follow one another: `drain_delay`, a second TERM, a second INT."""

import os
import signal
import time

import pytest

from harness import Truncated, wait_until

pytestmark = pytest.mark.tapster


def running_request(server, tmp_path, seconds):
    """A connection on which a request of so many seconds has reached the application."""
    started = tmp_path / "started"
    wire = server.wire(timeout=20).get(f"/sleep?{seconds},{started}")
    wait_until(started.exists, what="the request runs")
    return wire


def stopping_after_a_delay(serve, *options, **settings):
    """A server that has got TERM and goes on serving for an hour."""
    server = serve("ops:application", "--drain-delay", "1h", *options, **settings)
    server.send(signal.SIGTERM)
    server.wait_log("SIGTERM from .*serving on for drain_delay = 3600 s, then stopping")
    return server


def test_with_a_drain_delay_the_server_serves_on_after_term_and_replaces_what_dies(serve):
    server = stopping_after_a_delay(serve)
    assert server.get("/hello").status == 200
    old = server.live()[0].pid
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: server.worker_pids() - {old}, what="another worker in its place")
    assert server.get("/hello").status == 200
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH):
        server.send(number)
        server.wait_log(f"{number.name} from .*ignored, the server is stopping")
    assert server.get("/hello").status == 200
    # A TERM so soon after the first would be taken for the same one.
    assert server.stop(signal.SIGINT) == 0


def test_the_server_stops_when_drain_delay_is_over(serve):
    server = serve("ops:application", "--drain-delay", "500ms")
    assert server.stop(signal.SIGTERM) == 0
    assert "drain_delay is over: stopping after the running requests" in server.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda each: each.name)
def test_a_second_signal_ends_the_drain_delay(serve, number):
    server = stopping_after_a_delay(serve)
    # Two signals within a quarter of a second are taken for one that was delivered twice.
    time.sleep(0.3)
    assert server.stop(number) == 0


def test_a_second_int_kills_everything_at_once_and_says_so(serve, tmp_path):
    server = serve("ops:application", "--graceful-timeout", "60")
    wire = running_request(server, tmp_path, 60)
    server.send(signal.SIGINT)
    server.wait_log("SIGINT from .*stopping quickly")

    def asked_again():
        # Within a quarter of a second it is taken for the first one, delivered twice.
        server.send(signal.SIGINT)
        return "again, so everything is killed at once (workers left: 1)" in server.log()

    wait_until(asked_again, 1.5, server.tail, every=0.05)
    assert server.wait_exit() == 0
    with pytest.raises(Truncated):
        wire.reply()


def test_a_second_term_says_that_the_server_is_stopping_already(serve, tmp_path):
    server = serve("ops:application")
    with running_request(server, tmp_path, 1) as wire:
        server.send(signal.SIGTERM)
        server.wait_log("SIGTERM from .*stopping after the running requests")
        time.sleep(0.3)
        server.send(signal.SIGTERM)
        server.wait_log("SIGTERM from .*the server is stopping already, after the running requests")
        assert wire.reply().status == 200
    assert server.wait_exit() == 0


def test_what_waits_where_no_worker_is_ready_is_counted_at_the_stop(serve):
    server = serve("ops:application")
    template = server.template_pid()
    server.send(signal.SIGWINCH)
    wait_until(lambda: server.tree() == {server.pid, template}, what="the arbiter and its template are left")
    with server.wire() as one, server.wire() as other:
        for wire in (one, other):
            wire.get("/hello")
        server.send(signal.SIGTERM)
        server.wait_log("WARNING.*Connections that waited to be accepted are refused, since no worker is there to take them: 2")
        assert server.wait_exit() == 0
