"""Faults from outside: no process, no descriptor, no room to be had. The server says what happened, and recovers when it is over."""

import os
import re
import resource
import shutil
import signal
import subprocess
import uuid

import pytest

from harness import APPS, TAPSTER, wait_until
from harness.processes import alive, open_files
from harness.server import clean_environment
from harness.strangers import Stranger, needs_strangers, open_folder
from harness.waiting import always

pytestmark = pytest.mark.tapster

APP = "ops:application"


def _limit(pid, what, soft):
    """Sets a limit of a running process, and returns the one that it had."""
    _, hard = resource.prlimit(pid, what)
    return resource.prlimit(pid, what, (soft, hard))


@pytest.fixture
def stranger():
    """One worker, of which another user is the owner as of the arbiter."""
    with open_folder() as folder, Stranger(APP, folder=folder) as server:
        yield server


def _refusals(server):
    """How often the log says that a process can't be had."""
    return len(re.findall(r"can't be (?:forked|started).*Resource temporarily unavailable", server.log()))


@needs_strangers
def test_a_full_pid_table_is_told_and_tried_ever_more_rarely_until_there_is_room(stranger):
    template, worker = stranger.template_pid(), stranger.live()[0].pid
    before = stranger.limit_processes(template, 1)
    os.kill(worker, signal.SIGKILL)
    stranger.wait_log("A worker can't be forked .*Resource temporarily unavailable", count=4)
    # With a trial at each turn of the loop it would be thousands by now.
    assert _refusals(stranger) < 20
    stranger.limit_processes(template, before)
    wait_until(lambda: stranger.live(), 30, stranger.tail)
    assert stranger.get("/hello").status == 200


@needs_strangers
def test_a_reload_that_gets_no_process_changes_nothing_and_the_next_one_does(stranger):
    before = stranger.limit_processes(stranger.pid, 1)
    stranger.send(signal.SIGHUP)
    stranger.wait_log("The template of generation 2 can't be started: .*Resource temporarily unavailable")
    stranger.wait_log("Generation 2 failed to boot; generation 1 goes on serving", deadline=20)
    assert stranger.get("/hello").status == 200
    stranger.limit_processes(stranger.pid, before)
    stranger.reload()
    assert stranger.get("/hello").status == 200


def _without_descriptors(server):
    """Leaves the arbiter no number for another descriptor, and returns the limit that it had."""
    used = open_files(server.pid)
    free = next(number for number in range(max(used) + 2) if number not in used)
    return _limit(server.pid, resource.RLIMIT_NOFILE, free)


def test_an_arbiter_without_descriptors_says_so_and_replaces_its_worker_when_it_has_some(serve):
    server = serve(APP, workers=2)
    before = _without_descriptors(server)
    victim, other = (each.pid for each in server.live())
    os.kill(victim, signal.SIGKILL)
    server.wait_log("A worker can't be forked .*Too many open files", count=3)
    assert len(re.findall("Too many open files", server.log())) < 20
    assert server.get("/pid").json == other
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    wait_until(lambda: len(server.live()) == 2, 30, server.tail)


def test_a_reload_without_descriptors_changes_nothing_and_the_next_one_does(serve):
    server = serve(APP, settings="threads = 1\n")
    before = _without_descriptors(server)
    server.send(signal.SIGHUP)
    server.wait_log("Too many open files")
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    assert server.get("/pid").json == server.live()[0].pid
    newest = max(each.generation for each in server.ready())
    server.send(signal.SIGHUP)
    wait_until(lambda: server.live() and all(each.generation > newest for each in server.live()), 30, server.tail)


def _run_limited(folder, *options, limits, deadline=20):
    """Runs a server that can't start, in a shell's limits; what it says comes by a pipe, which has no size."""
    words = [str(TAPSTER), "--bind", "127.0.0.1:0", "--pythonpath", str(APPS), *options, APP]
    return subprocess.run(
        ["prlimit", *limits, "--", *words],
        cwd=folder,
        env=clean_environment(uuid.uuid4().hex),
        capture_output=True,
        text=True,
        timeout=deadline,
        check=False,
    )


def test_a_scoreboard_that_cant_be_made_is_an_error_at_the_start(tmp_path):
    done = _run_limited(tmp_path, "--pid", "pid", limits=["--fsize=4096"])
    assert done.returncode == 1, done
    assert "can't make the scoreboard: File too large" in done.stderr
    assert not (tmp_path / "pid").exists()


def test_a_log_that_may_not_grow_ends_nobody(serve, tmp_path):
    server = serve(APP, "--error-logfile", "log", wait=False)
    log = tmp_path / "log"
    wait_until(lambda: log.exists() and "Worker ready" in log.read_text(), 20, "a worker is ready")
    before = _limit(server.pid, resource.RLIMIT_FSIZE, log.stat().st_size)
    server.send(signal.SIGTTIN)
    always(lambda: alive(server.pid), 0.5)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)
    server.send(signal.SIGTTOU)
    wait_until(lambda: "lines are missing here" in log.read_text(), 20, log.read_text)
    assert server.get("/hello").status == 200


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for a few pages."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("not root, or no mount")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False)
    if done.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_under_the_log_stops_nothing_and_the_log_says_later_how_much_it_lacks(small_disk, serve):
    log, filler = small_disk / "log", small_disk / "filler"
    server = serve(APP, "--error-logfile", str(log), wait=False)
    wait_until(lambda: log.exists() and "Worker ready" in log.read_text(), 20, "a worker is ready")
    fill = log.stat().st_size
    # The log's own page is filled up as well.
    with log.open("a") as end:
        end.write("x" * (-fill % 4096 - 1) + "\n")
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    worker = server.get("/pid").json
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: _pid_or_none(server) not in (None, worker), 20, "another worker")
    filler.unlink()
    server.send(signal.SIGTTIN)
    wait_until(lambda: re.search(r"\d+ lines are missing here", log.read_text()), 20, log.read_text)
    assert server.get("/hello").status == 200


def _pid_or_none(server):
    try:
        return server.get("/pid").json
    except OSError:
        return None
