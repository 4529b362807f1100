"""TERM with `drain_delay`: for that long the server goes on as before, but keeps no connection, so that clients go elsewhere."""

import signal
import time

import pytest

from harness import wait_until

pytestmark = pytest.mark.tapster


def closes(reply):
    """Whether the reply says that its connection ends."""
    return (reply.header("connection") or "").lower() == "close"


@pytest.fixture
def draining(serve):
    """Starts servers that are in their drain delay by now, each with a connection that was idle when that began."""

    def start(*options, **more):
        server = serve("ops:application", "--drain-delay", "60s", "--keep-alive", "60s", *options, **more)
        kept = server.wire()
        assert not closes(kept.exchange("/hello"))
        server.send(signal.SIGTERM)

        def is_told():
            with server.wire() as wire:
                return closes(wire.exchange("/hello"))

        wait_until(lambda: all(is_told() for _ in range(8)), 20, "every new connection is told to close")
        # A test's own TERM: two signals within a quarter of a second are taken for one that was delivered twice.
        time.sleep(0.3)
        return server, kept

    return start


@pytest.mark.parametrize("threads", ["1", "4"])
def test_during_the_delay_connections_are_accepted_answered_and_told_to_close(draining, threads):
    server, kept = draining("--threads", threads, workers=2)
    with kept:
        reply = kept.exchange("/hello")
        assert reply.status == 200 and closes(reply), "an idle connection is not cut, but told at its next request"
        kept.expect_closed()
    assert server.stop(deadline=20) == 0, "a second TERM ends the delay"


def test_a_request_that_runs_when_the_delay_begins_is_answered(draining, tmp_path):
    server, kept = draining("--threads", "2")
    with kept, server.wire(timeout=20) as slow:
        started = tmp_path / "started"
        slow.get(f"/sleep?1,{started}")
        wait_until(started.exists, what="the request runs")
        reply = slow.reply()
        assert reply.status == 200 and closes(reply)
    assert server.stop(deadline=20) == 0, "a second TERM ends the delay"
