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
class Question:
    path: str
    #: The body that must come back, so that a fast error is never taken for a fast server; or, of a large one, its length.
    expect: bytes | int
    #: Length of the body that is sent.
    upload: int = 0
    #: Whether the server is to close the connection after its answer.
    close: bool = False


@dataclass(frozen=True)
class Manners:
    #: Does it answer a second request on the same connection?
    keeps_alive: bool
    #: Does it answer a second connection while the first, which has been answered, stays open?
    serves_beside_idle: bool

    def notes(self, question: Question) -> list[str]:
        notes = []
        if not self.keeps_alive and not question.close:
            notes.append("closes the connection after each answer")
        if not self.serves_beside_idle:
            notes.append("one connection at a time: the others wait until it closes")
        return notes


def wait_until_up(server: subprocess.Popen, port: int, deadline_s: float = BOOT_DEADLINE_S) -> None:
    """Returns when the port accepts; raises ServerFailed when the server exits first or the deadline passes."""
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ServerFailed(f"exited with status {server.returncode} at its start")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise ServerFailed(f"did not listen within {deadline_s:.0f} s")


def manners(port: int, question: Question) -> Manners:
    """Checks one answer and finds out how the server treats connections."""
    try:
        with Connection(port) as first:
            _check(first.ask(question.path, question.upload, close=question.close), question.expect)
            if question.close:
                first.wait_for_end()
                return Manners(keeps_alive=False, serves_beside_idle=True)
            keeps_alive = first.ask_again(question)
            serves_beside_idle = True
            if keeps_alive:
                with Connection(port, WAITS_S) as second:
                    serves_beside_idle = second.ask_again(question)
        return Manners(keeps_alive, serves_beside_idle)
    except OSError as error:
        raise ServerFailed(f"a plain request failed: {error}") from error


def _check(body: bytes, expect: bytes | int) -> None:
    if isinstance(expect, int):
        if len(body) != expect:
            raise ServerFailed(f"answered {len(body)} bytes instead of {expect}: {body[:40]!r}")
    elif body != expect:
        raise ServerFailed(f"answered {body[:40]!r} instead of {expect[:40]!r}")


class Connection:
    """One HTTP/1.1 connection that knows as much of the protocol as the apps here use: Content-Length bodies."""

    def __init__(self, port: int, timeout_s: float = ANSWER_DEADLINE_S) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._closes = False

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def ask(self, path: str, upload: int = 0, *, close: bool = False) -> bytes:
        """The body of the answer to a GET, or to a POST if there is something to upload."""
        fields = ["Host: 127.0.0.1"]
        if upload:
            fields.append(f"Content-Length: {upload}")
        if close:
            fields.append("Connection: close")
        head = "\r\n".join([f"{'POST' if upload else 'GET'} {path} HTTP/1.1", *fields, "\r\n"])
        return self.answer_to(head.encode() + b"x" * upload)

    def answer_to(self, request: bytes) -> bytes:
        """The body of the answer to a request as it is."""
        self.socket.sendall(request)
        seen = bytearray()
        while b"\r\n\r\n" not in seen:
            seen += self._more(seen)
        head, body = seen.split(b"\r\n\r\n", 1)
        self._closes = re.search(rb"(?im)^connection:\s*close", head) is not None
        length = re.search(rb"(?im)^content-length:\s*(\d+)", head)
        while length and len(body) < int(length[1]):
            body += self._more(seen)
        return bytes(body)

    def ask_again(self, question: Question) -> bool:
        """Whether another request on this connection is answered."""
        if self._closes:
            return False
        try:
            return bool(self.ask(question.path, question.upload))
        except (TimeoutError, ConnectionError, ServerFailed):
            return False

    def wait_for_end(self) -> None:
        """Returns when the server has closed the connection; raises ServerFailed if it stays open."""
        try:
            if self.socket.recv(1):
                raise ServerFailed("sent more than its answer")
        except ConnectionResetError:
            pass
        except TimeoutError as error:
            raise ServerFailed("keeps a connection open that it was asked to close") from error

    def _more(self, seen: bytearray) -> bytes:
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ServerFailed(f"closed the connection after {bytes(seen[:60])!r}")
        return chunk
