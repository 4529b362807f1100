"""Upgrades of the program and recycled workers under the load of clients that count: whatever follows, no request is lost."""

import os
import signal

import pytest

from harness import wait_until
from harness.exact import Exact
from harness.processes import alive
from harness.storms import deploy, wait_more

pytestmark = pytest.mark.tapster
preload_or_not = pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])


def pid_in(path):
    """The pid in a pid file, or 0."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


@preload_or_not
@pytest.mark.parametrize("handover", [signal.SIGQUIT, signal.SIGTERM], ids=["QUIT", "TERM"])
def test_five_upgrades_lose_no_request(serve, tmp_path, preload, handover):
    deploy(tmp_path, "1")
    pid_file = tmp_path / "pid"
    server = serve(
        "deployed:application", *preload, "--pythonpath", str(tmp_path), "--pid", str(pid_file), workers=2
    )
    with Exact(server.address) as load:
        for number in range(1, 6):
            version = str(number + 1)
            deploy(tmp_path, version)
            old, before = pid_in(pid_file), server.tree()
            os.kill(old, signal.SIGUSR2)
            wait_until(lambda: version in load.versions(), 30, lambda: f"{version} answers; log:\n{server.tail()}")  # noqa: B023
            # The old arbiter hears of it a moment later than a client may.
            server.wait_log("The new server serves beside this one", 30, count=number)
            os.kill(old, handover)
            wait_until(lambda: pid_in(pid_file) not in (0, old), 40, lambda: f"a new pid; log:\n{server.tail()}")  # noqa: B023
            wait_until(lambda: not any(map(alive, before)), 40, lambda: f"the old ones gone; log:\n{server.tail()}")  # noqa: B023
            wait_more(load)
    assert server.wait_exit() == 0, "the first of them has handed over"
    os.kill(pid_in(pid_file), signal.SIGTERM)
    wait_until(lambda: not server.tree(), 20, lambda: f"all gone; log:\n{server.tail()}")
    assert load.failures == [], f"{load.described()}; log:\n{server.tail()}"
    assert load.versions() == {"1", "2", "3", "4", "5", "6"}


@preload_or_not
@pytest.mark.parametrize("threads", [1, 4])
def test_workers_that_are_replaced_after_fifty_requests_lose_none(serve, preload, threads):
    options = [*preload, "--threads", str(threads), "--max-requests", "50"]
    server = serve("numbered:application", *options, workers=2)
    with Exact(server.address) as load:
        wait_more(load, 2000)
    assert load.failures == [], f"{load.described()}; log:\n{server.tail()}"
    # A worker goes on until its successor serves, so it answers more than fifty; but not for long.
    assert len(load.pids()) >= 4, f"{len(load.pids())} workers for {load.answered} requests"
