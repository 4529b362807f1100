"""Workers that have served enough, or have grown too large, give way to new ones: without a request lost, and with the reason in
the log."""

import re
import threading

import pytest

from harness import Load, Truncated, wait_until
from harness.processes import alive

pytestmark = pytest.mark.tapster
preload_or_not = pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])


class Watch:
    """Notes the fewest workers that served at a time while it runs, by the log."""

    def __init__(self, server):
        self.server = server
        self.fewest = len(server.live())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(30)

    def _look(self):
        while not self._stop.wait(0.01):
            self.fewest = min(self.fewest, len(self.server.live()))


def told(server):
    """How often, and after how many requests, workers have said that they have served enough."""
    said = re.findall(r"from: Worker\(\d+\), report: WornOut \{ requests: (\d+) \}", server.log())
    return [int(requests) for requests in said]


@preload_or_not
def test_workers_that_have_served_max_requests_are_replaced_and_no_request_is_lost(serve, preload):
    server = serve("ops:application", "--max-requests", "50", *preload, workers=2)
    first = server.worker_pids()
    with Load(server.address, path="/pid", connections=4) as load, Watch(server) as watch:
        wait_until(lambda: len(server.ready()) >= 8, 60, lambda: f"six replacements; log:\n{server.tail()}")
        load.wait_answered(50)
    assert not load.lost and set(load.statuses) == {200}
    assert watch.fewest >= 2, "there were always as many as before"
    wait_until(lambda: not any(map(alive, first)), 15, "the first workers are gone")
    server.wait_log(r"max_requests")


def test_a_worker_says_once_that_it_has_served_enough_and_goes_on(serve):
    server = serve("ops:application", "--max-requests", "5", "--log-level", "debug")
    with server.wire() as wire:
        for _ in range(4):
            assert wire.exchange("/hello").status == 200
        assert not told(server)
        for _ in range(8):
            reply = wire.exchange("/hello")
            assert reply.status == 200
            if reply.header("connection") == "close":
                break
    wait_until(lambda: told(server), what="the worker has said so")
    assert told(server)[0] == 5


def test_with_jitter_a_worker_goes_at_a_number_beyond_max_requests(serve):
    options = ["--max-requests", "5", "--max-requests-jitter", "1000000", "--log-level", "debug", "--threads", "2"]
    server = serve("ops:application", *options, workers=4)
    with Load(server.address, path="/pid", connections=4) as load:
        load.wait_answered(400)
    assert not told(server), "one that is chosen from a million is not reached by a hundred"


def test_a_worker_with_a_slow_request_finishes_it_before_it_goes(serve, tmp_path):
    server = serve("ops:application", "--max-requests", "3", "--threads", "2")
    old, started = server.live()[0].pid, tmp_path / "started"
    with server.wire(timeout=30) as slow:
        slow.get(f"/sleep?3,{started}")
        wait_until(started.exists, what="the slow request runs")
        for _ in range(4):
            assert server.get("/hello").status == 200
        wait_until(lambda: len(server.ready()) == 2, 15, "the next worker")
        assert slow.reply().json == old
    wait_until(lambda: not alive(old), 15, "the old worker is gone")


@pytest.mark.parametrize("measure", ["pss", "uss"])
def test_the_memory_of_workers_is_measured_only_where_a_limit_is_set(serve, measure):
    options = ["--memory-measure", measure, "--memory-interval", "1s", "--log-level", "debug"]
    server = serve("ops:application", *options, "--max-memory", "8GiB", workers=2)
    for slot in (0, 1):
        size = server.wait_log(rf"Measured \{{ sizes: \[\({slot}, (\d+)\)\] \}}")
        assert 1 << 20 < int(size[1]) < 1 << 30
    unlimited = serve("ops:application", *options)
    assert unlimited.get("/sleep?2.5").status == 200
    assert "Measured" not in unlimited.log()


@preload_or_not
def test_a_worker_that_has_grown_over_max_memory_gives_way_after_its_requests(serve, preload):
    options = ["--max-memory", "150MiB", "--memory-interval", "1s", "--threads", "2", *preload]
    server = serve("ops:application", *options)
    old = server.live()[0].pid
    with Load(server.address, path="/pid", connections=2) as load, Watch(server) as watch:
        assert server.get("/hoard?200").json == old
        wait_until(lambda: not alive(old), 30, lambda: f"the worker is replaced; log:\n{server.tail()}")
        load.wait_answered(20)
    assert not load.lost and watch.fewest >= 1
    server.wait_log(rf"{old}.*max_memory = 150 ?MiB")


def test_a_worker_over_max_memory_hard_is_killed_at_once_with_the_reason_and_its_request(serve, tmp_path):
    options = ["--max-memory-hard", "150MiB", "--memory-interval", "1s", "--threads", "2"]
    server = serve("ops:application", *options)
    old, started = server.live()[0].pid, tmp_path / "started"
    with server.wire(timeout=30) as wire:
        wire.get(f"/sleep?60,{started}")
        wait_until(started.exists, what="the request runs")
        assert server.get("/hoard?200").json == old
        with pytest.raises(Truncated):
            wire.reply()
    server.wait_log(rf"{old}.*max_memory_hard = 150 ?MiB")
    server.wait_log(rf"{old}.*it was running GET /sleep\?60")
    wait_until(lambda: server.live() and server.get("/hello").status == 200, 15, "another worker serves")


def test_limits_of_memory_that_contradict_each_other_are_an_error_before_anything_is_bound(serve):
    server = serve("ops:application", "--max-memory", "512MiB", "--max-memory-hard", "256MiB", wait=False)
    server.expected_exit = None
    assert server.wait_exit() in (1, 2)
    server.wait_log("--max-memory-hard must be at least `max_memory`, 512MiB, or 0, not 256MiB")
