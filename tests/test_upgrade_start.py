"""USR2: which program is started, what it is started with, and what its start has to do with a service manager or a container."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from harness import TAPSTER, Server, wait_until
from harness.ports import free_port
from harness.processes import alive, children
from harness.server import clean_environment
from harness.upgrades import Upgrades, arbiters_state, deploy

pytestmark = pytest.mark.tapster


class Installed(Server):
    """A server whose program is a copy, which a test may replace."""

    program = TAPSTER

    def command(self):
        return [str(self.program), *super().command()[1:]]


@pytest.fixture
def installed(tmp_path):
    """Starts a server from a folder `one`, to which the link `current` leads."""
    deploy(tmp_path, 1)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy2(TAPSTER, tmp_path / name / "tapster")
        shutil.copy2(TAPSTER.parent / "lib_tapster.so", tmp_path / name / "lib_tapster.so")
    (tmp_path / "current").symlink_to("one")
    server = Installed("deployed:application", "--pythonpath", str(tmp_path), cwd=tmp_path)
    server.program = tmp_path / "current" / "tapster"
    server.start()
    try:
        with Upgrades(server) as up:
            yield up
    finally:
        server.close(quiet=sys.exc_info()[0] is not None)


def program_of(pid):
    return Path(os.readlink(f"/proc/{pid}/exe"))


def test_the_program_that_has_taken_the_old_ones_place_is_started(installed, tmp_path):
    old = tmp_path / "one" / "tapster"
    inode = old.stat().st_ino
    shutil.copy2(TAPSTER, tmp_path / "fresh")
    (tmp_path / "fresh").rename(old)
    installed.up()
    assert program_of(installed.new) == old and old.stat().st_ino != inode
    installed.hand_over()


def test_a_link_to_the_program_that_is_set_anew_is_followed(installed, tmp_path):
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "current")
    installed.up()
    assert program_of(installed.new) == tmp_path / "two" / "tapster"
    installed.hand_over()


@pytest.mark.parametrize("damage", ["missing", "no program", "ends at once"])
def test_a_program_that_can_not_be_started_changes_nothing(installed, tmp_path, damage):
    server, old = installed.server, tmp_path / "one" / "tapster"
    before = (server.tree(), arbiters_state(server.pid))
    old.rename(tmp_path / "kept")
    if damage != "missing":
        old.write_text("#!/bin/sh\nexit 7\n" if damage == "ends at once" else "no program")
        old.chmod(0o755)
    server.send(signal.SIGUSR2)
    if damage != "missing":
        # A text is a script to execvp(3).
        status = 7 if damage == "ends at once" else 127
        server.wait_log(f"The new server died before it was ready .*exited with status {status}; this one goes on")
    else:
        server.wait_log(r"No new server is started, and this one goes on: .*/current/tapster can't be run in")
    wait_until(lambda: (server.tree(), arbiters_state(server.pid)) == before, what="nothing has changed")
    assert server.get().text == "1"
    (tmp_path / "kept").rename(old)
    installed.up()
    installed.hand_over()


def test_a_new_program_that_hangs_can_be_ended_by_the_signal_that_the_log_names(installed, tmp_path):
    server, old = installed.server, tmp_path / "one" / "tapster"
    old.rename(tmp_path / "kept")
    old.write_text("#!/bin/sh\nexec sleep 3600\n")
    old.chmod(0o755)
    server.send(signal.SIGUSR2)
    server.wait_log(r"The new server has been started \(pid: \d+\)")
    new = int(re.search(r"The new server has been started \(pid: (\d+)\)", server.log())[1])
    wait_until(lambda: Path(f"/proc/{new}/comm").read_text() == "sleep\n", what="the program has been replaced")
    os.kill(new, signal.SIGTERM)
    server.wait_log("The new server has ended before it was ready .*killed by SIGTERM; this one goes on")
    (tmp_path / "kept").rename(old)


class Manager:
    """The socket of a service manager, and what it was told, by whom."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(0.05)
        self.told = []
        self.speakers = set()
        #: How often each pid has said that its loop turns.
        self.beats = Counter()

    def hear(self):
        """All (pid, assignment) so far but those of which there may be any number."""
        often = ("STATUS=", "WATCHDOG=", "EXTEND_TIMEOUT_USEC=")
        try:
            while True:
                data, control, _, _ = self.socket.recvmsg(4096, 256)
                pid = int.from_bytes(control[0][2][:4], sys.byteorder)
                self.speakers.add(pid)
                self.beats[pid] += data == b"WATCHDOG=1"
                self.told += [(pid, line) for line in data.decode().splitlines() if not line.startswith(often)]
        except TimeoutError:
            return self.told


def test_the_service_manager_hears_one_server_at_a_time_and_is_told_which(upgrades, tmp_path):
    manager = Manager(tmp_path / "notify")
    up = upgrades(env={"NOTIFY_SOCKET": manager.path})
    old = up.new
    up.up()
    os.kill(up.new, signal.SIGTERM)
    up.forget()
    up.up()
    assert manager.hear() == [(old, "READY=1")], "the new ones have kept silent"
    assert manager.speakers == {old}
    up.hand_over()
    new = up.new
    expected = [(old, "READY=1"), (old, f"MAINPID={new}"), (new, "READY=1")]
    wait_until(lambda: len(manager.hear()) >= 3, what=lambda: f"{manager.told} to be {expected}")
    assert manager.told == expected
    os.kill(new, signal.SIGTERM)
    wait_until(lambda: manager.hear()[-1] == (new, "STOPPING=1"), what="the new one has the manager's ear")
    manager.socket.close()


