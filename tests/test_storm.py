"""Reloads, scaling and faults under the load of clients that count: whatever a person does to the server costs no request,
and whatever dies costs those that were in it and no other; the log says what happened, and the server is as before."""

import random
import resource
import signal
from pathlib import Path

import pytest

from harness import wait_until
from harness.exact import REFUSED, TIMEOUT, TRUNCATED, WRONG, Exact
from harness.processes import alive, kill, open_files
from harness.storms import deploy, wait_more
from harness.strangers import Stranger, needs_strangers, open_folder

pytestmark = pytest.mark.tapster
preload_or_not = pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no_preload", "preload"])


@pytest.fixture
def start(serve, tmp_path):
    """Starts a server of the application's version 1."""

    def start(*options, **settings):
        deploy(tmp_path, "1")
        return serve("deployed:application", "--pythonpath", str(tmp_path), *options, **settings)

    return start


def wait_workers(server, count, without=frozenset()):
    """Waits until so many workers are ready, none of them of those, and every one of those is gone."""

    def there():
        live = server.worker_pids()
        return len(live) == count and not live & set(without) and not any(alive(pid) for pid in without)

    wait_until(there, 40, lambda: f"{count} workers without {without}: {server.live()}; log:\n{server.tail()}")


def expect_none_lost(server, load):
    """Every request was answered right."""
    assert load.failures == [], f"{load.described()}; log:\n{server.tail()}"
    assert load.sent == load.answered


def expect_lost_only_in(server, load, dead):
    """What failed was on a connection to one of the dead, or on a new one that it may just have taken."""
    elsewhere = [failure for failure in load.failures if failure.last_pid not in (None, *dead)]
    assert not elsewhere, f"{elsewhere} of {dead}; {load.described()}; log:\n{server.tail()}"
    # The listeners stay open, and no reply is another's.
    assert not set(load.fates()) & {REFUSED, WRONG, TIMEOUT}, load.described()


# What a person does to it.


@preload_or_not
def test_hups_with_good_and_with_broken_code_lose_no_request(start, tmp_path, preload):
    server = start(*preload, workers=2)
    with Exact(server.address) as load:
        for number in range(2, 14):
            if number % 4 == 0:
                deploy(tmp_path, None)
                server.send(signal.SIGHUP)
                server.wait_log("SyntaxError", 20, count=number // 4)
                server.wait_log("goes on serving", 20, count=number // 4)
            else:
                deploy(tmp_path, str(number))
                server.reload(deadline=40)
            wait_more(load)
    expect_none_lost(server, load)
    assert {"1", "2", "3", "5", "11", "13"} <= load.versions()


@preload_or_not
def test_twenty_pairs_of_ttin_and_ttou_lose_no_request(start, preload):
    server = start(*preload, workers=2)
    with Exact(server.address) as load:
        for _ in range(20):
            server.send(signal.SIGTTIN)
            wait_workers(server, 3)
            server.send(signal.SIGTTOU)
            wait_workers(server, 2)
        wait_more(load)
    expect_none_lost(server, load)


def test_every_signal_at_random_loses_no_request(start, tmp_path):
    chance = random.Random(5)
    server = start("--preload", workers=2)
    with Exact(server.address) as load:
        for number in range(2, 30):
            deploy(tmp_path, str(number))
            server.send(chance.choice([signal.SIGHUP, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU]))
            wait_more(load, chance.choice([5, 50, 300]))
        deploy(tmp_path, "last")
        server.send(signal.SIGHUP)
        wait_until(lambda: "last" in load.versions(), 60, lambda: f"the last is served; log:\n{server.tail()}")
        # It need not be the one that serves the last: one more reload may have been asked for since.
        wait_until(lambda: len({worker.generation for worker in server.live()}) == 1, 60, "one generation is left")
        wait_more(load)
    expect_none_lost(server, load)
    assert server.get("/1?0,0").text.split()[2] == "last"


def test_all_that_waits_when_term_comes_is_answered(start):
    server = start(workers=1)
    wires = [server.wire(timeout=30) for _ in range(60)]
    for number, wire in enumerate(wires):
        # The first is in the application, the others are in the kernel's queue.
        wire.get(f"/{number}?{300 if number == 0 else 2},60")
    server.send(signal.SIGTERM)
    for number, wire in enumerate(wires):
        reply = wire.reply()
        assert (reply.status, reply.text.split()[0]) == (200, str(number))
        wire.close()
    assert server.wait_exit() == 0


# What dies.


def test_killed_workers_cost_what_was_in_them(start):
    chance = random.Random(3)
    server = start("--threads", "2", workers=3)
    dead = set()
    with Exact(server.address) as load:
        for _ in range(8):
            victim = chance.choice(sorted(server.worker_pids()))
            wait_more(load, 20)
            kill([victim])
            dead.add(victim)
            wait_workers(server, 3, without=dead)
            server.wait_log(f"{victim}.*SIGKILL")
        wait_more(load)
    expect_lost_only_in(server, load, dead)
    # Each was in it, or on a connection to it that waited to be accepted or read.
    assert len(load.failures) <= 8 * 12


@preload_or_not
def test_a_killed_template_costs_nothing(start, preload):
    server = start(*preload, workers=2)
    workers = server.worker_pids()
    with Exact(server.address) as load:
        for _ in range(3):
            template = server.template_pid()
            kill([template])
            server.wait_log(f"Template.*{template}.*SIGKILL")
            wait_until(lambda gone=template: server.template_pid() != gone, 30, "another template")
            wait_more(load)
        assert server.worker_pids() == workers
    expect_none_lost(server, load)


@preload_or_not
def test_a_template_that_is_killed_in_a_reload_costs_nothing_and_the_reload_is_made(start, tmp_path, preload):
    server = start(*preload, workers=2)
    old, before = server.worker_pids(), server.tree()
    deploy(tmp_path, "2")
    with Exact(server.address) as load:
        server.send(signal.SIGHUP)
        killed = wait_until(lambda: server.tree() - before, what="the new template")
        kill(killed)
        server.wait_log(f"{min(killed)}.*(SIGKILL|signal 9)")
        wait_workers(server, 2, without=old)
        wait_more(load)
    expect_none_lost(server, load)
    assert server.get("/1?0,0").text.split()[2] == "2"


@preload_or_not
def test_an_import_that_hangs_at_hup_costs_nothing(start, tmp_path, preload):
    server = start(*preload, workers=2, env={"TAPSTER_BOOT_TIMEOUT": "2"})
    old = server.worker_pids()
    with Exact(server.address) as load:
        (tmp_path / "deployed.py").write_text("import time\ntime.sleep(3600)\n")
        server.send(signal.SIGHUP)
        server.wait_log("not ready within boot_timeout")
        server.wait_log("goes on serving")
        wait_more(load)
        assert server.worker_pids() == old
        deploy(tmp_path, "2")
        server.reload()
        wait_more(load)
    expect_none_lost(server, load)
    assert load.versions() == {"1", "2"}


def test_a_worker_that_is_stopped_in_a_request_is_killed_and_costs_what_was_in_it(start, tmp_path):
    server = start("--threads", "2", "--timeout", "2", "--timeout-grace", "1", workers=2)
    begun = tmp_path / "begun"
    with Exact(server.address) as load, server.wire(timeout=30) as wire:
        wait_more(load, 100)
        victim = int(wire.exchange("/1?0,60").text.split()[3].rstrip("."))
        wire.get(f"/2?1500,60,{begun}")
        wait_until(begun.exists, what="the request runs")
        kill([victim], signal.SIGSTOP)
        server.wait_log(f"WORKER TIMEOUT.*{victim}", 30)
        wait_workers(server, 2, without={victim})
        wait_more(load)
    elsewhere = [failure for failure in load.failures if failure.last_pid not in (None, victim)]
    assert not elsewhere, f"{elsewhere}; {load.described()}; log:\n{server.tail()}"
    assert len(load.failures) <= 12
    assert not set(load.fates()) & {REFUSED, WRONG, TRUNCATED, TIMEOUT}, load.described()


# What there is none of.


@preload_or_not
def test_an_arbiter_without_descriptors_serves_on_and_reloads_when_there_are_some(start, tmp_path, preload):
    server = start(*preload, workers=2)
    old = server.worker_pids()
    most = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    deploy(tmp_path, "2")
    with Exact(server.address) as load:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (len(open_files(server.pid)), most[1]))
        server.send(signal.SIGHUP)
        server.wait_log(r"Too many open files|EMFILE", 20)
        wait_more(load)
        assert server.worker_pids() == old
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, most)
        server.reload(deadline=40)
        wait_more(load)
    expect_none_lost(server, load)
    assert load.versions() == {"1", "2"}


