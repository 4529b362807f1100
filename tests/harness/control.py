"""A server's control socket: `tapsterctl` as a program, and connections that say what no tapsterctl would."""

import json
import os
import socket
import subprocess
import time

from .paths import TAPSTER
from .server import clean_environment

#: The program, beside the server's.
TAPSTERCTL = TAPSTER.with_name("tapsterctl")
#: What the suite's servers call their sockets, in the folder that they start in.
NAME = "c.sock"


def start_tapsterctl(*arguments, cwd, env=None, **popen):
    """Starts tapsterctl and waits for nothing."""
    command = [str(TAPSTERCTL), *map(str, arguments)]
    env = clean_environment("tapsterctl", env)
    return subprocess.Popen(command, cwd=cwd, env=env, stdout=-1, stderr=-1, text=True, **popen)


def run_tapsterctl(*arguments, cwd, timeout=30, **popen):
    """Runs tapsterctl to its end."""
    return result(start_tapsterctl(*arguments, cwd=cwd, **popen), timeout)


def result(process, timeout=30):
    """How a tapsterctl has ended, and what it has said."""
    with process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


class Control:
    """The control socket of a server that was started with `--control-socket c.sock`."""

    def __init__(self, server):
        self.server = server
        self.path = server.cwd / NAME

    def start(self, *arguments, **popen):
        """Starts tapsterctl for it."""
        return start_tapsterctl("--socket", self.path, *arguments, cwd=self.server.cwd, **popen)

    def run(self, *arguments, timeout=30, **popen):
        """Runs tapsterctl for it, to its end."""
        return result(self.start(*arguments, **popen), timeout)

    def ok(self, *arguments):
        """What tapsterctl says, which must have done what it was to."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done}; log:\n{self.server.tail()}"
        assert not done.stderr, done
        return done.stdout

    def status(self):
        """The status, from its JSON."""
        return json.loads(self.ok("status", "--json"))

    def connect(self, timeout=20):
        """A connection of one's own."""
        deadline = time.monotonic() + timeout
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(timeout)
            try:
                connection.connect(os.fspath(self.path))
            except BlockingIOError:
                # The queue is full, and there is no waiting for it with a timeout.
                connection.close()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            else:
                return connection

    def says(self, request):
        """What a server answers these bytes."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_all(connection)


def read_all(connection):
    """All that comes until the end; a reset, for what the server has not read, is one."""
    found = b""
    while True:
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            return found.decode()
        found += chunk
