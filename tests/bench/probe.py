"""Asks a server a few requests by hand before it is measured: is the answer right, and how does it treat connections?

What the table notes about keep-alive is found out here, not asserted.
"""

import re
import socket
import subprocess
import time
from dataclasses import dataclass

from processes import ServerFailed

BOOT_DEADLINE_S = 20.0
ANSWER_DEADLINE_S = 5.0
#: A hello-world that takes longer on an idle server is waiting for something else.
WAITS_S = 0.5


@dataclass(frozen=True)
class Manners:
    #: Does it answer a second request on the same connection?
    keeps_alive: bool
    #: Does it answer a second connection while the first, which has been answered, stays open?
    serves_beside_idle: bool

    def notes(self) -> list[str]:
        notes = []
        if not self.keeps_alive:
            notes.append("closes the connection after each answer")
        if not self.serves_beside_idle:
            notes.append("one connection at a time: the others wait until it closes")
        return notes


def wait_until_up(server: subprocess.Popen, port: int) -> None:
    """Returns when the port accepts; raises ServerFailed when the server exits first or the deadline passes."""
    deadline = time.monotonic() + BOOT_DEADLINE_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ServerFailed(f"exited with status {server.returncode} at its start")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise ServerFailed(f"did not listen within {BOOT_DEADLINE_S:.0f} s")


def manners(port: int, path: str, expect: bytes) -> Manners:
    """Checks one answer and finds out how the server treats connections."""
    try:
        with Connection(port) as first:
            body = first.ask(path)
            if body != expect:
                raise ServerFailed(f"answered {body[:40]!r} instead of {expect[:40]!r}")
            keeps_alive = first.ask_again(path)
            serves_beside_idle = True
            if keeps_alive:
                with Connection(port, WAITS_S) as second:
                    serves_beside_idle = second.ask_again(path)
        return Manners(keeps_alive, serves_beside_idle)
    except OSError as error:
        raise ServerFailed(f"a plain request failed: {error}") from error


class Connection:
    """One HTTP/1.1 connection that knows as much of the protocol as the apps here use: Content-Length bodies."""

    def __init__(self, port: int, timeout_s: float = ANSWER_DEADLINE_S) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._closes = False

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def ask(self, path: str) -> bytes:
        """The body of the answer to a GET."""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        seen = b""
        while b"\r\n\r\n" not in seen:
            seen += self._more(seen)
        head, body = seen.split(b"\r\n\r\n", 1)
        self._closes = re.search(rb"(?im)^connection:\s*close", head) is not None
        length = re.search(rb"(?im)^content-length:\s*(\d+)", head)
        while length and len(body) < int(length[1]):
            body += self._more(seen)
        return body

    def ask_again(self, path: str) -> bool:
        """Whether another request on this connection is answered."""
        if self._closes:
            return False
        try:
            return bool(self.ask(path))
        except (TimeoutError, ConnectionError, ServerFailed):
            return False

    def _more(self, seen: bytes) -> bytes:
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ServerFailed(f"closed the connection after {seen[:60]!r}")
        return chunk