@pytest.fixture
def stranger(preload):
    """A server of the application's version 1, of a user for whom there is a limit of processes."""
    with open_folder() as folder:
        deploy(folder, "1")
        options = [*preload, "--pythonpath", str(folder)]
        with Stranger("deployed:application", *options, folder=folder, workers=2) as server:
            yield server


@needs_strangers
@preload_or_not
def test_a_full_pid_table_keeps_no_worker_away_for_longer_than_it_is_full(stranger):
    with Exact(stranger.address) as load:
        old = stranger.worker_pids()
        before = {pid: stranger.limit_processes(pid, 1) for pid in (stranger.pid, stranger.template_pid())}
        deploy(stranger.cwd, "2")
        stranger.send(signal.SIGHUP)
        stranger.wait_log("Generation 2.*goes on serving.*", 20)
        assert stranger.worker_pids() == old
        victim = min(old)
        kill([victim])
        stranger.wait_log("Resource temporarily unavailable|EAGAIN", 20, count=2)
        wait_more(load)
        for pid, most in before.items():
            stranger.limit_processes(pid, most)
        wait_workers(stranger, 2, without={victim})
        stranger.reload(deadline=40)
        wait_more(load)
    expect_lost_only_in(stranger, load, {victim})
    assert load.versions() == {"1", "2"}


def test_twenty_reloads_leave_the_arbiter_as_it_was(start, tmp_path):
    server = start(workers=1)
    server.reload()
    # Of those of before each had a channel.
    wait_until(lambda: len(server.tree()) == 3, 20, lambda: f"arbiter, template and worker alone: {server.tree()}")
    files, memory = len(open_files(server.pid)), resident_kib(server.pid)
    for _ in range(20):
        server.reload()
    wait_until(lambda: len(open_files(server.pid)) == files, 5, lambda: f"{files} files: {open_files(server.pid)}")
    grown = resident_kib(server.pid) - memory
    assert grown < 256, f"{grown} KiB in 20 reloads"
    assert resident_kib(server.pid) < 5 * 1024


def resident_kib(pid):
    """A process's resident memory."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0])
