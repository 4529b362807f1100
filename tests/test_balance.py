"""Which worker gets a connection: none is overloaded while another has nothing to do."""

from collections import Counter
from contextlib import ExitStack

import pytest

from harness import wait_until
from harness.processes import open_files

pytestmark = pytest.mark.tapster


def test_connections_that_a_proxy_keeps_open_are_spread_over_the_workers(serve):
    server = serve("ops:application", "--keep-alive", "60", workers=4)
    with ExitStack() as stack:
        wires = [stack.enter_context(server.wire()) for _ in range(32)]
        served = Counter(wire.exchange("/pid").text for wire in wires)
    assert len(served) == 4, served
    assert max(served.values()) <= 16, served


def test_a_connection_is_not_left_to_a_worker_that_is_in_the_midst_of_a_request(serve, tmp_path):
    server = serve("ops:application", workers=2)
    with server.wire(timeout=30) as slow:
        began = tmp_path / "began"
        slow.get(f"/sleep?5,{began}")
        wait_until(began.exists, what="the slow request is running")
        # None of these may wait for the slow one, which would show as a time-out.
        assert len({server.get("/pid", timeout=2).text for _ in range(20)}) == 1


def test_an_idle_worker_makes_no_system_call(serve):
    server = serve("ops:application")
    worker = server.live()[0].pid
    files = len(open_files(worker))
    assert server.get("/hello").status == 200

    def switches():
        with open(f"/proc/{worker}/status") as status:
            return [line for line in status if "ctxt_switches" in line]

    wait_until(lambda: len(open_files(worker)) == files, what="the connection's end has been seen")
    before = switches()
    with pytest.raises(AssertionError, match="not within"):
        wait_until(lambda: switches() != before, 1.5)