def test_what_names_the_first_server_to_its_manager_names_the_new_one_then(upgrades, tmp_path):
    # The first server's own pid is not known before it is started: a shell that becomes it knows.
    script = 'export WATCHDOG_PID=$$ LISTEN_PID=$$; exec "$@"'
    deploy(tmp_path, 1)

    class Told(Server):
        def command(self):
            return ["/bin/sh", "-c", script, "sh", *super().command()]

    server = Told("deployed:application", "--pythonpath", str(tmp_path), cwd=tmp_path).start()
    try:
        with Upgrades(server) as up:
            up.up()
            up.hand_over()
            up.up()
            # What the third was given, which is what the second had.
            given = Path(f"/proc/{up.new}/environ").read_bytes().split(b"\0")
            assert f"WATCHDOG_PID={up.old}".encode() in given and f"LISTEN_PID={up.old}".encode() in given
            up.hand_over()
    finally:
        server.close()


def test_process_1_is_not_upgraded_and_the_log_says_to_replace_the_container(tmp_path, python):
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*apart, "true"], capture_output=True).returncode != 0:
        pytest.skip("unshare --pid is not allowed here")
    deploy(tmp_path, 1)
    log = tmp_path / "log"
    command = [*apart, str(TAPSTER), "--python", python, "--bind", f"127.0.0.1:{free_port()}", "deployed:application"]
    settings = {"cwd": tmp_path, "env": clean_environment("pid-1")}
    with log.open("w") as stream, subprocess.Popen(command, **settings, stdout=stream, stderr=stream) as outside:
        try:
            wait_until(lambda: "Worker ready" in log.read_text(), 20, log.read_text)
            (inside,) = children(outside.pid)
            os.kill(inside, signal.SIGUSR2)
            wait_until(lambda: "replace the container" in log.read_text(), 10, log.read_text)
            assert "has been started" not in log.read_text()
            os.kill(inside, signal.SIGTERM)
            assert outside.wait(15) == 0
        finally:
            outside.kill()


@pytest.mark.parametrize(
    ("first", "named"),
    [(b"\x01\x05\0\0\x009.9.9\xff\xfe", "the server is version 9.9.9"), (b"\x01\x02" + bytes(200), "the server's first order can't be read")],
    ids=["named", "unreadable"],
)
def test_a_worker_library_that_a_server_of_another_version_has_loaded_says_so_and_what_to_do(python, first, named):
    code = """if True:
        import sys, importlib.machinery, importlib.util
        loader = importlib.machinery.ExtensionFileLoader("_tapster", sys.argv[2])
        module = importlib.util.module_from_spec(importlib.util.spec_from_file_location("_tapster", loader=loader))
        loader.exec_module(module)
        sys.exit(module.main(int(sys.argv[1])))"""
    ours, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, childs:
        ours.settimeout(20)
        ours.send(first)
        command = [python, "-c", code, str(childs.fileno()), str(TAPSTER.parent / "lib_tapster.so")]
        with subprocess.Popen(command, pass_fds=[childs.fileno()]) as template:
            report = ours.recv(1 << 17)
            assert template.wait(20) == 1
    assert report.startswith(b"\x05\x01\0\0\0"), report
    said = report[9:].decode()
    assert said.startswith("the worker library (lib_tapster.so) is version ") and named in said
    assert "finish the upgrade (USR2 to the server), or put the library back" in said


def test_a_variable_that_no_server_has_set_is_an_error_that_names_it(serve):
    server = serve("ops:application", wait=False, env={"PREDECESSOR_OF_TAPSTER": "250"})
    server.expected_exit = 1
    assert server.wait_exit() == 1
    assert "PREDECESSOR_OF_TAPSTER is set, but" in server.log()


def test_the_watchdog_hears_the_new_server_while_the_old_one_finishes_its_requests(upgrades, tmp_path):
    manager, go_on, started = Manager(tmp_path / "notify"), tmp_path / "go-on", tmp_path / "started"
    deploy(tmp_path, 1)
    source = tmp_path / "deployed.py"
    waits = f"[time.sleep(0.01) for _ in iter(lambda: os.path.exists({str(go_on)!r}), True)]"
    source.write_text(source.read_text().replace("time.sleep(1)", waits))
    up = upgrades(env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"})
    old = up.new
    with up.server.wire(timeout=30).get(f"/?{started}") as wire:
        wait_until(started.exists, what="the request runs")
        new = up.up()
        manager.hear()
        assert manager.beats[old] > 0 and manager.beats[new] == 0
        os.kill(old, signal.SIGQUIT)
        wait_until(lambda: manager.hear() and manager.beats[new] >= 3, 20, lambda: f"the new one beats: {manager.beats}")
        assert alive(old), "it is still at its request"
        go_on.touch()
        assert wire.reply().text == "1"
    up.wait_alone()
    assert manager.hear() == [(old, "READY=1"), (old, f"MAINPID={new}"), (new, "READY=1")]
    manager.socket.close()
