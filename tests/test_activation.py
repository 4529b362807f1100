"""Sockets that a service manager passes (sd_listen_fds(3)): which are listened at, by number and by name, and for how long."""

import fcntl
import os
import shutil
import signal
import socket
import sys

import pytest

from harness import Server, request, wait_until
from harness.processes import open_files

pytestmark = pytest.mark.tapster

APP = "ops:application"
#: Runs a command as a service manager does: sockets from 3 on, and variables that say so.
MANAGER = """
import os, sys
count, numbers = len(sys.argv[1].split(",")), [int(each) for each in sys.argv[1].split(",")]
for place, number in enumerate(numbers):
    os.dup2(number, 3 + place, inheritable=True)
os.environ.update(LISTEN_FDS=str(count), LISTEN_FDNAMES=sys.argv[2], LISTEN_PID=sys.argv[3] or str(os.getpid()))
os.execv(sys.argv[4], sys.argv[4:])
"""


def _listening(kind=socket.SOCK_STREAM):
    """A socket on a free port, with a number that is above those that it is passed under."""
    with socket.socket(type=kind) as made:
        made.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            made.listen(64)
        return socket.socket(fileno=fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, 50))


@pytest.fixture
def sockets():
    """Two that listen."""
    with _listening() as one, _listening() as two:
        yield one, two


class Activated(Server):
    """A server that a service manager starts with sockets. It binds nothing itself, unless told to."""

    def __init__(self, *options, passed, names="", pid="", **settings):
        super().__init__(APP, *options, bind="", **settings)
        self.passed, self.names, self.for_pid = passed, names, pid

    @property
    def address(self):
        return self.passed[0].getsockname()

    def command(self):
        numbers = ",".join(str(each.fileno()) for each in self.passed)
        return [sys.executable, "-c", MANAGER, numbers, self.names, self.for_pid, *super().command()]

    def launch(self, **popen):
        return super().launch(pass_fds=[each.fileno() for each in self.passed], **popen)


def _ask(listening):
    return request(listening.getsockname(), "GET", "/pid").json


def test_all_passed_sockets_are_listened_at_where_bind_is_not_set(sockets, tmp_path):
    with Activated(passed=sockets, names="web:admin", cwd=tmp_path) as server:
        server.wait_log(r"has passed fd://3 \(web\), fd://4 \(admin\)")
        pids = {_ask(each) for each in sockets}
        assert pids == server.worker_pids()
        environment = server.get("/about").json["environment"]
        assert not [name for name in environment if name.startswith("LISTEN_")]


def test_a_name_in_bind_takes_the_sockets_of_that_name_and_the_rest_is_told(sockets, tmp_path):
    with _listening() as third:
        passed = (*sockets, third)
        with Activated("--bind", "fd://web", passed=passed, names="web:admin:web", cwd=tmp_path) as server:
            server.wait_log(r"nobody will accept what comes in at fd://4 \(admin\)")
            assert _ask(sockets[0]) == _ask(third) == server.live()[0].pid
            # Both of that name, and nothing else, are with the worker.
            held = [each for each in open_files(server.live()[0].pid).values() if each.startswith("socket:")]
            inodes = {f"socket:[{os.fstat(each.fileno()).st_ino}]" for each in passed}
            assert inodes - set(held) == {f"socket:[{os.fstat(sockets[1].fileno()).st_ino}]"}


def test_passed_sockets_stay_through_reloads(sockets, tmp_path):
    with Activated(passed=sockets, cwd=tmp_path, settings="workers = 1\n") as server:
        for _ in range(3):
            server.reload()
        assert {_ask(each) for each in sockets} == server.worker_pids()
        server.write_settings('bind = ["fd://unknown", "127.0.0.1:0"]\n')
        server.reload()
        assert {_ask(each) for each in sockets} == server.worker_pids()


def test_bind_that_is_set_counts_and_passed_sockets_are_told_about(sockets, tmp_path):
    with Activated("--bind", "127.0.0.1:0", passed=sockets, cwd=tmp_path) as server:
        server.wait_log(r"nobody will accept what comes in at fd://3 \(unknown\), fd://4 \(unknown\)")
        server.wait_log("Listening at: http://127.0.0.1:")


def test_sockets_for_another_process_are_left_alone(sockets, tmp_path):
    with Activated("--bind", "127.0.0.1:0", passed=sockets, pid="1", cwd=tmp_path) as server:
        server.wait_log("for process 1 and not for this one")
        assert "has passed" not in server.log()


def test_a_name_that_nothing_was_passed_under_is_an_error_that_says_what_there_is(sockets, tmp_path):
    server = Activated("--bind", "fd://web", passed=sockets, names="a:b", cwd=tmp_path).launch()
    server.expected_exit = 1
    server.wait_exit()
    assert "can't listen at fd://web: no socket was passed to tapster under this name" in server.log()
    assert "there is a, b" in server.log()
    server.close()


def test_a_passed_socket_of_the_wrong_kind_is_an_error_that_names_it(tmp_path):
    with _listening(socket.SOCK_DGRAM) as datagrams:
        server = Activated(passed=[datagrams], names="syslog", cwd=tmp_path).launch()
        server.expected_exit = 1
        server.wait_exit()
        assert 'fd://3: it is not a stream socket (it was passed as "syslog")' in server.log()
        server.close()


def test_connections_wait_in_a_passed_socket_for_the_next_server(sockets, tmp_path):
    with Activated(passed=sockets, cwd=tmp_path):
        pass
    waiting = socket.create_connection(sockets[0].getsockname(), timeout=20)
    waiting.sendall(b"GET /hello HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n")
    with Activated(passed=sockets, cwd=tmp_path), waiting:
        assert waiting.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd-socket-activate is not installed")
def test_systemd_socket_activate_starts_it_at_the_first_connection(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(APP, bind="", cwd=tmp_path)
    passed = [f"--setenv={name}" for name in server.environment]
    plain = server.command
    server.command = lambda: ["systemd-socket-activate", f"--listen={port}", "--fdname=web", *passed, *plain()]
    server.launch()
    try:
        address = ("127.0.0.1", port)

        def answers():
            try:
                return request(address, "GET", "/hello", timeout=20).status == 200
            except ConnectionRefusedError:
                return False

        wait_until(answers, 20, server.tail)
        server.wait_log(r"has passed fd://3 \(web\)")
    finally:
        server.send(signal.SIGTERM)
        server.close()
