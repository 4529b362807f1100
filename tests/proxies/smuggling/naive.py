"""The backend that makes the classic mistakes, as a process."""

import socket
import subprocess
import sys
import uuid
from pathlib import Path

from harness import wait_until
from harness.ports import free_port
from harness.server import clean_environment

_SOURCE = Path(__file__).parents[1] / "apps" / "naive.py"


class NaiveBackend:
    """`apps/naive.py` on a port of its own. Use as a context manager."""

    def __init__(self, record):
        self.address = ("127.0.0.1", free_port())
        self._environment = {**clean_environment(uuid.uuid4().hex), "RECORD": str(record)}

    def __enter__(self):
        command = [sys.executable, str(_SOURCE), str(self.address[1])]
        self._process = subprocess.Popen(command, env=self._environment, stdin=subprocess.DEVNULL)
        try:
            wait_until(self._listens, 10, "the naive backend to listen")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait(5)

    def _listens(self):
        try:
            socket.create_connection(self.address, 1).close()
        except OSError:
            return False
        return True
