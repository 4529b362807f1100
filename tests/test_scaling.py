"""With a range of `workers` their number follows the load: a real one that rises and falls, of which no request is lost."""

import re
import signal
import threading

import pytest

from harness import Load, run_tapster, wait_until
from harness.rest import wait_at_rest
from harness.upgrades import Upgrades

pytestmark = pytest.mark.tapster

#: The shortest that there are.
QUICK = ("--scale-window", "1s", "--scale-cooldown", "1s")


def wait_serving(server, number, deadline=40.0):
    """Waits until so many workers serve, and no other is left."""
    wait_until(
        lambda: len(server.live()) == number,
        deadline,
        lambda: f"{number} workers; live: {server.live()}; its log:\n{server.tail()}",
    )


def changes(server):
    """Each number of workers that the load has asked for: the one before, that one, and why."""
    found = re.findall(r"(\d+) workers?, no longer (\d+): (.*)", server.log())
    return [(int(before), int(number), why) for number, before, why in found]


class Newcomers:
    """Clients that make a connection for each request, so many at a time, until they are stopped."""

    def __init__(self, server, path, count):
        self.statuses, self.errors = [], []
        self._server, self._path, self._stop = server, path, threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a request is still unanswered after 30 s"

    def _run(self):
        while not self._stop.is_set():
            try:
                self.statuses.append(self._server.get(self._path, timeout=20).status)
            except Exception as error:
                self.errors.append(error)
                return


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_follows_a_load_that_rises_and_falls_and_no_request_is_lost(serve, threads):
    server = serve("ops:application", "--workers", "1-4", "--threads", str(threads), *QUICK, workers=None)
    assert len(server.live()) == 1
    for _ in range(2):
        with Newcomers(server, "/sleep?0.05", 6 * threads) as clients:
            wait_serving(server, 4)
        assert clients.errors == [] and set(clients.statuses) == {200}
        wait_serving(server, 1)
    assert all(1 <= number <= 4 and number >= before - 1 for before, number, _ in changes(server)), changes(server)


def test_kept_connections_find_the_workers_that_were_started_for_them(serve):
    # None of them retires, which would move its connections too.
    options = ("--keep-alive", "60", "--scale-cooldown", "1h")
    server = serve("ops:application", "--workers", "1-4", *options, workers=None)
    wires = [server.wire(timeout=20) for _ in range(8)]
    # As a proxy's, they were all made while there was one worker.
    assert {wire.exchange("/pid").status for wire in wires} == {200}
    bodies, errors, stop = set(), [], threading.Event()

    def use(wire):
        try:
            while not stop.is_set():
                reply = wire.exchange("/sleep?0.05")
                assert reply.status == 200
                bodies.add(int(reply.body))
                if (reply.header("connection") or "").lower() == "close":
                    wire.close()
                    wire = server.wire(timeout=20)
        except Exception as error:
            errors.append(error)

    users = [threading.Thread(target=use, args=(wire,), daemon=True) for wire in wires]
    for user in users:
        user.start()
    try:
        wait_serving(server, 4)
        wait_until(lambda: errors or server.worker_pids() <= bodies, 30, lambda: f"{server.live()} answer, not {bodies}")
    finally:
        stop.set()
        for user in users:
            user.join(30)
    assert errors == []


def test_on_a_unix_socket_the_threads_alone_tell_of_the_load(serve):
    server = serve("ops:application", "--workers", "1-3", *QUICK, workers=None, bind="unix:s.sock")
    with Load(server.address, "/sleep?0.05", connections=6, pause=0) as load:
        wait_serving(server, 3)
    wait_serving(server, 1)
    assert load.lost == [] and set(load.statuses) == {200}


def test_a_burst_is_met_long_before_the_window_is_over(serve, gate):
    server = serve("crowd:application", "--workers", "1-3", "--scale-window", "10m", workers=None)
    # The one that runs waits for the gate. The others can't be accepted by it, and are by those that come.
    wires = [server.wire(timeout=60).get(f"/stay?{gate.path},wait")]
    gate.wait_inside()
    wires += [server.wire(timeout=60).get(f"/stay?{gate.path},wait") for _ in range(3)]
    wait_serving(server, 3)
    gate.wait_inside(3)
    gate.open()
    assert [wire.reply().status for wire in wires] == [200] * 4
    assert all(re.fullmatch(r"all busy, and \d+ waits?", why) for *_, why in changes(server)), changes(server)


def test_that_more_workers_would_be_needed_than_there_may_be_is_said(serve, gate):
    server = serve("crowd:application", "--workers", "1-2", "--scale-window", "10m", workers=None)
    wires = [server.wire(timeout=60).get(f"/stay?{gate.path},wait")]
    gate.wait_inside()
    wires += [server.wire(timeout=60).get(f"/stay?{gate.path},wait") for _ in range(5)]
    server.wait_log(r"WARNING.*All 2 workers are busy and \d wait, and 2 is the most that workers allows", 30)
    gate.open()
    assert [wire.reply().status for wire in wires] == [200] * 6


def test_the_number_is_kept_by_a_reload(serve):
    server = serve("ops:application", "--workers", "1-3", *QUICK[:2], "--scale-cooldown", "1h", workers=None)
    with Newcomers(server, "/sleep?0.05", 6) as clients:
        wait_serving(server, 3)
        server.reload(workers=3, deadline=30)
    assert clients.errors == [] and set(clients.statuses) == {200}


def test_an_upgrade_begins_with_as_many_workers_as_there_are(serve):
    server = serve("ops:application", "--workers", "1-3", *QUICK[:2], "--scale-cooldown", "1h", workers=None)
    with Upgrades(server) as up, Newcomers(server, "/sleep?0.05", 6) as clients:
        wait_serving(server, 3)
        up.up(workers=3)
        before, _, _ = server.log().partition("This server serves beside the one before it")
        assert len(re.findall(rf"\[{up.new}\] .* Worker ready", before)) == 3
        server.wait_log(rf"\[{up.new}\] .* Workers to begin with: 3, since the server before this one has 3")
        up.hand_over()
    assert clients.errors == [] and set(clients.statuses) == {200}


def test_a_fixed_number_leaves_the_arbiter_at_rest(serve):
    server = serve("ops:application", workers=2)
    wait_at_rest(server.pid, seconds=1.0)


def test_the_application_is_told_that_it_may_have_siblings(serve):
    server = serve("conformance:application", "--workers", "1-2", workers=None)
    assert server.get("/environ").json["wsgi.multiprocess"] == ["bool", "True"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("{ min = 4, max = 2 }", "tapster.toml:1:28: `workers` must have a `max` that is at least its `min`, 4, not 2"),
        ("{ min = -1, max = 2 }", "tapster.toml:1:19: `workers` must have as its `min`"),
    ],
)
def test_an_impossible_range_is_an_error_and_at_a_reload_changes_nothing(serve, tmp_path, given, says):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "tapster.toml").write_text(f"workers = {given}\n")
    done = run_tapster("--check-config", "shapes:function", cwd=tmp_path / "bad")
    assert done.returncode == 1 and says in done.stderr, done.stderr
    server = serve("ops:application", workers=None, settings="workers = { min = 1, max = 2 }\n")
    server.write_settings(f"workers = {given}\n")
    server.send(signal.SIGHUP)
    server.wait_log(re.escape(says))
    assert len(server.live()) == 1 and server.get("/hello").status == 200
